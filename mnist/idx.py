"""The IDX file format: a big-endian header of magic number and dimensions, then the array's bytes.

Two kinds occur here: images, uint8 (n, height, width), and labels, uint8 (n,).
Described by Yann LeCun on the page where MNIST first appeared, yann.lecun.com/exdb/mnist.
"""

import contextlib
import gzip
import math
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.errors import InputError

UINT8 = 0x08
CHUNK = 1 << 20  # bytes
LARGEST_SIDE = 4096  # pixels
GZIP, PLAIN = b"\x1f\x8b", b"\0\0\x08"  # how files begin
KINDS = {  # how others begin, of those that are given for IDX files: what they are, and what to do
    b"PK": ("a zip archive", "unzip it"),
    b"BZh": ("packed by bzip2", "bunzip2 it"),
    b"\xfd7zXZ": ("packed by xz", "unxz it"),
    b"<": ("a page of HTML or XML, as servers send when they lack a file", "fetch the file itself"),
    b"version ": ("a pointer of Git LFS", "`git lfs pull` brings the file"),
}


def unpack(source: Path, target: Path, dimensions: int) -> None:
    """Copy an IDX file, gunzipped if its name ends in .gz, checking it on the way.

    Takes a chunk of memory whatever the file's size, and stops as soon as header and content disagree, so that a gzip
    bomb does no harm. Raises InputError for a file that is not a whole IDX file of bytes with so many dimensions.
    """
    with reading(source) as stream, target.open("wb") as out:
        head, shape = header(stream, source, dimensions)
        size = math.prod(shape)
        free = shutil.disk_usage(target.parent).free
        if size > free:
            raise InputError(f"{source}: its header promises {size:,} bytes, the disk has {free:,} left; make room")
        out.write(head)
        left = size
        while chunk := stream.read(min(CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{source}: goes on after the {size:,} bytes its header promises; fetch it again")
            out.write(chunk)
        if left:
            raise InputError(f"{source}: ends {left:,} bytes before the {size:,} its header promises; fetch it again")


def header(stream: IO[bytes], source: Path, dimensions: int) -> tuple[bytes, tuple[int, ...]]:
    """Read and check an IDX header; returns its bytes and the shape."""
    length = 4 + 4 * dimensions
    head = stream.read(length)
    if len(head) < length:
        raise InputError(f"{source}: {len(head)} bytes are too few for the header of an IDX file; fetch it again")
    magic, *shape = struct.unpack(f">{1 + dimensions}I", head)
    expected = UINT8 << 8 | dimensions
    if magic != expected:
        if head.startswith(GZIP):
            twice = source.suffix == ".gz"
            raise InputError(
                f"{source}: " + ("gzipped twice; gunzip it once" if twice else "gzip; add .gz to its name")
            )
        if other := kind(head):
            raise InputError(f"{source}: {other}")
        raise InputError(
            f"{source}: starts with {magic:#010x} where an IDX file of {'images' if dimensions > 1 else 'labels'} "
            f"starts with {expected:#010x}; is it the right file?"
        )
    if not shape[0]:
        raise InputError(f"{source}: holds nothing, its header says 0; fetch it again")
    if any(not 1 <= side <= LARGEST_SIDE for side in shape[1:]):
        raise InputError(
            f"{source}: its header says images of {shape[1]}×{shape[2]} pixels, where 1 to {LARGEST_SIDE} a side "
            "are possible; fetch it again"
        )
    return head, tuple(shape)


def read(path: Path, dimensions: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A plain IDX file as a read-only, memory-mapped array. Raises InputError as `unpack` does."""
    with reading(path) as stream:
        _, shape = header(stream, path, dimensions)
    offset = 4 + 4 * dimensions
    if (size := path.stat().st_size) != offset + math.prod(shape):
        raise InputError(
            f"{path}: {size:,} bytes where its header promises {offset + math.prod(shape):,}; fetch it again"
        )
    return np.memmap(path, np.uint8, "r", offset, shape)


def write(path: Path, array: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Write a uint8 array as a plain IDX file."""
    with path.open("wb") as out:
        out.write(struct.pack(f">{1 + array.ndim}I", UINT8 << 8 | array.ndim, *array.shape))
        np.ascontiguousarray(array).tofile(out)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, through gzip if it is called so, with the errors of damaged gzip as InputError."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        with path.open("rb") as start:
            raise InputError(f"{path}: {wrong_with_gzip(start.read(8), error)}") from error


def wrong_with_gzip(head: bytes, error: Exception) -> str:
    """Why a file that begins so cannot be gunzipped, and what to do."""
    if isinstance(error, EOFError) or head == GZIP[:1]:
        return "ends within its gzip data, as when a download broke off; fetch it again"
    if head.startswith(PLAIN):
        return "a plain IDX file, not a gzip one; take .gz off its name"
    if head.startswith(GZIP) and "Not a gzipped file" in str(error):  # where one more gzip stream could begin
        return "goes on after the end of its gzip data, and not with gzip; fetch it again"
    if head.startswith(GZIP):
        return f"damaged gzip file ({error}); fetch it again"
    return kind(head) or f"not a gzip file though called so (it starts with {head[:4]!r}); fetch it again"


def kind(head: bytes) -> str | None:
    """What a file that begins so is, and what to do; None if that is not known."""
    return next(
        (f"{what}; {remedy}" for start, (what, remedy) in KINDS.items() if head.lstrip().startswith(start)), None
    )
