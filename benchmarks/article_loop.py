"""The article's training loop, as its reader writes it: torchvision's data set and transforms, a DataLoader, SGD."""

from pathlib import Path

import torch
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def loader(root: Path, order: torch.Generator | None = None) -> DataLoader[object]:
    """Batches of 64 normalised images; `root` holds MNIST as torchvision unpacks it, in MNIST/raw."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    training_set = datasets.MNIST(root, train=True, download=False, transform=transform)
    return DataLoader(training_set, batch_size=64, shuffle=True, generator=order)


def network() -> nn.Sequential:
    """784-128-64-10, for images that are flattened before."""
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def epoch(model: nn.Module, batches: DataLoader[object], optimizer: optim.Optimizer) -> float:
    """Train for one epoch; returns the mean loss, as the article prints it."""
    criterion = nn.CrossEntropyLoss()
    running_loss = 0.0
    for images, labels in batches:
        images = images.view(images.shape[0], -1)
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    return running_loss / len(batches)


def train(batches: DataLoader[object], seed: int = 0) -> float:
    """One epoch from fresh weights with the article's optimizer; returns the mean loss."""
    torch.manual_seed(seed)
    model = network()
    return epoch(model, batches, optim.SGD(model.parameters(), lr=0.003))
