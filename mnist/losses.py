"""What a training lowers: losses by the words of params.yaml, and what labels and classes count in them."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mnist.hyperparameters import Hyperparameters
from pipeline.errors import InputError

# logits, float32 (n, classes), and labels, int64 (n,), to the mean over the images
Loss = Callable[[Tensor, Tensor], Tensor]


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """What cross-entropy is, spelled out: the negative logarithm of the softmax probability of the label."""
    return F.nll_loss(F.log_softmax(logits, 1), labels)


def mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error between the softmax probabilities and the one-hot label."""
    return F.mse_loss(logits.softmax(1), F.one_hot(labels, logits.shape[1]).float())


LOSSES: dict[str, Loss] = {"cross_entropy": F.cross_entropy, "nll": nll, "mse": mse}


def objective(chosen: Hyperparameters, labels: Tensor) -> Loss:
    """What a training on images with these labels, uint8 (n,), lowers: the loss, with what is chosen beside it."""
    loss = LOSSES[chosen.loss]
    if chosen.label_smoothing:  # which only cross-entropy knows
        loss = functools.partial(F.cross_entropy, label_smoothing=chosen.label_smoothing)
    return weighted(loss, balanced(labels)) if chosen.class_weights else loss


def balanced(labels: Tensor) -> Tensor:
    """One weight per class, float32: n / (classes · the class's images), as scikit-learn's “balanced”.

    From King and Zeng (2001), “Logistic Regression in Rare Events Data”. Each class has to have an image.
    """
    counts = labels.bincount()
    return len(labels) / (len(counts) * counts)


def weighted(loss: Loss, weights: Tensor) -> Loss:
    """The same loss where an image counts as many times as the weight of its class says.

    A batch's sum is divided by its images, not by its weights as torch's `weight` is: that would let an image of a
    common class count for more in batches that have no rare one.
    """

    def mean(logits: Tensor, labels: Tensor) -> Tensor:
        each = torch.func.vmap(loss)(logits.unsqueeze(1), labels.unsqueeze(1))  # batches of one image
        return (each * weights[labels]).mean()

    return mean


def check_classes(counts: dict[str, int]) -> None:
    """Raise InputError if a class has no training images, which no weight can balance; `counts`: images by class."""
    for name, count in counts.items():
        if not count:
            raise InputError(
                f"params.yaml: train.class_weights: the class {name!r} has no training images, and no weight balances "
                "that; set it to null, or give the class some"
            )
