"""What lies at a path, before it is trained on: its form, its images and classes, and what is odd about them."""

import collections
import dataclasses
import io
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist.commands import oddities
from pipeline import console, files
from pipeline.errors import InputError
from pipeline.processes import cores

if TYPE_CHECKING:
    from mnist.commands.oddities import Arrays
    from mnist.dataset import Array
    from mnist.formats.parts import Found, Options

DRAWN, COLUMNS = 40, 10  # images in the picture
LARGE, LARGEST = 64, 256  # pixels that small images are enlarged to, and large ones made smaller to


def look(
    path: Annotated[Path, typer.Argument(help="A file or folder, as dataset.path takes it.")],
    size: Annotated[
        tuple[int, int] | None, typer.Option(min=1, max=4096, help="Height and width to bring images to.")
    ] = None,
    colour: Annotated[bool, typer.Option("--colour", help="Give images three channels, as channels: 3 does.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help=f"Draw the first {DRAWN} images as PNG.", callback=console.writable)
    ] = None,
) -> None:
    """Print what a data set is, how many images of which class it has, and what is odd about it.

    Odd are training images among the test images, classes of one image, blank images, pictures of several sizes, and
    labels that do not count from 0. Nothing of the project is read or changed.

    Example: python -m mnist look data/mine --picture first.png
    """
    home = files.temporary()
    with files.locked(home / "look.lock", "look"), files.scratch(home / "look.partial") as folder:
        found, images, labels, odd = read(path, folder, size, colour)
        facts = summary(path, found, images, labels)
        odd += oddities.of(found, images, labels)
        if picture:
            files.replace(picture, draw(images["train"]))
    print(console.as_json({**facts, "odd": odd}) if as_json else text(facts, odd))


def read(
    path: Path, folder: Path, size: tuple[int, int] | None, colour: bool
) -> tuple["Found", "Arrays", "Arrays", list[str]]:
    """The data set at a path, converted into a folder as it is: its images and labels, and what is odd so far."""
    from mnist import idx, raw
    from mnist.formats import recognise
    from mnist.formats.parts import COLOUR, IN_COLOUR, Options
    from mnist.formats.parts import size as sized

    found = recognise.data_set(path)
    odd = list(found.notes)
    sizes = of_pictures(found)
    if len(sizes) > 1 and not size:
        (height, width), most = sizes.most_common(1)[0]
        size = (height, width) if max(height, width) <= idx.LARGEST_SIDE else None
        odd.append(
            f"pictures of {len(sizes):,} sizes, {most:,} of {sum(sizes.values()):,} of {height}×{width}; "
            "dataset.image_size is the one that all are brought to"
        )
    options = Options(size=size, channels=COLOUR if colour else None, processes=cores())
    try:
        write(found, folder, options)
    except InputError as error:
        if IN_COLOUR not in str(error):
            raise
        odd.append(str(error))
        write(found, folder, dataclasses.replace(options, channels=COLOUR))
    images = {split: idx.read(folder / raw.ALL_IMAGES[split], 3) for split in found.parts}
    labels = {split: idx.read(folder / raw.ALL_LABELS[split], 1) for split in found.parts}
    for split in found.parts:
        if len(images[split]) != len(labels[split]):
            raise InputError(
                f"{path}: {split}: {len(images[split]):,} images, {len(labels[split]):,} labels; get the two that "
                "belong together"
            )
        if images[split].shape[1:] != images["train"].shape[1:]:
            first, other = (sized(images[each].shape[1:]) for each in ("train", split))
            raise InputError(
                f"{path}: train has images of {first} pixels, {split} of {other}; set dataset.image_size to one"
            )
    return found, images, labels, odd


def write(found: "Found", folder: Path, options: "Options") -> None:
    """Convert each split, as it is."""
    from mnist import raw

    for split, part in found.parts.items():
        part.write(folder / raw.ALL_IMAGES[split], folder / raw.ALL_LABELS[split], options)


def of_pictures(found: "Found") -> collections.Counter[tuple[int, int]]:
    """How many pictures there are of each height and width; nothing for forms in which all have one."""
    from mnist.formats import photos

    return collections.Counter(map(photos.size_of, itertools.chain(*found.files.values())))


def summary(path: Path, found: "Found", images: dict[str, Any], labels: dict[str, Any]) -> dict[str, Any]:
    """The facts that `--json` prints."""
    import numpy as np

    from mnist.formats.parts import COLOUR

    first = next(iter(images.values()))
    highest = max(int(each.max()) for each in labels.values())
    names = found.classes or [str(k) for k in range(highest + 1)]
    counts = {split: np.bincount(each, minlength=len(names)).tolist() for split, each in labels.items()}
    return {
        "path": str(path),
        "form": found.form,
        "images": {split: len(each) for split, each in images.items()},
        "size": list(first.shape[1:3]),
        "channels": COLOUR if first.ndim == 4 else 1,
        "pixels": [min(int(each.min()) for each in images.values()), max(int(each.max()) for each in images.values())],
        "classes": {name: {split: counts[split][k] for split in counts} for k, name in enumerate(names)},
    }


def text(facts: dict[str, Any], odd: list[str]) -> str:
    """The facts for a person."""
    splits = list(facts["images"])
    counts = ", ".join(f"{count:,} {split}" for split, count in facts["images"].items())
    height, width = facts["size"]
    low, high = facts["pixels"]
    kind = f"images of {height}×{width}, {'grey' if facts['channels'] == 1 else 'in colour'}, pixels {low} to {high}"
    lines = [f"{facts['path']}: {facts['form']}; {counts} {kind}", ""]
    room = max(5, *(len(name) for name in facts["classes"]))
    lines.append(f"{'class':{room}}" + "".join(f"  {split:>10}" for split in splits))
    for name, each in facts["classes"].items():
        lines.append(f"{name:{room}}" + "".join(f"  {each[split]:10,}" for split in splits))
    return "\n".join([*lines, "", *(f"odd: {line}" for line in odd or ["nothing"])])


def draw(images: "Array") -> bytes:
    """The first images in rows, as PNG."""
    import numpy as np
    from PIL import Image

    factor = -(-max(images.shape[1:3]) // LARGEST)
    first = [np.asarray(Image.fromarray(image).reduce(factor)) for image in images[:DRAWN]]
    height, width, *channels = first[0].shape
    sheet = np.full((-(-len(first) // COLUMNS) * (height + 2), COLUMNS * (width + 2), *channels), 128, np.uint8)
    for k, image in enumerate(first):
        row, column = divmod(k, COLUMNS)
        sheet[row * (height + 2) + 1 :, column * (width + 2) + 1 :][:height, :width] = image
    enlarged = max(1, LARGE // max(height, width))
    out = io.BytesIO()
    Image.fromarray(sheet.repeat(enlarged, 0).repeat(enlarged, 1)).save(out, format="PNG")
    return out.getvalue()
