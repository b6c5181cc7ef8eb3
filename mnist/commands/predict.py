"""What a model says of pictures: anybody's own, folders of them, or IDX files."""

import csv
import functools
import io
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mnist.commands import trained
from pipeline import console, files
from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from mnist.dataset import Array
    from mnist.models import Description

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp")  # of what counts in a folder
UNSURE = 0.8  # answers of a lower probability are called unsure
BATCH = 16  # images that the model always computes together
AT_A_TIME = 512  # images between two reports of progress
DRAWN = 99  # images in a picture, at most
LONGEST = 20  # letters of a file's name in a picture


class Picture(NamedTuple):
    """One picture: its name, and what loads it as a model takes it, or raises InputError or OSError."""

    name: str
    load: Callable[[], "Array"]


class Answer(NamedTuple):
    """What a model says of one picture: uint8 (height, width), float32 (classes,)."""

    name: str
    image: "Array"
    chances: "Array"
    label: str

    @property
    def chance(self) -> Any:
        """The probability of the class that is named."""
        return self.chances.max()

    @property
    def unsure(self) -> bool:
        """Whether that is too low to rely on."""
        return bool(self.chance < UNSURE)


def predict(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures, folders of them, or IDX files.")],
    revision: Annotated[str, typer.Option(help="Whose model: a commit, tag, branch, experiment.")] = trained.WORKSPACE,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help=f"Draw the first {DRAWN} as PNG.", callback=console.writable)
    ] = None,
) -> None:
    """Print what a model takes each picture for and how probable that is: "unsure" if that is below 0.8.

    Handwriting is prepared as MNIST was: found on its paper, cut out, scaled and centred, bright on dark. In a folder,
    all PNG, JPEG, WebP, GIF, TIFF and BMP files count, also those deeper down, in the order of their names. What is
    wrong with a picture is a line on stderr, and the exit status then is 1; the others are answered all the same.

    Example: python -m mnist predict seven.png photos/ --picture answers.png
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one")
    from mnist import numerics

    numerics.pin(threads=1)
    model, description = trained.read(revision)
    numerics.warn("predict", "cpu")
    found = [each for name in images for each in pictures(name, description)]
    table = csv.writer(sys.stdout, lineterminator="\n")
    if as_csv:
        table.writerow(["file", "class", "probability", "unsure", *(f"p{k}" for k in range(len(description.classes)))])
    rows: list[dict[str, Any]] = []
    drawn: list[Answer] = []
    answered = 0
    with console.progress("predicting", len(found)) as advance:
        for answer in answers(found, model, description):
            advance(1)
            if isinstance(answer, str):
                console.complain(answer)
                continue
            answered += 1
            drawn += [answer] * (picture is not None and len(drawn) < DRAWN)
            if as_csv:
                unsure = str(answer.unsure).lower()
                table.writerow([answer.name, answer.label, answer.chance, unsure, *answer.chances.astype(str)])
            elif as_json:
                rows.append(as_row(answer, description.classes))
            else:
                print(f"{printable(answer.name)}  {answer.label}  {answer.chance:.4f}" + "  unsure" * answer.unsure)
    if as_json:
        print(json.dumps(rows, indent=2))
    if picture and drawn:
        files.replace(picture, draw(drawn, answered, description.classes))
    if answered < len(found):
        raise typer.Exit(1)


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
    """The images of an IDX file, plain or gzipped, uint8 (n, height, width)."""
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


def answers(found: Sequence[Picture], model: "nn.Module", description: "Description") -> Iterator[Answer | str]:
    """What the model says of each picture, in their order; in place of an answer, why there is none, in one line."""
    for start in range(0, len(found), AT_A_TIME):
        chunk = found[start : start + AT_A_TIME]
        loaded = [load(picture) for picture in chunk]
        images = [image for image in loaded if not isinstance(image, str)]
        chances = iter(probabilities(model, images))
        for picture, image in zip(chunk, loaded, strict=True):
            if isinstance(image, str):
                yield image
            else:
                each = next(chances)
                yield Answer(picture.name, image, each, description.classes[each.argmax()])


def load(picture: Picture) -> "Array | str":
    """A picture as a model takes it, or why it cannot be had, in one line."""
    try:
        return picture.load()
    except InputError as error:
        return f"{printable(picture.name)}: {error}"
    except OSError as error:
        return f"{printable(picture.name)}: {console.refused(error)}"


def probabilities(model: "nn.Module", images: "Sequence[Array]") -> "Array":
    """Class probabilities, float32 (n, classes), of images as the model takes them, uint8 (height, width).

    They do not depend on which images are computed together: libraries choose how to add up by the size of a batch, so
    that is always the same, and blank images fill up the last one.
    """
    import numpy as np

    from mnist import predict

    if not images:
        return np.empty((0, 0), np.float32)
    blank = [np.zeros_like(images[0])] * (-len(images) % BATCH)
    return predict.probabilities(model, np.stack([*images, *blank]), BATCH)[: len(images)]


def printable(name: str) -> str:
    """A file's name in one line: what cannot be printed as Python writes it, also bytes that are no UTF-8."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)


def as_row(answer: Answer, classes: list[str]) -> dict[str, Any]:
    """An answer as JSON has it."""
    return {
        "file": answer.name,
        "class": answer.label,
        "probability": exact(answer.chance),
        "unsure": answer.unsure,
        "probabilities": dict(zip(classes, map(exact, answer.chances), strict=True)),
    }


def exact(chance: Any) -> float:
    """A float32 as the shortest number that reads back as the same."""
    return float(str(chance))


def draw(drawn: list[Answer], answered: int, classes: list[str]) -> bytes:
    """Images as the model took them, each beside its bars, as PNG."""
    import numpy as np

    from mnist import plots
    from mnist.predictions import Predictions

    plots.settle()
    chances = np.stack([answer.chances for answer in drawn])
    results = Predictions(classes, chances.argmax(1), chances.argmax(1), chances)
    title = (
        f"The first {len(drawn)} of {answered:,} pictures"
        if answered > len(drawn)
        else "The pictures as the model takes them"
    )
    out = io.BytesIO()
    images = np.stack([answer.image for answer in drawn])
    captions = [caption(answer) for answer in drawn]
    plots.save(plots.predictions(images, results, range(len(drawn)), title, captions), out)
    return out.getvalue()


def caption(answer: Answer) -> str:
    """What stands above an image: the end of its file's name, its class, and whether that is unsure."""
    from mnist import plots

    name, (label,) = printable(Path(answer.name).name), plots.short([answer.label])
    return f"{name if len(name) <= LONGEST else f'…{name[1 - LONGEST :]}'}: {label}" + ", unsure" * answer.unsure
