"""The shades or colours of a picture in a file: PNG, JPEG, WebP, GIF, TIFF or BMP, of any size and mode."""

import contextlib
import re
import struct
import warnings
from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist.dataset import Array
from pipeline.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
MOST_PIXELS = 50_000_000  # of a picture, looked at before it is decoded: a telephone's 48 megapixels, 200 MB of memory
WORKING = 256  # pixels of the longer side, at most, on which something is looked for
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, as Pillow has it
LEAST_CONTRAST = 20  # shades of 255 by which ink differs from paper
MOST_PARTS = 50_000  # strips or tiles of a TIFF: 25 µs and 300 bytes each
MOST_SCANS = 100  # of a JPEG, each of which goes through all its pixels; a progressive one has ten or so
SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")  # how one begins, of one to four channels
STRIPS, TILES = 273, 324  # a TIFF's tags that say where each is

warnings.filterwarnings("ignore", module="PIL")  # of every odd tag; what cannot be read is refused in a line of ours


def read(file: IO[bytes], shape: tuple[int, ...], most: int = MOST_PIXELS) -> Array:
    """The shades of the picture in a file, as `pixels` returns them; of several frames or pages those of the first.

    Raises InputError, which names no place, if the file is no picture, is damaged, or has more than `most` pixels.
    """
    with named_errors(most):
        return pixels(opened(file, most, shape), shape)


@contextlib.contextmanager
def named_errors(most: int = MOST_PIXELS) -> Iterator[None]:
    """Turn what pictures bring about that cannot be read into InputError."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"not a picture that is read here; save it as {', '.join(FORMATS)}") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"more than {most:,} pixels; make it smaller") from error
    except Exception as error:  # what damaged pictures bring about is not only what Pillow documents
        raise InputError(f"a damaged picture ({error}); save it again") from error


def opened(file: IO[bytes], most: int, shape: tuple[int, ...]) -> Image.Image:
    """A picture of which only shades are wanted, and nothing but the size is known yet, held against `most` pixels."""
    image = sized(file, most)
    enough = 2 * max(WORKING, *shape)
    image.draft("L", (enough, enough))  # a JPEG then is decoded to not much more
    return image


def sized(file: IO[bytes], most: int = MOST_PIXELS) -> Image.Image:
    """A picture that is not decoded yet. Raises InputError if that would take more than `most` pixels, or too long."""
    check_parts(file)
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > most:
        raise InputError(f"{image.width:,}×{image.height:,} pixels are more than {most:,}; make it smaller")
    return image


def check_parts(file: IO[bytes]) -> None:
    """Raise InputError if a picture has so many parts that its pixels do not tell what it takes to decode it.

    A JPEG of 180 kB can have 2,000 scans, each over 25 million pixels: a minute. libtiff has the same limit.
    """
    beginning = file.read(4)
    if beginning.startswith(b"\xff\xd8"):
        some = iter(lambda: file.read(1 << 20), b"")
        count, most, what = sum(len(SCAN.findall(each)) for each in some), MOST_SCANS, "scans"
    elif beginning in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        count, most, what = parts(file, beginning), MOST_PARTS, "strips or tiles"
    else:
        count, most, what = 0, 0, ""
    file.seek(0)
    if count > most:
        raise InputError(f"{count:,} {what} are more than {most:,}; save it again")


def parts(tiff: IO[bytes], beginning: bytes) -> int:
    """How many strips or tiles a TIFF's first page has, after its first four bytes; 0 if it does not say."""
    order = "<" if beginning.startswith(b"I") else ">"
    big = b"+" in beginning  # as files of more than 4 GB are
    offset, number, entry = (
        struct.Struct(order + each) for each in (("4xQ", "Q", "HHQ8x") if big else ("L", "H", "HHL4x"))
    )
    try:
        tiff.seek(*offset.unpack(tiff.read(offset.size)))
        (count,) = number.unpack(tiff.read(number.size))
        tags = entry.iter_unpack(tiff.read(min(count, 65536) * entry.size))
        return max((each for tag, _, each in tags if tag in (STRIPS, TILES)), default=0)
    except (struct.error, ValueError, OverflowError):  # Pillow will say what is wrong with it
        return 0


def pixels(image: Image.Image, shape: tuple[int, ...]) -> Array:
    """The shades of a picture, (height, width), or its colours, (height, width, 3), as `shape` has; in 0…255, upright.

    With at most WORKING pixels a side, or as many as a model takes that takes more.
    """
    colour = len(shape) == 3
    image = ImageOps.exif_transpose(image)
    deep = image.mode[0] in "IF"  # 16 bits a pixel or more
    clear = not deep and image.has_transparency_data
    if image.mode == "LAB" and not colour:
        image = image.getchannel("L")
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") and not deep:
        image = image.convert({"La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB"))  # the others are made of these
    wanted = "F" if deep else "RGBA" if clear else "RGB" if colour else "L"
    if image.mode != wanted:
        image = image.convert(wanted)
    if (factor := -(-max(image.size) // max(WORKING, *shape))) > 1:
        image = image.reduce(factor)
    found = np.asarray(image)
    if clear:
        shades = found[..., :3] @ LUMA
        return on_paper(found[..., :3] if colour else shades, shades, found[..., 3] / np.float32(255))
    if deep:
        found = np.nan_to_num(found).clip(0)
        largest = found.max()
        found = found * (255 / next(white for white in (1, 255, 4095, 65535, largest) if largest <= white))
    return np.dstack([found] * 3) if colour and found.ndim == 2 else found


def on_paper(pixels: Array, shades: Array, opacity: Array) -> Array:
    """Pixels, (h, w) or (h, w, 3), on paper from which they stand out: `shades` (h, w) in 0…255, `opacity` in 0…1.

    A picture that is opaque in most places and shows something there has paper of its own, which goes on.
    """
    solid = shades[opacity > 0.5]
    if not len(solid):
        return np.zeros_like(pixels)
    low, paper, high = np.percentile(solid, [2, 50, 98])
    if 2 * len(solid) < shades.size or high - low < LEAST_CONTRAST:
        paper = 255 if paper < 128 else 0
    if pixels.ndim == 3:
        opacity = opacity[..., None]
    return opacity * pixels + (1 - opacity) * np.float32(paper)
