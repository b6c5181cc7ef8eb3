"""What a model says of pictures: anybody's own, folders of them, or IDX files."""

import contextlib
import csv
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mnist.commands import arguments, trained
from mnist.commands.arguments import Picture
from mnist.formats.names import printable
from pipeline import console, files

if TYPE_CHECKING:
    from torch import nn

    from mnist.dataset import Array
    from mnist.models import Description

UNSURE = 0.8  # answers of a lower probability are called unsure
BATCH = 16  # images that the model always computes together
AT_A_TIME = 512  # images between two reports of progress
DRAWN = 99  # images in a picture, at most
LONGEST = 20  # letters of a file's name in a picture


class Answer(NamedTuple):
    """What a model says of one picture: uint8 (height, width) or (height, width, 3), float32 (classes,)."""

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
    found = [each for name in images for each in arguments.pictures(name, description)]
    drawn: list[Answer] = []
    answered = 0
    with console.progress("predicting", len(found)) as advance, printing(as_json, as_csv, description.classes) as show:
        for answer in answers(found, model, description):
            advance(1)
            if isinstance(answer, str):
                console.complain(answer)
                continue
            answered += 1
            drawn += [answer] * (picture is not None and len(drawn) < DRAWN)
            show(answer)
    if picture and drawn:
        files.replace(picture, draw(drawn, answered, description.classes))
    if answered < len(found):
        raise typer.Exit(1)


@contextlib.contextmanager
def printing(as_json: bool, as_csv: bool, classes: list[str]) -> Iterator[Callable[[Answer], None]]:
    """What prints each answer: as a row of CSV, as part of a JSON list that is printed in the end, or as text."""
    if as_json:
        rows: list[dict[str, Any]] = []
        yield lambda answer: rows.append(as_row(answer, classes))
        print(console.as_json(rows))
    elif as_csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(["file", "class", "probability", "unsure", *(f"p{k}" for k in range(len(classes)))])
        yield lambda answer: table.writerow(
            [answer.name, answer.label, answer.chance, str(answer.unsure).lower(), *answer.chances.astype(str)]
        )
    else:
        yield lambda answer: print(
            f"{printable(answer.name)}  {answer.label}  {answer.chance:.4f}" + "  unsure" * answer.unsure
        )


def answers(found: Sequence[Picture], model: "nn.Module", description: "Description") -> Iterator[Answer | str]:
    """What the model says of each picture, in their order; in place of an answer, why there is none, in one line."""
    for start in range(0, len(found), AT_A_TIME):
        chunk = found[start : start + AT_A_TIME]
        loaded = [arguments.load(picture) for picture in chunk]
        images = [image for image in loaded if not isinstance(image, str)]
        chances = iter(probabilities(model, images))
        for picture, image in zip(chunk, loaded, strict=True):
            if isinstance(image, str):
                yield image
            else:
                each = next(chances)
                yield Answer(picture.name, image, each, description.classes[each.argmax()])


def probabilities(model: "nn.Module", images: "Sequence[Array]") -> "Array":
    """Class probabilities, float32 (n, classes), of images as the model takes them, uint8 of its `image_shape`.

    They do not depend on which images are computed together: libraries choose how to add up by the size of a batch, so
    that is always the same, and blank images fill up the last one.
    """
    import numpy as np

    from mnist import predict

    if not images:
        return np.empty((0, 0), np.float32)
    blank = [np.zeros_like(images[0])] * (-len(images) % BATCH)
    return predict.probabilities(model, np.stack([*images, *blank]), BATCH)[: len(images)]


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
