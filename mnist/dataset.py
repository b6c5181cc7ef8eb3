"""The data set as training sees it: its splits as uint8 arrays mapped from disk, and its statistics.

Pixels stay uint8 on disk and in memory, a quarter of float32. Normalising is the first layer of the model, so nobody
who uses the model can forget it; what is kept here are the numbers for it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnist.console import InputError

FOLDER = Path("data/normalised")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Split:
    """Images, uint8 (n, height, width), and labels, uint8 (n,), both mapped from disk."""

    images: Array
    labels: Array


@dataclass(frozen=True)
class Statistics:
    """What is known of a data set. `mean` and `std` are of pixels in 0…1; `counts` are images a split and class."""

    name: str
    classes: list[str]
    image_shape: tuple[int, int]
    mean: float
    std: float
    counts: dict[str, dict[str, int]]


def statistics(folder: Path = FOLDER) -> Statistics:
    """What `normalise` wrote about the data set."""
    path = folder / "statistics.json"
    try:
        found = json.loads(path.read_text("utf-8"))
        return Statistics(**{**found, "image_shape": tuple(found["image_shape"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be used ({error}); `dvc repro` writes it anew") from error


def load(split: Literal["train", "validation", "test"], folder: Path = FOLDER) -> Split:
    """Map one split into memory. Raises InputError if its arrays are damaged or do not belong together."""
    images, labels = (array(folder / f"{split}_{what}.npy") for what in ("images", "labels"))
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise InputError(f"{folder}: {split}: {images.shape} images and {labels.shape} labels; run `dvc repro`")
    return Split(images, labels)


def array(path: Path) -> Array:
    """Map a .npy file of uint8; copy-on-write, as torch wants writable memory, but nothing is ever written."""
    try:
        found: Array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be used ({error}); `dvc repro` writes it anew") from error
    if found.dtype != np.uint8:
        raise InputError(f"{path}: holds {found.dtype} where bytes are expected; `dvc repro` writes it anew")
    return found
