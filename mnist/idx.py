"""The IDX file format: a big-endian header of magic number and dimensions, then the array's bytes.

Two kinds occur here: images, uint8 (n, height, width) or in colour (n, height, width, 3), and labels, uint8 (n,).
Described by Yann LeCun on the page where MNIST first appeared, yann.lecun.com/exdb/mnist.
"""

import contextlib
import gzip
import math
import shlex
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.errors import InputError

UINT8 = 0x08
CHUNK = 1 << 20  # bytes
LARGEST_SIDE = 4096  # pixels
GZIP, PLAIN, COLOUR = b"\x1f\x8b", b"\0\0\x08", b"\0\0\x08\x04"  # how files begin
ELEMENTS = {  # by the third byte of a file
    0x08: "unsigned bytes",
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
MEANT = {1: "labels", 3: "images", 4: "images in colour"}  # by the fourth, the number of dimensions
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
    bomb does no harm. Raises InputError for a file that is not a whole IDX file of bytes with so many dimensions: 1 for
    labels, 3 for images, which may have a fourth of red, green and blue.
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
    """Read and check an IDX header; returns its bytes and the shape. Images may have a fourth dimension, of colours."""
    head = stream.read(4)
    found = 4 if dimensions == 3 and head == COLOUR else dimensions
    head += stream.read(4 * found)
    if len(head) < 4 + 4 * found:
        raise InputError(f"{source}: {len(head)} bytes are too few for the header of an IDX file; fetch it again")
    magic, *shape = struct.unpack(f">{1 + found}I", head)
    if magic != UINT8 << 8 | found:
        raise InputError(f"{source}: {unlike(head, source, dimensions)}")
    if not shape[0]:
        raise InputError(f"{source}: holds nothing, its header says 0; fetch it again")
    if any(not 1 <= side <= LARGEST_SIDE for side in shape[1:3]):
        raise InputError(
            f"{source}: its header says images of {shape[1]}×{shape[2]} pixels, where 1 to {LARGEST_SIDE} a side "
            "are possible; fetch it again"
        )
    if shape[3:] not in ([], [3]):
        raise InputError(
            f"{source}: its header says {shape[3]} numbers a pixel, where 3 are possible, for red, green and blue; "
            "save it so, or grey, without the fourth dimension"
        )
    return head, tuple(shape)


def unlike(head: bytes, source: Path, dimensions: int) -> str:
    """What a file is that does not begin as an IDX file of bytes with so many dimensions does, and what to do."""
    name = shlex.quote(str(source))
    if head.startswith(GZIP):
        if source.suffix != ".gz":
            return f"gzip, without .gz at the end of its name; `mv {name} {name}.gz`"
        plain = shlex.quote(str(source.with_suffix("")))
        return f"gzipped twice; `gunzip {name} && mv {plain} {name}`"
    if other := kind(head):
        return other
    wanted = f"{MEANT[dimensions]} are expected"
    if head[:2] == b"\0\0" and head[2] in ELEMENTS and 1 <= head[3] <= 4:
        element, found = ELEMENTS[head[2]], head[3]
        if head[2] != UINT8:
            return f"an IDX file of {element}, where {wanted} in unsigned bytes; save it as uint8"
        what = MEANT.get(found, f"{found} dimensions")
        return f"an IDX file of {what}, where {wanted}; is it the right file?"
    (magic,) = struct.unpack(">I", head[:4])
    return f"starts with {magic:#010x} where an IDX file of {MEANT[dimensions]} starts with " + (
        f"{UINT8 << 8 | dimensions:#010x}; is it the right file?"
    )


def read(path: Path, dimensions: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A plain IDX file as a read-only, memory-mapped array. Raises InputError as `unpack` does."""
    with reading(path) as stream:
        head, shape = header(stream, path, dimensions)
    offset = len(head)
    if (size := path.stat().st_size) != offset + math.prod(shape):
        raise InputError(
            f"{path}: {size:,} bytes where its header promises {offset + math.prod(shape):,}; fetch it again"
        )
    return np.memmap(path, np.uint8, "r", offset, shape)


def write(path: Path, array: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Write a uint8 array as a plain IDX file."""
    write_all(path, [array])


def write_all(path: Path, arrays: Iterable[np.ndarray[Any, np.dtype[np.uint8]]]) -> None:
    """Write uint8 arrays, which differ in length alone, one after the other as one plain IDX file."""
    count, shape = 0, (0,)
    with path.open("wb") as out:
        for array in arrays:
            if not out.tell():
                shape = array.shape
                out.write(bytes(4 + 4 * array.ndim))  # for the header, when their number is known
            out.write(np.ascontiguousarray(array).reshape(-1).data)
            count += len(array)
        out.seek(0)
        out.write(struct.pack(f">{1 + len(shape)}I", UINT8 << 8 | len(shape), count, *shape[1:]))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, through gzip if it is called so, with the errors of damaged gzip as InputError."""
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        with path.open("rb") as start:
            raise InputError(f"{path}: {wrong_with_gzip(start.read(8), error, path)}") from error


def wrong_with_gzip(head: bytes, error: Exception, path: Path) -> str:
    """Why a file that begins so cannot be gunzipped, and what to do."""
    name, plain = shlex.quote(str(path)), shlex.quote(str(path.with_suffix("")))
    if isinstance(error, EOFError) or head == GZIP[:1]:
        return "ends within its gzip data, as when a download broke off; fetch it again"
    if head.startswith(PLAIN):
        return f"a plain IDX file, not a gzip one; `mv {name} {plain}`"
    if head.startswith(GZIP) and "Not a gzipped file" in str(error):  # where one more gzip stream could begin
        return (
            "goes on after the end of its gzip data, and not with gzip; fetch it again, or leave that out: "
            f"`zcat {name} > {plain}; rm {name}`"
        )
    if head.startswith(GZIP):
        return f"damaged gzip file ({error}); fetch it again"
    return kind(head) or f"not a gzip file though called so (it starts with {head[:4]!r}); fetch it again"


def kind(head: bytes) -> str | None:
    """What a file that begins so is, and what to do; None if that is not known."""
    return next(
        (f"{what}; {remedy}" for start, (what, remedy) in KINDS.items() if head.lstrip().startswith(start)), None
    )
