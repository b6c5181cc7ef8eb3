"""Where raw data comes from: a file or folder in one of several forms, recognised by what lies there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist import idx, raw
from mnist.formats import recognise
from mnist.formats.known import KNOWN, NOT_WRITTEN
from mnist.formats.parts import MOST_CLASSES, Found, Options
from mnist.raw import ALL_IMAGES, ALL_LABELS, IMAGES, LABELS, chunks, stratified
from pipeline.errors import InputError

CLASSES_FILE = "classes.txt"
MNIST = Options()


def copy(path: Path, target: Path, handwriting: bool = True, options: Options = MNIST) -> Found:
    """Write the data set at `path` as IDX files into `target` and describe them there.

    Class names come from `classes.txt` in the folder, a name a line, if it is there; known data sets and folders of
    pictures bring their own. What is decided for the reader is printed. Returns what was found, and raises InputError
    for whatever does not make a data set.
    """
    found = recognise.data_set(path)
    if not path.is_dir() and (beside := path.with_name(CLASSES_FILE)).exists():
        raise InputError(
            f"{beside}: DVC does not look at it, as dataset.path is the file {path}; put both into a folder of their "
            "own, and set dataset.path to that"
        )
    names = class_names(path / CLASSES_FILE) or found.classes
    convert(found, target, options)
    for note in found.notes:
        print(note)
    name, names = identified(path, target, names)
    raw.describe(target, name, names, handwriting and name not in NOT_WRITTEN)
    return found


def convert(found: Found, target: Path, options: Options) -> None:
    """Write each split's IDX files; of data without test images, hold some out for that."""
    for split, part in found.parts.items():
        part.write(target / ALL_IMAGES[split], target / ALL_LABELS[split], options)
    if "test" not in found.parts:
        count = hold_out(target, options.test_share, options.seed, found.classes or range(MOST_CLASSES))
        found.notes.append(
            f"no test images of their own: {count:,} are held out for that (dataset.test_share: {options.test_share})"
        )


def hold_out(folder: Path, share: float, seed: int, classes: Sequence[object]) -> int:
    """Take a share of the training images of each class for the test; returns how many.

    Raises InputError if that leaves a class less than two; `classes` is what to call them.
    """
    labels = np.array(idx.read(folder / LABELS["train"], 1))
    count = round(share * len(labels))
    if not 0 < count < len(labels):
        raise InputError(
            f"params.yaml: dataset.test_share: {share} of {len(labels):,} images leaves none for one split; set it to "
            "another share"
        )
    chosen = stratified(labels, count, seed)
    had, taken = (np.bincount(each, minlength=MOST_CLASSES) for each in (labels, labels[chosen]))
    if len(short := np.flatnonzero((taken > 0) & (had - taken < 2))):
        rarest = int(min(short, key=had.__getitem__))
        lower = "set it lower, or " if had[rarest] > 2 else ""
        raise InputError(
            f"params.yaml: dataset.test_share: {share} takes {taken[rarest]} of the {had[rarest]} images of class "
            f"{classes[rarest]}, which needs two to train on; {lower}add images of it"
        )
    whole = folder / ".whole"
    (folder / IMAGES["train"]).rename(whole)
    images = idx.read(whole, 3)
    for split, held in (("train", ~chosen), ("test", chosen)):
        idx.write_all(folder / IMAGES[split], chunks(images, np.flatnonzero(held)))
        idx.write(folder / LABELS[split], labels[held])
    whole.unlink()
    return count


def identified(path: Path, target: Path, names: list[str] | None) -> tuple[str, list[str] | None]:
    """The name of a data set and of its classes, if its content or somebody says them."""
    digests = {file: raw.sha256(target / file) for file in raw.present(target)}
    name = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    for known, facts in KNOWN.items():
        differing = [file for file in digests if digests[file] != facts.get(file)]
        if not differing:
            return known, names or facts["classes"]
        if len(differing) < len(digests):
            name = f"{name} (not the original {known})"
            print(f"{path}: {', '.join(differing)}: not the original of {known}; taken as a data set of its own")
    return name, names


def class_names(path: Path) -> list[str] | None:
    """The lines of `classes.txt`, or None if there is no such file."""
    if not path.exists():
        return None
    if not path.is_file():
        raise InputError(f"{path}: not a file; it should hold one name per line, or be removed")
    try:
        names = path.read_text("utf-8-sig").splitlines()  # Windows editors begin with a byte order mark
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if not names or len(set(names)) < len(names) or not all(name.isprintable() and name.strip() for name in names):
        raise InputError(f"{path}: should hold one printable name per line, each once; fix it or remove it")
    return names
