"""What every form of a data set has in common: its splits, each of which can be written as two IDX files.

Whatever the size of a data set, it goes through memory in batches.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mnist import idx
from mnist.dataset import Array, at_once
from pipeline.errors import InputError

COLOUR = 3  # channels: red, green, blue
IN_COLOUR = "in colour; set dataset.channels to 3 to keep it, or to 1 to make all grey"
MOST_CLASSES = 256  # as labels are bytes
LUMA = (19595, 38470, 7471)  # of 65,536: the shares of red, green and blue in a grey, as Pillow has them


@dataclass(frozen=True)
class Options:
    """What params.yaml says of data other than MNIST's own files. `size`: height and width, None to leave them.

    `channels`: 3 keeps colours, and gives grey images three equal channels; 1 makes colours grey, None refuses them.
    `processes`: how many read pictures; no result depends on it.
    """

    test_share: float = 0.2
    seed: int = 0
    size: tuple[int, int] | None = None
    channels: int | None = None
    first_label: int = 0
    processes: int = 1

    def at_once(self, pixels: int) -> int:
        """How many images of so many pixels go through memory at a time, as they come and as they are to be."""
        return at_once(COLOUR * max(pixels, math.prod(self.size or ())))


class Batch(NamedTuple):
    """Images, uint8 (n, height, width) or (n, height, width, 3), and labels, integers (n,)."""

    images: Array
    labels: Array


class Part(NamedTuple):
    """One split: what writes it as IDX files of images and labels, and what names its k-th image."""

    write: Callable[[Path, Path, Options], None]
    name: Callable[[int], str]


@dataclass
class Found:
    """A data set: its form in words, its splits, its classes if it names them, and what a person should know of it.

    `files`: of pictures in files of their own, these by split.
    """

    form: str
    parts: dict[str, Part]
    classes: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    files: dict[str, list[Path]] = field(default_factory=dict)


def streamed(batches: Callable[[Options], Iterable[Batch]], name: Callable[[int], str]) -> Part:
    """A split that comes in batches; `name` is what to call its k-th image."""

    def write(images: Path, labels: Path, options: Options) -> None:
        kept: list[Array] = []  # a byte for each image
        idx.write_all(images, written(batches(options), kept, name, options))
        if not kept:
            raise InputError(f"{name(0)}: no images; put some there")
        idx.write(labels, np.concatenate(kept))

    return Part(write, name)


def written(
    batches: Iterable[Batch], kept: list[Array], name: Callable[[int], str], options: Options
) -> Iterator[Array]:
    """The images of batches as they are to be, all of one size; their labels are added to `kept`."""
    count, shape = 0, None
    for batch in batches:
        images = resized(in_channels(batch.images, options, partial(shifted, name, count)), options.size)
        shape = shape or images.shape[1:]
        if images.shape[1:] != shape:
            raise InputError(
                f"{name(count)}: {size(images.shape[1:])} pixels where {name(0)} has {size(shape)}; "
                f"set dataset.image_size to the one that all are to have, as in [{shape[0]}, {shape[1]}]"
            )
        kept.append(as_bytes(batch.labels, options.first_label, partial(shifted, name, count)))
        count += len(images)
        yield images


def shifted(name: Callable[[int], str], first: int, k: int) -> str:
    """The name of the k-th image after a first one."""
    return name(first + k)


def as_bytes(labels: Array, first: int, name: Callable[[int], str]) -> Array:
    """Labels that count from `first` as bytes that count from 0."""
    from_0 = labels.astype(np.int64) - first
    if len(wrong := np.flatnonzero((from_0 < 0) | (from_0 >= MOST_CLASSES))):
        label = labels[wrong[0]]
        if label < 0:
            raise InputError(f"{name(wrong[0])}: label {label} is below 0; save labels that count from 0")
        if label < first:
            raise InputError(f"{name(wrong[0])}: label {label} is below dataset.first_label, {first}; set that lower")
        raise InputError(f"{name(wrong[0])}: label {label} is beyond the {MOST_CLASSES} that are possible; fix it")
    return from_0.astype(np.uint8)


def check_labels(dtype: Any, shape: tuple[int, ...], place: str) -> None:
    """Raise InputError unless an array of this kind can be labels, one whole number an image."""
    if np.dtype(dtype).kind not in "iub":
        raise InputError(f"{place}: {dtype} where whole numbers are expected; save it .astype('uint8')")
    if len(shape) == 2 and shape[1] > 1:
        raise InputError(
            f"{place}: {shape[1]} numbers an image, as of one-hot labels, where one is expected; save its .argmax(1)"
        )
    if len(shape) not in (1, 2):
        raise InputError(f"{place}: an array of {shape} where (n,) is expected; save one label an image")


def in_channels(images: Array, options: Options, name: Callable[[int], str]) -> Array:
    """Images (n, height, width, 3) if colours are kept, else (n, height, width).

    Raises InputError for those that have colours if nothing says whether they keep them.
    """
    if options.channels == COLOUR:
        return images if images.ndim == 4 else np.stack([images] * COLOUR, 3)
    if images.ndim == 3:
        return images
    red, green, blue = (images[..., k] for k in range(3))
    if options.channels is None:
        coloured = ((red != green) | (green != blue)).reshape(len(images), -1).any(1)
        if coloured.any():
            raise InputError(f"{name(int(coloured.argmax()))}: {IN_COLOUR}")
    shades: Array = images.astype(np.uint32) @ np.array(LUMA, np.uint32)
    return ((shades + 0x8000) >> 16).astype(np.uint8)


def resized(images: Array, shape: tuple[int, int] | None) -> Array:
    """Images in another size, whatever their proportions: the mean of areas to shrink, else bicubic."""
    if shape is None or images.shape[1:3] == shape:
        return images
    return np.stack([shrunk(Image.fromarray(image), shape) for image in images])


def shrunk(image: Image.Image, shape: tuple[int, int]) -> Array:
    """A picture in another size."""
    smaller = shape[0] <= image.height and shape[1] <= image.width
    way = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
    return np.asarray(image.resize((shape[1], shape[0]), way))


def shape_of(pixels: int, options: Options, place: str) -> tuple[int, ...]:
    """The shape of an image that comes as a row of pixels: dataset.image_size if it has so many, else a square.

    If colours are kept, three numbers may be a pixel: red, green and blue, before those of the next one.
    """
    kinds: list[tuple[int, ...]] = [(COLOUR,), ()] if options.channels == COLOUR else [()]
    for channels in kinds:
        side = math.isqrt(pixels // math.prod(channels))
        for shape in (options.size, (side, side)):
            if shape and pixels and math.prod((*shape, *channels)) == pixels:
                return (*shape, *channels)
    colours = ", and dataset.channels to 3 if they are colours" * (kinds == [()] and pixels % COLOUR == 0)
    raise InputError(f"{place}: {pixels:,} pixels are no square; set dataset.image_size to height and width{colours}")


def size(shape: tuple[int, ...]) -> str:
    """Height and width in words."""
    return "×".join(map(str, shape[:2]))
