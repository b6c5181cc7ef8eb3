"""The data set as training sees it: its splits as uint8 arrays mapped from disk, and its statistics.

Pixels stay uint8 on disk and in memory, a quarter of float32. Normalising is the first layer of the model, so nobody
who uses the model can forget it; this module only stores its two numbers, or two per channel of colours.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config

from pipeline.errors import InputError

FOLDER = Path("data/normalised")
SPLITS = ("train", "validation", "test")
CHUNK = 10_000 * 784  # bytes of images that are in memory at a time

Array = np.ndarray[Any, np.dtype[Any]]


def at_once(size: int) -> int:
    """How many images of so many bytes make a chunk: of large ones fewer than of small ones, so memory stays flat."""
    return max(1, CHUNK // max(1, size))


@dataclass(frozen=True)
class Split:
    """Images, uint8 (n, height, width) or (n, height, width, 3), and labels, uint8 (n,), both mapped from disk."""

    images: Array
    labels: Array


def grey_or_colour(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape if an image can have it. Raises ValueError if not."""
    if len(shape) not in (2, 3) or shape[2:] not in ((), (3,)):
        raise ValueError("should be height and width, and 3 if it is in colour")
    return shape


Side = Annotated[int, Field(ge=1, le=4096)]  # pixels
Shape = Annotated[tuple[Side, ...], AfterValidator(grey_or_colour)]
Numbers = float | list[float]  # one of grey images, of others one per channel


@with_config(ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True)
class Statistics:
    """What is known of a data set. `mean` and `std` are of pixels in 0…1, a list of three if `image_shape` has three.

    `counts`: images per split and class.
    """

    name: str
    classes: Annotated[list[str], Field(min_length=2)]
    handwriting: bool
    image_shape: Shape
    mean: float | list[float]
    std: Annotated[float, Field(gt=0)] | list[Annotated[float, Field(gt=0)]]
    counts: dict[str, dict[str, int]]


def statistics(folder: Path = FOLDER) -> Statistics:
    """What `normalise` wrote about the data set."""
    path = folder / "statistics.json"
    try:
        found = TypeAdapter(Statistics).validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError.invalid(path, error, "`dvc repro` recreates it") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); `dvc repro` recreates it") from error
    if {split: list(counts) for split, counts in found.counts.items()} != dict.fromkeys(SPLITS, found.classes):
        raise InputError(f"{path}: counts: not of each class in each split; `dvc repro` recreates it")
    for name, numbers in (("mean", found.mean), ("std", found.std)):
        if ((len(numbers),) if isinstance(numbers, list) else ()) != found.image_shape[2:]:
            raise InputError(f"{path}: {name}: not a number for each channel; `dvc repro` recreates it")
    return found


def load(split: Literal["train", "validation", "test"], folder: Path = FOLDER) -> Split:
    """Map one split into memory. Raises InputError if its arrays are damaged or not what the statistics say."""
    images, labels = (array(folder / f"{split}_{what}.npy") for what in ("images", "labels"))
    expected = statistics(folder)
    counts = list(expected.counts.get(split, {}).values())
    if images.shape != (sum(counts), *expected.image_shape) or labels.shape != images.shape[:1]:
        raise InputError(
            f"{folder}: {split}: {images.shape} images and {labels.shape} labels are not what statistics.json says; "
            "`dvc repro` recreates it"
        )
    if np.bincount(labels, minlength=len(counts)).tolist() != counts:
        raise InputError(f"{folder}/{split}_labels.npy: not what statistics.json counts; `dvc repro` recreates it")
    return Split(images, labels)


def array(path: Path) -> Array:
    """Map a .npy file of uint8; copy-on-write, as torch wants writable memory, but nothing is ever written."""
    try:
        found: Array = np.lib.format.open_memmap(path, "c")
    except Exception as error:  # what a damaged header may bring about is not only what NumPy documents
        raise InputError(f"{path}: cannot be used ({error}); `dvc repro` recreates it") from error
    if found.dtype != np.uint8:
        raise InputError(f"{path}: holds {found.dtype} where bytes are expected; `dvc repro` recreates it")
    return found
