"""An `.npz` file, as Keras and MedMNIST have them: arrays of images and labels by split, read without unpickling."""

import contextlib
import math
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from mnist.dataset import Array
from mnist.formats.names import left_out
from mnist.formats.parts import Batch, Found, Options, check_labels, shape_of, streamed
from mnist.idx import LARGEST_SIDE
from pipeline.errors import InputError

# the names of images and labels by split: Keras', MedMNIST's, and of a data set that is not split
NAMES = {
    "Keras": {"train": ("x_train", "y_train"), "validation": ("x_val", "y_val"), "test": ("x_test", "y_test")},
    "MedMNIST": {
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
    "images and labels": {"train": ("images", "labels")},
    "x and y": {"train": ("x", "y")},
}
OPTIONAL = {"validation"}


class Header(NamedTuple):
    """What an array in an archive says of itself."""

    dtype: Any
    shape: tuple[int, ...]
    columns_first: bool


def data_set(path: Path) -> Found:
    """The data set in a file. Raises InputError if it is damaged, or has not the arrays that make one."""
    with opened(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if not names:
            raise InputError(f"{path}: a zip archive without arrays; unzip it")
        if len(set(names)) < len(names):
            raise InputError(f"{path}: holds an array twice; save it again")
        maker, splits = arrays(names, path)
        parts = {}
        for split, (images, labels) in splits.items():
            heads = [header(archive, path, name) for name in (images, labels)]
            check(path, images, labels, *heads)
            parts[split] = streamed(partial(batches, path, images, labels), partial(called, path, images))
    used = {name for pair in splits.values() for name in pair}
    notes = left_out([name for name in names if name not in used], f"arrays of {path} are")
    return Found(f"npz ({maker})", parts, None, notes)


def arrays(names: list[str], path: Path) -> tuple[str, dict[str, tuple[str, str]]]:
    """Whose names these are, and the names of images and labels by split."""
    for maker, splits in NAMES.items():
        here = {split: pair for split, pair in splits.items() if split not in OPTIONAL or set(pair) & set(names)}
        wanted = [name for pair in here.values() for name in pair]
        if set(wanted) & set(names):
            if lacking := [name for name in wanted if name not in names]:
                raise InputError(
                    f"{path}: holds {', '.join(names)}, no {', no '.join(lacking)}; save these too, by that name"
                )
            return maker, here
    known = "; ".join(", ".join(name for pair in splits.values() for name in pair) for splits in NAMES.values())
    raise InputError(f"{path}: holds {', '.join(names[:8])}; save its arrays by the names of one of these: {known}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive, with the errors of a damaged one as InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, RuntimeError) as error:
        raise InputError(f"{path}: not a whole npz file ({error or 'cut off'}); fetch or save it again") from error


def header(archive: zipfile.ZipFile, path: Path, name: str) -> Header:
    """Read an array's header."""
    with archive.open(f"{name}.npy") as stream:
        return read_header(stream, path, name)


def read_header(stream: IO[bytes], path: Path, name: str) -> Header:
    """Read and check an array's header; version 1.0 alone, as the others may ask for any memory."""
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version[0]}.{version[1]}")
        shape, columns_first, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, TypeError, SyntaxError, OverflowError) as error:
        raise InputError(f"{path}: {name}: not an array ({str(error)[:200]}); save it again") from error
    if dtype.hasobject:
        raise InputError(
            f"{path}: {name}: Python objects, which only unpickling brings back, and that may run any code; "
            "save it .astype('uint8')"
        )
    return Header(dtype, shape, columns_first)


def check(path: Path, images: str, labels: str, of_images: Header, of_labels: Header) -> None:
    """Raise InputError if two arrays are no images and labels that belong together, or more than the disk holds."""
    place, (dtype, shape, columns_first) = f"{path}: {images}", of_images
    if dtype != np.uint8:
        also = ", times 255 if it reaches from 0 to 1" if dtype.kind == "f" else ""
        raise InputError(f"{place}: {dtype} where uint8 is expected; save it .astype('uint8'){also}")
    if columns_first or of_labels.columns_first:
        raise InputError(f"{place}: in Fortran's order; save np.ascontiguousarray(…) of it")
    if len(shape) not in (2, 3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise InputError(
            f"{place}: an array of {shape} where (n, height, width), with 1 or 3 channels last or without, or "
            "(n, pixels) is expected; save it so"
        )
    if not all(1 <= side <= LARGEST_SIDE for side in shape[1:3]) and len(shape) > 2:
        raise InputError(f"{place}: {shape}, where 1 to {LARGEST_SIDE} pixels a side are possible; save it again")
    check_labels(of_labels.dtype, of_labels.shape, f"{path}: {labels}")
    if shape[0] != of_labels.shape[0] or not shape[0]:
        raise InputError(
            f"{path}: {images} holds {shape[0]:,} images, {labels} {of_labels.shape[0]:,} labels; "
            "save the two that belong together"
        )
    free = shutil.disk_usage(path.parent).free
    if (promised := math.prod(shape)) > free:
        raise InputError(f"{place}: {promised:,} bytes, the disk has {free:,} left; make room")


def batches(path: Path, images: str, labels: str, options: Options) -> Iterator[Batch]:
    """The images and labels of two arrays."""
    with opened(path) as archive, archive.open(f"{labels}.npy") as first, archive.open(f"{images}.npy") as second:
        of_labels, of_images = read_header(first, path, labels), read_header(second, path, images)
        rows = of_images.shape[1:]
        shape = shape_of(rows[0], options, f"{path}: {images}") if len(rows) == 1 else rows
        shape = shape[:2] if shape[2:] == (1,) else shape
        most = options.at_once(math.prod(shape[:2]))
        for start in range(0, of_images.shape[0], most):
            count = min(most, of_images.shape[0] - start)
            answers = taken(first, of_labels, count, f"{path}: {labels}").reshape(count)
            yield Batch(taken(second, of_images, count, f"{path}: {images}").reshape(count, *shape), answers)
        for stream, name in ((first, labels), (second, images)):
            if stream.read(1):
                raise InputError(f"{path}: {name}: goes on after what its header promises; save it again")


def taken(stream: IO[bytes], of: Header, count: int, place: str) -> Array:
    """The next rows of an array."""
    wanted = count * math.prod(of.shape[1:]) * of.dtype.itemsize
    content = stream.read(wanted)
    if len(content) < wanted:
        raise InputError(f"{place}: ends before what its header promises; fetch or save it again")
    return np.frombuffer(content, of.dtype)


def called(path: Path, images: str, k: int) -> str:
    """The k-th image."""
    return f"{path}: {images}[{k}]"
