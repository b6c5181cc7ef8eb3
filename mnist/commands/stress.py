"""How good a model is on pictures that are not of its data set."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import typer

from mnist.commands import trained
from mnist.commands.figures import plain
from pipeline import console
from pipeline.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn

    from mnist.dataset import Array
    from mnist.models import Description
    from mnist.stress import Change

ENOUGH = 10  # fonts


class Kind(NamedTuple):
    """Pictures of one kind: the class number of each, and what draws the k-th."""

    name: str
    labels: list[int]
    draw: Callable[[int], "Image"]


class Row(NamedTuple):
    """How a model does on one kind of pictures: how many it is right on, and the 95 % interval of that share."""

    pictures: str
    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    refused: int  # no digit found, or several: wrong, too


def stress(
    revision: Annotated[str, typer.Option(help="Whose model: a commit, tag, branch, experiment.")] = trained.WORKSPACE,
    images: Annotated[int, typer.Option(min=1, help="Test images to change.")] = 1000,
    times: Annotated[int, typer.Option(min=1, help="How often to draw each character of a font.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Print how accurate a model is on harder pictures: its test images changed, and digits drawn in fonts.

    The first 1,000 test images are shifted, rotated, thickened, made noisy, inverted, and put on uneven paper; each
    digit of each font is drawn 10 times, in all sizes, places, inks and papers. The pictures are the same every time.

    Example: python -m mnist stress --revision main
    """
    from mnist import numerics

    numerics.pin(threads=1)
    from mnist import stress

    model, description = trained.read(revision)
    if not description.handwriting:
        raise InputError(f"{revision}: its model is of {description.dataset}, no handwriting; name one that is")
    numerics.warn("stress", "cpu")
    characters = any(len(name) == 1 for name in description.classes)  # else there is nothing to draw in fonts
    fonts = stress.installed() if characters else {}
    kinds = [*of_test_images(revision, description, images), *of_fonts(fonts, description.classes, times)]
    with console.progress("drawing", sum(len(kind.labels) for kind in kinds)) as advance:
        rows = [measured(kind, model, description, advance) for kind in kinds]
    print(console.as_json([row._asdict() for row in rows]) if as_json else table(rows))
    if characters and len(fonts) < ENOUGH:
        print(f"stress: {advice(list(fonts))}", file=sys.stderr)


def advice(fonts: list[str]) -> str:
    """What to do when no more than these fonts are installed."""
    from mnist import stress

    packages = sorted({package for name, package in stress.FONTS.items() if name not in fonts})
    return (
        f"{len(fonts)} of {len(stress.FONTS)} fonts are installed; `apt install {' '.join(packages)}` brings the others"
    )


def of_test_images(revision: str, description: "Description", count: int) -> Iterator[Kind]:
    """The first test images of a revision, changed in each way. Raises InputError if the model does not fit them."""
    from mnist import stress
    from mnist.commands import runs

    images, labels = runs.test_images(revision)[:count], runs.test_labels(revision)[:count]
    if images.shape[1:] != description.image_shape or labels.max() >= len(description.classes):
        raise InputError(f"{revision}: its model does not fit its test images; `dvc repro` trains one that does")
    for name, change in stress.CHANGES.items():
        yield Kind(name, labels.tolist(), functools.partial(changed, change, images))


def changed(change: "Change", images: "Array", k: int) -> "Image":
    """The k-th image, changed by chance of its own."""
    return change(images[k], np.random.RandomState(k))


def of_fonts(fonts: dict[str, Path], classes: list[str], times: int) -> Iterator[Kind]:
    """The classes that are called by one character, each drawn so many times in each font."""
    labels = [label for label, name in enumerate(classes) if len(name) == 1] * times
    for name, path in fonts.items():
        yield Kind(Path(name).stem, labels, functools.partial(written, [classes[label] for label in labels], path))


def written(characters: list[str], font: Path, k: int) -> "Image":
    """The k-th character, drawn by chance of its own."""
    from mnist import stress

    return stress.written(characters[k], font, np.random.RandomState(k))


def measured(kind: Kind, model: "nn.Module", description: "Description", advance: Callable[[int], None]) -> Row:
    """How a model does on the pictures of one kind."""
    from mnist import handwriting
    from mnist.commands import predict
    from mnist.predictions import wilson

    images, labels = [], []
    for k, label in enumerate(kind.labels):
        advance(1)
        with contextlib.suppress(InputError):
            images.append(handwriting.prepare(kind.draw(k), description.image_shape))
            labels.append(label)
    n = len(kind.labels)
    right = int((predict.probabilities(model, images).argmax(1) == labels).sum()) if images else 0
    low, high = wilson(np.array(right / n), np.array(n))
    return Row(kind.name, n, right / n, float(low), float(high), n - len(images))


def table(rows: list[Row]) -> str:
    """The rows for a person."""
    width = max(len(row.pictures) for row in rows)
    lines = [f"{'pictures':{width}}       n  accuracy  95 %              refused"]
    for row in rows:
        interval = f"{plain(row.accuracy_low)} to {plain(row.accuracy_high)}"
        lines.append(f"{row.pictures:{width}}  {row.n:6,}  {plain(row.accuracy):>8}  {interval}  {row.refused:7,}")
    return "\n".join(lines)
