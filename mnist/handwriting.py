"""Pictures as a model takes them: anybody's handwriting, prepared as MNIST was made.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE 86
(1998), section III.A: a digit is scaled to fit 20×20 pixels, keeping its proportions, where anti-aliasing makes it
grey, and moved so that its centre of mass is the centre of 28×28. It is bright on dark. For images of other sizes
those 20 pixels grow or shrink with the 28.

Before that, the picture becomes ink on nothing. The paper is a quadratic surface, fitted so that the ink does not bend
it; what deviates from it, mostly to one side, is ink, whether darker than the paper or brighter.
"""

import warnings
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist.dataset import Array
from pipeline.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
MOST_PIXELS = 50_000_000  # of a picture, looked at before it is decoded: a telephone's 48 megapixels, 200 MB of memory
WORKING = 256  # pixels of the longer side, at most, on which the digit is looked for
INNER = 20 / 28  # the part of an image's side that a digit takes
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, as Pillow has it
FAINTEST = 20  # shades of 255 by which ink differs from paper,
CLEAREST = 4  # and standard deviations of the paper's noise
WHITE, EDGE, BLACK = 0.15, 0.5, 0.95  # of the usual ink: up to the first is paper, from the second on a stroke
SMALLEST = 8  # pixels of a digit's longer side
THINNEST = 1.7 / 28  # of the image: MNIST has one digit in twenty of thinner strokes; those of thin pens are widened
SAMPLES = 40  # pixels a side from which the paper is known
BENDING = ((3, 4), (3, 8), (3, 8), (6, 8), (6, 12), (6, 12), (6, 24), (6, 24), (6, 24))  # terms; contrast / near it
DUST = 0.03  # of the ink of the largest stroke: what has less is no stroke
LITTLE = 0.05  # of the ink of what reaches into a corner
CORNERS = ([0, 0, -1, -1], [0, -1, 0, -1])
BRIDGED = 0.04  # of the digit's size: a gap within a stroke
APART, TALL, FAR, MUCH = 0.06, 0.5, 0.3, 0.2  # of the digit's height, height, size and ink: how another one shows
NO_DIGIT = "no digit found; draw one larger or darker, on plain paper"
SEVERAL = "several digits side by side; cut the picture, one digit each"


def read(file: IO[bytes], shape: tuple[int, int], handwriting: bool = True, most: int = MOST_PIXELS) -> Array:
    """The picture in a file, as `prepare` returns it; of several frames or pages the first.

    Raises InputError, which names no place, if the file is no picture, is damaged, has more than `most` pixels, or is
    refused by `prepare`.
    """
    try:
        image = opened(file, most)
        pixels = grey(image)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"not a picture that is read here; save it as {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"more than {most:,} pixels; make it smaller") from error
    except Exception as error:  # what damaged pictures bring about is not only what Pillow documents
        raise InputError(f"a damaged picture ({error}); save it again") from error
    return as_taken(pixels, shape, handwriting)


def prepare(image: Image.Image, shape: tuple[int, int], handwriting: bool = True) -> Array:
    """A picture of any mode and size as a model takes it: uint8 (height, width), of `shape`.

    Handwriting is prepared as MNIST was; if it has this size already and is bright on dark, it stays as it is, to the
    byte. What is not handwriting is made grey and resized, no more. Raises InputError, which names no place, if there
    is no digit, or if there are several side by side.
    """
    return as_taken(grey(image), shape, handwriting)


def opened(file: IO[bytes], most: int) -> Image.Image:
    """A picture of which nothing but the size is known yet, held against `most` pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(file, formats=FORMATS)
    if image.width * image.height > most:
        raise InputError(f"{image.width:,}×{image.height:,} pixels are more than {most:,}; make it smaller")
    image.draft("L", (2 * WORKING, 2 * WORKING))  # a JPEG then is decoded to not much more
    return image


def grey(image: Image.Image) -> Array:
    """The shades of a picture, turned upright, as (height, width) in 0…255, with at most WORKING pixels a side."""
    image = ImageOps.exif_transpose(image)
    deep = image.mode[0] in "IF"  # 16 bits a pixel or more
    clear = not deep and image.has_transparency_data
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") and not deep:
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB"))  # the others are made of these
    wanted = "F" if deep else "RGBA" if clear else "L"
    if image.mode != wanted:
        image = image.convert(wanted)
    if (factor := -(-max(image.size) // WORKING)) > 1:
        image = image.reduce(factor)
    pixels = np.asarray(image)
    if clear:
        return on_paper(pixels[..., :3] @ LUMA, pixels[..., 3] / np.float32(255))
    if deep:
        pixels = np.nan_to_num(pixels).clip(0)
        largest = pixels.max()
        pixels = pixels * (255 / next(white for white in (1, 255, 4095, 65535, largest) if largest <= white))
    return pixels


def on_paper(shades: Array, opacity: Array) -> Array:
    """Shades (h, w) in 0…255 of an opacity (h, w) in 0…1, on paper from which they stand out.

    A picture that is opaque in most places and shows something there has paper of its own, which goes on.
    """
    solid = shades[opacity > 0.5]
    if not len(solid):
        return np.zeros_like(shades)
    low, paper, high = np.percentile(solid, [2, 50, 98])
    if 2 * len(solid) < shades.size or high - low < FAINTEST:
        paper = 255 if paper < 128 else 0
    return opacity * shades + (1 - opacity) * np.float32(paper)


def as_taken(shades: Array, shape: tuple[int, int], handwriting: bool) -> Array:
    """`prepare`, of shades (height, width) in 0…255."""
    if not handwriting:
        return resized(shades, shape)
    if shades.shape != shape or border(shades).mean() >= 128:
        return fitted(digit(ink(shades)), shape)
    if np.ptp(shades) < FAINTEST:
        raise InputError(NO_DIGIT)
    return np.rint(shades).astype(np.uint8)


def resized(shades: Array, shape: tuple[int, int]) -> Array:
    """Shades in another size, uint8, anti-aliased."""
    if shades.shape != shape:
        image = Image.fromarray(shades.astype(np.float32))
        shades = np.asarray(image.resize(shape[::-1], Image.Resampling.HAMMING))
    return np.rint(shades).astype(np.uint8)


def ink(shades: Array) -> Array:
    """How much ink there is, float32 (h, w): 0 is paper, 1 the usual ink. Raises InputError if there is none."""
    found = shades - paper(shades)
    found *= np.sign((found * found * found).sum())  # most of what is far from the paper is ink
    noise = np.percentile(abs(found), 25) / 0.3186  # its standard deviation, were it normal; half may be ink
    least = max(3 * noise, FAINTEST / 2)
    usual = least
    for _ in range(5):
        above = found[found > max(least, usual * EDGE)]
        usual = above.mean() if len(above) else 0
    if usual < max(FAINTEST, CLEAREST * noise):
        raise InputError(NO_DIGIT)
    return np.asarray((found / usual).clip(0))


def paper(shades: Array) -> Array:
    """The paper's shades without the ink: a quadratic surface, float32 (h, w).

    It begins as flat as the picture's border, where there is the least ink, and bends in steps towards what is near it:
    what lies far off, as ink does, has little weight.
    """
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shades.shape)
    rows, columns = (slice(None, None, -(-side // SAMPLES)) for side in shades.shape)
    sample = shades[rows, columns].ravel().astype(np.float32)
    v, u = (each.ravel() for each in np.meshgrid(y[rows], x[columns], indexing="ij"))
    terms = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])
    contrast = max(1.0, float(np.ptp(sample)))
    off = sample - np.median(border(shades))
    for count, part in BENDING:
        weighted = terms[:count] / (off * off + (contrast / part) ** 2)
        products = weighted @ terms[:count].T
        products += 1e-6 * np.trace(products) * np.eye(count, dtype=np.float32)  # of a single row it would be singular
        factors = np.linalg.solve(products, weighted @ sample)
        off = sample - factors @ terms[:count]
    level, right, down, right2, both, down2 = factors
    return np.asarray((level + down * y + down2 * y * y)[:, None] + (right + both * y)[:, None] * x + right2 * x * x)


def border(shades: Array) -> Array:
    """The outermost pixels."""
    return np.concatenate([shades[0], shades[-1], shades[:, 0], shades[:, -1]])


def digit(ink: Array) -> Array:
    """The one digit there is, cut out of the ink: float32 in 0…1. Raises InputError if there is none or another."""
    labels, count = components(ink > EDGE)
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
    groups, count = components(widened(strokes, 1 + max(2, round(BRIDGED * size))))
    belongs = one_digit(np.where(strokes, groups, 0), ink, count)[groups]
    found = cut(np.where(belongs, (ink - WHITE) / (BLACK - WHITE), 0).clip(0, 1))
    missing = round(THINNEST / INNER * max(found.shape) - width(found > EDGE))
    return cut(widened(np.pad(found, missing), 1 + missing)) if missing > 0 else found


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


def components(mask: Array) -> tuple[Array, int]:
    """Number the parts of a mask (h, w) that hang together, if by a corner, from 1: int (h, w), and how many they are.

    Runs of pixels within a row are joined with those of the row above that they touch (Rosenfeld and Pfaltz 1966).
    """
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8))
    rows, begin = np.nonzero(edges == 1)
    end = np.nonzero(edges == -1)[1]
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    first, last = begin.tolist(), end.tolist()
    of_row = np.searchsorted(rows, np.arange(len(mask) + 1)).tolist()
    for upper, lower, below in zip(of_row, of_row[1:], of_row[2:], strict=False):
        above, here = upper, lower
        while above < lower and here < below:
            if first[above] <= last[here] and first[here] <= last[above]:
                parent[root(here)] = root(above)
            if last[above] < last[here]:
                above += 1
            else:
                here += 1
    roots, number = np.unique([root(run) for run in parent], return_inverse=True)
    labels = np.zeros(mask.shape, np.int64)
    labels[mask] = np.repeat(number + 1, end - begin)
    return labels, len(roots)


def width(mask: Array) -> float:
    """How wide the strokes of a mask are on average, in pixels.

    A line of length l and width w has l w pixels, and over all directions 8 l / π sides of pixels at its edges.
    """
    sides = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
    return float(8 / np.pi * mask.sum() / max(1, sides))


def widened(array: Array, size: int) -> Array:
    """The largest of the size × size values around each one: a line becomes wider by size − 1."""
    array = np.pad(array, (size // 2, (size - 1) // 2))
    for _ in range(2):
        reach = 1
        while reach < size:  # each step looks at twice as many
            step = min(reach, size - reach)
            array = np.maximum(array[step:], array[:-step])
            reach += step
        array = array.T
    return array


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
