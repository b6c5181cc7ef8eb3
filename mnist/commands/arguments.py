"""The pictures that are named on the command line: files, folders of them, the images of IDX files."""

import functools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnist.formats.names import SUFFIXES, printable
from pipeline import console
from pipeline.errors import InputError

if TYPE_CHECKING:
    from mnist.dataset import Array
    from mnist.models import Description


class Picture(NamedTuple):
    """One picture: its name, and what loads it as a model takes it, or raises InputError or OSError."""

    name: str
    load: Callable[[], "Array"]


def pictures(name: str, description: "Description") -> Iterator[Picture]:
    """What an argument stands for: a file, those in a folder, or the images of an IDX file.

    An argument that stands for none is one picture, which raises the error when it is loaded.
    """
    from mnist import idx

    path = Path(name)
    try:
        if path.is_dir():
            for each in within(path):
                yield Picture(str(each), functools.partial(from_file, each, description))
        elif path.suffix == ".gz" or (path.is_file() and beginning(path).startswith((idx.GZIP, idx.PLAIN))):
            for k, image in enumerate(from_idx(path)):
                yield Picture(f"{name}[{k}]", functools.partial(from_array, image, description))
        else:
            yield Picture(name, functools.partial(from_file, path, description))
    except OSError as error:
        yield Picture(name, functools.partial(refuse, error))
    except InputError as error:
        yield Picture(name, functools.partial(refuse, InputError(str(error).removeprefix(f"{path}: "))))


def refuse(error: Exception) -> "Array":
    """Raise an error that was caught before."""
    raise error


def within(folder: Path) -> list[Path]:
    """The pictures in a folder and below it, sorted; what is hidden is none. Raises InputError if there are none."""
    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    if not found:
        raise InputError(f"no {' '.join(SUFFIXES)} in this folder; name one of pictures, or an IDX file itself")
    return sorted(found)


def beginning(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(4)


def from_idx(path: Path) -> "Array":
    """The images of an IDX file, plain or gzipped, uint8 (n, height, width) or (n, height, width, 3)."""
    from mnist import idx

    if path.suffix != ".gz":
        return idx.read(path, 3)
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "images")
        idx.unpack(path, plain, 3)
        return idx.read(plain, 3)  # it stays mapped when its name is gone


def from_array(image: "Array", description: "Description") -> "Array":
    """An image of an IDX file, as the model takes it."""
    from PIL import Image

    from mnist import handwriting

    return handwriting.prepare(Image.fromarray(image), description.image_shape, description.handwriting)


def from_file(path: Path, description: "Description") -> "Array":
    """The picture in a file, as the model takes it. Raises InputError or OSError if there is none."""
    from mnist import handwriting

    try:
        status = path.stat()
    except FileNotFoundError as error:
        what = "; standard input is not read" if str(path) == "-" else ""
        raise InputError(f"no such file{what}; name a picture, a folder of them or an IDX file") from error
    if not stat.S_ISREG(status.st_mode):
        raise InputError("not a file; name a picture, a folder of them or an IDX file")
    if not status.st_size:
        raise InputError("an empty file; save the picture again")
    with path.open("rb") as file:
        return handwriting.read(file, description.image_shape, description.handwriting)


def load(picture: Picture) -> "Array | str":
    """A picture as a model takes it, or why it cannot be had, in one line."""
    try:
        return picture.load()
    except InputError as error:
        return f"{printable(picture.name)}: {error}"
    except OSError as error:
        return f"{printable(picture.name)}: {console.refused(error)}"
