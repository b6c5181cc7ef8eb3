"""Two models on the same images: is their difference more than chance?

All of it is paired: both answer the same images, so what counts are the images on which they disagree.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from mnist.dataset import Array

RESAMPLES = 2000
LARGEST_LOSS = -float(np.log(np.finfo(np.float32).tiny))  # of an image, as `predictions.image_losses` has it


class Difference(NamedTuple):
    """B minus A, with its 95 % interval."""

    value: float
    low: float
    high: float


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p that A and B err equally often (McNemar 1947), from the images that only one got right."""
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def accuracy_difference(a_right: Array, b_right: Array) -> Difference:
    """Difference of two accuracies on the same n images, given as bool (n,), with its 95 % interval.

    The interval is Wald's with one image added to either disagreement, by Bonett and Price (2012), “Adjusted Wald
    confidence interval for a difference of binomial proportions based on paired data”: it covers where Wald's own does
    not, with few disagreements.
    """
    n = len(a_right)
    gained, lost = ((np.sum(ours & ~theirs) + 1) / (n + 2) for ours, theirs in ((b_right, a_right), (a_right, b_right)))
    deviation = np.sqrt((gained + lost - (gained - lost) ** 2) / (n + 2))
    low, high = stats.norm.interval(0.95, gained - lost, deviation)
    return Difference((int(b_right.sum()) - int(a_right.sum())) / n, max(-1.0, float(low)), min(1.0, float(high)))


def loss_difference(a: Array, b: Array) -> Difference:
    """Difference of two mean losses on the same images, (n,) in nats, with its 95 % percentile bootstrap interval.

    A single image says nothing of others, so the interval is then of all that is possible.
    """
    differences = b - a
    if not differences.any():
        return Difference(0.0, 0.0, 0.0)
    if len(differences) == 1:
        return Difference(float(differences[0]), -LARGEST_LOSS, LARGEST_LOSS)
    found = stats.bootstrap(
        (differences,), np.mean, n_resamples=RESAMPLES, batch=100, method="percentile", rng=np.random.RandomState(0)
    ).confidence_interval
    return Difference(float(differences.mean()), float(found.low), float(found.high))
