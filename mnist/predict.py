"""What a model says of images."""

import numpy as np
import torch
from torch import nn

from mnist.dataset import Array


def probabilities(model: nn.Module, images: Array, batch_size: int) -> Array:
    """Class probabilities, float32 (n, classes), of uint8 images (n, height, width)."""
    with torch.no_grad():
        logits = [model(batch) for batch in torch.from_numpy(images).split(batch_size)]
        return np.asarray(torch.cat(logits).softmax(1).numpy())
