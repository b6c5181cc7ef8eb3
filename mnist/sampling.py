"""Which images are held out, and how some of many are taken through little memory."""

from collections.abc import Iterator

import numpy as np

from mnist.dataset import Array

CHUNK = 10_000  # images


def stratified(labels: Array, count: int, seed: int) -> Array:
    """Choose `count` images at random so that each class keeps its share: bool (n,).

    Systematic sampling: all images in random order, sorted by class, of which every (n / count)th is taken.
    """
    order = np.random.RandomState(seed).permutation(len(labels))  # this generator's stream is frozen, the newer's not
    order = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), bool)
    chosen[order[np.arange(count) * len(labels) // max(count, 1)]] = True
    return chosen


def chunks(array: Array, index: Array) -> Iterator[Array]:
    """`array[index]`, a chunk in memory at a time."""
    for start in range(0, len(index), CHUNK):
        yield array[index[start : start + CHUNK]]
