"""The networks, and the file that a trained one is kept in.

A model takes raw pixels in 0…255, uint8 (n, height, width) or in colour (n, height, width, 3), and returns logits,
float32 (n, classes). Its first layer normalises, by tensors of the file, so a model file needs nothing beside it.
"""

import json
import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mnist import dataset
from mnist.hyperparameters import Hyperparameters
from mnist.linear import Linear
from pipeline.errors import InputError

REMEDY = "`dvc repro` recreates it"
METADATA = "mnist"  # one entry only: safetensors writes several in a random order


class Description(BaseModel):
    """What it takes to build a model again, to name its answers, and to find what it was trained on.

    `inputs` is a hash of all that decided the weights: parameters, data, code and versions of libraries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    image_shape: dataset.Shape
    classes: list[str] = Field(min_length=2)
    dataset: str
    handwriting: bool
    parameters: dict[str, Any]
    torch: str
    inputs: str

    @property
    def channels(self) -> int:
        """1 of grey images, 3 of those in colour."""
        return math.prod(self.image_shape[2:])


class Normalise(nn.Module):
    """uint8 (n, height, width) in 0…255 → float32 (n, 1, height, width), the mean subtracted, in units of the std.

    Of colours, (n, height, width, 3) → (n, 3, height, width), each channel has its own mean and std, (3, 1, 1).
    The same operations in the same order as torchvision's ToTensor and Normalize, so the same bits. Mean and std are
    buffers: a network without them refuses the file's tensors, and does not take pixels for normalised ones.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: dataset.Numbers = 0.0, std: dataset.Numbers = 1.0, channels: int = 1) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            numbers = torch.tensor(value, dtype=torch.float32)
            self.register_buffer(name, numbers if channels == 1 else numbers.expand(channels).clone().view(-1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        images = pixels.movedim(3, 1) if self.mean.ndim else pixels.unsqueeze(1)
        return images.div(255).sub_(self.mean).div_(self.std)


def mlp(height: int, width: int, classes: int, channels: int = 1) -> nn.Sequential:
    """The article's network: for MNIST 784-128-64-10 with ReLU, 109,386 parameters."""
    return nn.Sequential(
        nn.Flatten(),
        Linear(channels * height * width, 128),
        nn.ReLU(),
        Linear(128, 64),
        nn.ReLU(),
        Linear(64, classes),
    )


def check_size(height: int, width: int) -> None:
    """Raise InputError if of images nothing would be left after `cnn`'s poolings."""
    if min(height, width) < 8:
        raise InputError(f"train.model: cnn needs images of 8×8 pixels or more, not {height}×{width}; set it to mlp")


def cnn(height: int, width: int, classes: int, channels: int = 1) -> nn.Sequential:
    """Four convolutions, three of them with pooling, all with batch norm and ReLU; for MNIST 28,570 parameters.

    Small on purpose: what it lacks in width it gains in epochs in the same time. For that reason, too, pooling comes
    before batch norm, and the first three do without padding, as images begin and end with paper; of those below 20
    pixels too little would be left. Raises InputError for images that are too small.
    """
    check_size(height, width)
    lost, edge = (12, "valid") if min(height, width) >= 20 else (0, "same")
    down, right = ((side - lost) // 8 for side in (height, width))
    return nn.Sequential(
        *(nn.Conv2d(channels, 16, 5, padding=edge, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, padding=edge, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=edge, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, padding="same", bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(64), nn.ReLU()),
        nn.Flatten(),
        Linear(64 * down * right, classes),
    ).to(memory_format=torch.channels_last)


NETWORKS = {"mlp": mlp, "cnn": cnn}


def create(
    chosen: Hyperparameters, statistics: dataset.Statistics, inputs: str = ""
) -> tuple[nn.Sequential, Description]:
    """Seed torch's random generator and draw the weights of the model asked for; returns it and its description.

    `inputs` is the hash that the description is to have.
    """
    torch.manual_seed(chosen.seed)
    description = Description(
        model=chosen.model,
        image_shape=statistics.image_shape,
        classes=statistics.classes,
        dataset=statistics.name,
        handwriting=statistics.handwriting,
        parameters=chosen.model_dump(exclude_defaults=True),
        torch=torch.__version__.split("+")[0],  # what follows names the build
        inputs=inputs,
    )
    return build(description, statistics.mean, statistics.std), description


def build(description: Description, mean: dataset.Numbers = 0.0, std: dataset.Numbers = 1.0) -> nn.Sequential:
    """The model of `description` with fresh weights from torch's random generator."""
    height, width = description.image_shape[:2]
    network = NETWORKS[description.model](height, width, len(description.classes), description.channels)
    return nn.Sequential(OrderedDict(normalise=Normalise(mean, std, description.channels), network=network))


def write(model: nn.Module, description: Description, path: Path) -> None:
    """Write weights and description as one safetensors file: unlike a pickle, reading it runs no code of its maker."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    path.write_bytes(save(weights, {METADATA: description.model_dump_json()}))


def read(path: Path) -> tuple[nn.Module, Description]:
    """The model in a file, as `parse` has it. Raises InputError if it cannot be read, too."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error


def parse(content: bytes, path: str) -> tuple[nn.Module, Description]:
    """Build the model that the content of a file describes and give it the file's weights, ready to predict.

    `path` is what to name in the InputError if the content is damaged, comes from elsewhere, or its weights do not fit
    or are not finite.
    """
    try:
        weights = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); {REMEDY}") from error
    metadata = header.get("__metadata__", {}).get(METADATA)
    if metadata is None:
        raise InputError(f"{path}: has no entry “{METADATA}” in its metadata, so is not this project's; {REMEDY}")
    try:
        description = Description.model_validate_json(metadata)
        with torch.device("meta"):  # costs nothing, whatever sizes the description claims
            expected = build(description).state_dict()
            kinds = {name: (weight.shape, weight.dtype) for name, weight in expected.items()}
        for name in kinds | weights:
            if name not in weights or (weights[name].shape, weights[name].dtype) != kinds.get(name):
                raise InputError(f"{path}: {name} does not fit its description; {REMEDY}")
        with torch.random.fork_rng([]):  # what is drawn here is replaced at once
            model = build(description)
        model.load_state_dict(weights)
    except ValidationError as error:
        raise InputError.invalid(f"{path}: its description is wrong", error, REMEDY) from error
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{path}: its weights do not fit its description: {error}; {REMEDY}") from error
    if damaged := [name for name, tensor in weights.items() if not tensor.isfinite().all()]:
        raise InputError(f"{path}: {damaged[0]} has values that are not finite; {REMEDY}")
    if not (weights["normalise.std"] > 0).all():
        raise InputError(f"{path}: normalise.std is not above 0; {REMEDY}")
    return model.eval(), description


def check_fits(description: Description, statistics: dataset.Statistics) -> None:
    """Raise InputError if a model was made for other images or classes than a data set has."""
    ours, theirs = (description.image_shape, description.classes), (statistics.image_shape, statistics.classes)
    if ours != theirs:
        raise InputError(
            f"the model is for images of {ours[0]} in {len(ours[1])} classes, {statistics.name} has {theirs[0]} in "
            f"{len(theirs[1])}, or their names differ; `dvc repro` trains one that fits"
        )
