"""Anybody's handwriting as a model takes it: prepared as MNIST was made. Other pictures are prepared as for training.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE 86
(1998), section III.A: a digit is scaled to fit 20×20 pixels, keeping its proportions, where anti-aliasing makes it
grey, and moved so that its centre of mass is the centre of 28×28. It is bright on dark. For images of other sizes
those 20 pixels grow or shrink with the 28.
"""

import contextlib
from typing import IO

import numpy as np
from PIL import Image
from scipy import ndimage

from mnist import pictures
from mnist.dataset import Array, Shape
from mnist.formats import photos
from mnist.formats.parts import COLOUR, Options
from mnist.ink import EDGE, NO_DIGIT, border, ink
from pipeline.errors import InputError

INNER = 20 / 28  # the part of an image's side that a digit takes
WHITE, BLACK = 0.15, 0.95  # of the usual ink: less than the first is paper, more than the second is black
SMALLEST = 8  # pixels of a digit's longer side
THINNEST = 1.7 / 28  # of the image: MNIST has one digit in twenty of thinner strokes; those of thin pens are widened
DUST = 0.03  # of the ink of the largest stroke: what has less is no stroke
LITTLE = 0.05  # of the ink of what reaches into a corner
CORNERS = ([0, 0, -1, -1], [0, -1, 0, -1])
NEIGHBOURS = np.ones((3, 3))  # of a pixel of a stroke, those at its corners too
BRIDGED = 0.04  # of the digit's size: a gap within a stroke
APART, TALL, FAR, MUCH = 0.06, 0.5, 0.3, 0.2  # of the digit's height, height, size and ink: how another one shows
SEVERAL = "several digits side by side; cut the picture, one digit each"


def read(file: IO[bytes], shape: Shape, handwriting: bool = True, most: int = pictures.MOST_PIXELS) -> Array:
    """The picture in a file, as `prepare` returns it; raises InputError as `pictures.read` and `prepare` do."""
    if handwriting and len(shape) == 2:
        return written(pictures.read(file, shape, most), shape)
    with pictures.named_errors(most):
        return as_trained(pictures.sized(file, most), shape)


def prepare(image: Image.Image, shape: Shape, handwriting: bool = True) -> Array:
    """A picture of any mode and size as a model takes it: uint8 of `shape`, (height, width) or (height, width, 3).

    Handwriting is prepared as MNIST was; if it has this size already and is bright on dark, it stays as it is, to the
    byte. What is not handwriting, or in colour, is prepared as the pictures were that the model was trained on. Raises
    InputError, which names no place, if there should be a digit and is none, or if there are several side by side.
    """
    if handwriting and len(shape) == 2:
        return written(pictures.pixels(image, shape), shape)
    return as_trained(image, shape)


def as_trained(image: Image.Image, shape: Shape) -> Array:
    """A picture made grey, or given three channels, and resized by the function that does it for training.

    Some that training refuses are taken here, as handwriting is: of several frames the first; what is transparent lies
    on paper that shows it; the white of floats, and of more than 16 bits, is guessed.
    """
    options = Options(size=(shape[0], shape[1]), channels=COLOUR if shape[2:] else 1)
    with contextlib.suppress(InputError):
        return photos.pixels(image, options)
    return photos.pixels(Image.fromarray(np.rint(pictures.pixels(image, shape)).astype(np.uint8)), options)


def written(shades: Array, shape: Shape) -> Array:
    """`prepare`, of handwriting: shades (height, width) in 0…255."""
    if shades.shape != shape or border(shades).mean() >= 128:
        return fitted(digit(ink(shades)), (shape[0], shape[1]))
    if np.ptp(shades) < pictures.LEAST_CONTRAST:
        raise InputError(NO_DIGIT)
    return np.rint(shades).astype(np.uint8)


def digit(ink: Array) -> Array:
    """The one digit there is, cut out of the ink: float32 in 0…1. Raises InputError if there is none or another."""
    labels, count = ndimage.label(ink > EDGE, NEIGHBOURS)
    if not count:
        raise InputError(NO_DIGIT)
    amounts = amount(labels, ink, count)
    inside = np.where(np.isin(np.arange(count + 1), labels[CORNERS]), 0, amounts)
    if inside.max() > LITTLE * amounts.max():
        amounts = inside  # what reaches into a corner is the table that the paper lies on
    strokes = (amounts >= DUST * amounts.max())[labels]
    size = max(np.ptp(np.flatnonzero(strokes.any(axis))) + 1 for axis in (0, 1))
    if size < SMALLEST:
        raise InputError(NO_DIGIT)
    groups, count = ndimage.label(widened(strokes, max(2, round(BRIDGED * size))), NEIGHBOURS)
    belongs = one_digit(np.where(strokes, groups, 0), ink, count)[groups]
    found = cut(np.where(belongs, (ink - WHITE) / (BLACK - WHITE), 0).clip(0, 1))
    missing = round(THINNEST / INNER * max(found.shape) - width(found > EDGE))
    return cut(widened(np.pad(found, missing), missing)) if missing > 0 else found


def amount(labels: Array, ink: Array, count: int) -> Array:
    """The ink of each of `count` labels, (count + 1,); none of label 0."""
    found = np.bincount(labels.ravel(), ink.ravel(), count + 1)
    found[0] = 0
    return found


def one_digit(groups: Array, ink: Array, count: int) -> Array:
    """Which groups of strokes, numbered from 1 in (h, w), are the digit, bool (count + 1,): the largest and those near.

    Raises InputError if there is another digit, as tall and beside the largest, or with as much ink and far from all.
    The bar of a 5 is neither, and no dash of a dashed line.
    """
    amounts = amount(groups, ink, count)
    much = amounts > MUCH * amounts.max()
    ends = [[(where.min(), where.max() + 1) for where in np.nonzero(groups == k)] for k in range(1, count + 1)]
    low, high = np.moveaxis(np.array([[(0, 0), (0, 0)], *ends]), 2, 0)
    whole = high[much].max(0) - low[much].min(0)
    belongs = amounts == amounts.max()
    beside = apart(low, high, belongs)[:, 1] > APART * whole[0]
    if (much & beside & (high - low > TALL * whole)[:, 0]).any():
        raise InputError(SEVERAL)
    while (near := (amounts > 0) & (apart(low, high, belongs).max(1) <= FAR * whole.max())).sum() > belongs.sum():
        belongs = near
    if (much & ~belongs).any():
        raise InputError(SEVERAL)
    return np.asarray(belongs)


def apart(low: Array, high: Array, chosen: Array) -> Array:
    """How far each box, from `low` to `high` (n, 2), is from that around the chosen ones; below 0: they overlap."""
    return np.asarray(np.maximum(low - high[chosen].max(0), low[chosen].min(0) - high))


def width(mask: Array) -> float:
    """How wide the strokes of a mask are on average, in pixels.

    A line of length l and width w has l w pixels, and over all directions 8 l / π sides of pixels at its edges.
    """
    sides = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    return float(8 / np.pi * mask.sum() / max(1, sides))


def widened(strokes: Array, by: int) -> Array:
    """Strokes that are wider by so many pixels: each of those has the largest value around it."""
    return np.asarray(ndimage.maximum_filter(strokes, 1 + by, mode="constant"))


def cut(ink: Array) -> Array:
    """Ink without the rows and columns at its edges that have none."""
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def fitted(digit: Array, shape: tuple[int, int]) -> Array:
    """A digit, float32 in 0…1, as large as fits into the middle of `shape`, its centre of mass in the centre: uint8."""
    scale = min(INNER * side / pixels for side, pixels in zip(shape, digit.shape, strict=True))
    height, width = (max(1, round(scale * pixels)) for pixels in digit.shape)
    small = np.asarray(Image.fromarray(digit).resize((width, height), Image.Resampling.HAMMING))
    top, left = (
        min(max(0, round(side / 2 - np.average(np.arange(pixels), weights=small.sum(across)))), side - pixels)
        for side, pixels, across in zip(shape, small.shape, (1, 0), strict=True)
    )
    image = np.zeros(shape, np.uint8)
    image[top : top + height, left : left + width] = np.rint(255 / small.max() * small)
    return image
