"""A model's answers to images."""

import numpy as np
import torch
from torch import nn

from mnist.dataset import Array
from pipeline.errors import InputError


def probabilities(model: nn.Module, images: Array, batch_size: int) -> Array:
    """Class probabilities, float32 (n, classes), of uint8 images (n, height, width) or (…, 3).

    Raises InputError if the model's answers are not finite.
    """
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in torch.from_numpy(images).split(batch_size)])
    if not logits.isfinite().all():
        raise InputError("the model's answers are not finite: its training has diverged; lower train.learning_rate")
    return np.asarray(logits.softmax(1).numpy())
