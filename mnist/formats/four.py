"""IDX files of images and labels, gzipped or not, under any of the names in use."""

import math
import re
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mnist import idx
from mnist.formats.parts import COLOUR, Batch, Found, Options, Part, as_bytes, written
from mnist.raw import IMAGES, LABELS
from pipeline.errors import InputError

# MNIST's own, with a dot for a dash, in upper case, called .idx as well; EMNIST's and QMNIST's; `val` for validation
NAME = re.compile(
    r"(?P<set>(?:[a-z0-9]+[-_])*)(?P<split>train|test|t10k|val|validation)[-_. ](?P<what>images|labels)"
    r"[-_.]idx[1-4]?(?:[-_.](?:ubyte|int))?(?:\.idx)?(?:\.gz)?",
    re.IGNORECASE,
)
SPLITS = {"train": "train", "test": "test", "t10k": "test", "val": "validation", "validation": "validation"}
QMNIST = 0x0C << 8 | 2  # its labels: 32-bit integers, eight columns, of which the first is the class
WANTED = {
    (split, what): names[split]
    for what, names in (("images", IMAGES), ("labels", LABELS))
    for split in ("train", "test")
}
Roles = dict[tuple[str, str], Path]


def roles(files: list[Path]) -> Roles:
    """Which of some files has the images and which the labels of each split, by their names.

    Raises InputError if two have the same role.
    """
    found: Roles = {}
    for path in files:
        if match := NAME.fullmatch(path.name):
            role = SPLITS[match["split"].lower()], match["what"].lower()
            if role in found:
                first, second = sorted((found[role].name, path.name), key=len)
                raise InputError(
                    f"{path.parent}: holds both {first} and {second}; remove the one that is not meant, or move it"
                )
            found[role] = path
    return found


def missing(found: Roles) -> list[str]:
    """The names of files that are not there, without which there is no data set."""
    missed = [name for role, name in WANTED.items() if role not in found]
    halves = (("validation", "images") in found) + (("validation", "labels") in found)
    if halves == 1:
        missed.append("validation " + ("labels" if ("validation", "images") in found else "images"))
    return missed


def data_set(found: Roles) -> Found:
    """What all the files are together."""
    parts, notes = {}, []
    for split in [split for split in ("train", "validation", "test") if (split, "images") in found]:
        images, labels = found[split, "images"], found[split, "labels"]
        turned = "emnist" in images.name.lower().split("-")
        if turned:
            notes.append(f"{images.name}: EMNIST's own, whose images lie on their sides; turned upright")
        parts[split] = Part(partial(write, images, labels, turned), partial(called, images))
    return Found("IDX files", parts, None, notes)


def called(images: Path, k: int) -> str:
    """The k-th image."""
    return f"{images}[{k}]"


def write(source: Path, source_labels: Path, turned: bool, images: Path, labels: Path, options: Options) -> None:
    """Unpack two files, and change what the options and their names say."""
    idx.unpack(source, images, 3)
    shape = idx.read(images, 3).shape[1:]
    as_wanted = (len(shape) == 3) == (options.channels == COLOUR) and options.size in (None, shape[:2])
    if turned or not as_wanted:
        plain = images.with_name(f".{images.name}.plain")
        images.rename(plain)
        found = idx.read(plain, 3)
        upright: Any = found.swapaxes(1, 2) if turned else found
        count = options.at_once(math.prod(shape[:2]))
        batches = (
            Batch(upright[k : k + count], np.zeros(len(upright[k : k + count]), np.uint8))
            for k in range(0, len(found), count)
        )
        wanted = Options(size=options.size, channels=options.channels)
        idx.write_all(images, written(batches, [], partial(called, source), wanted))
        plain.unlink()
    if columns := qmnist(source_labels):
        found = columns_of(source_labels, *columns)
    else:
        idx.unpack(source_labels, labels, 1)
        found = np.array(idx.read(labels, 1))
    if columns or options.first_label:
        idx.write(labels, as_bytes(found, options.first_label, partial(called, source_labels)))


def qmnist(path: Path) -> tuple[int, int] | None:
    """How many rows and columns a file of labels like QMNIST's has; None for any other."""
    with idx.reading(path) as stream:
        head = stream.read(12)
    if len(head) < 12 or struct.unpack_from(">I", head)[0] != QMNIST:
        return None
    rows, columns = struct.unpack_from(">II", head, 4)
    if not 1 <= columns <= 64 or not rows:
        raise InputError(f"{path}: its header says {rows:,} rows of {columns:,} numbers; fetch it again")
    return rows, columns


def columns_of(path: Path, rows: int, columns: int) -> Any:
    """The first column of a file of 32-bit integers."""
    parts, left = [], 4 * rows * columns
    with idx.reading(path) as stream:
        stream.read(12)
        while chunk := stream.read(min(4 * columns * 10_000, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise InputError(f"{path}: goes on after the {rows:,} rows its header promises; fetch it again")
            if len(chunk) % (4 * columns):
                break
            parts.append(np.frombuffer(chunk, ">i4").reshape(-1, columns)[:, 0])
    if left:
        raise InputError(f"{path}: ends {left:,} bytes before the {rows:,} rows its header promises; fetch it again")
    return np.concatenate(parts)
