"""Raw data: four IDX files that belong together, and `dataset.json`, which describes them.

Two more are there of a data set that brings validation images of its own.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from mnist import idx
from mnist.dataset import Array, at_once
from pipeline.errors import InputError

IMAGES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}
ALL_IMAGES = {**IMAGES, "validation": "validation-images-idx3-ubyte"}
ALL_LABELS = {**LABELS, "validation": "validation-labels-idx1-ubyte"}
DESCRIPTION = "dataset.json"


class Description(BaseModel):
    """What `dataset.json` says of the files beside it: each one's SHA-256 and shape by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    classes: list[str]
    handwriting: bool = True
    files: dict[str, dict[str, Any]]


def describe(folder: Path, name: str, classes: list[str] | None, handwriting: bool) -> None:
    """Check that the files of `folder` belong together and write `dataset.json` beside them."""
    images, labels = arrays(folder)
    classes = classes or [str(label) for label in range(int(labels["train"].max()) + 1)]
    check_labels(labels, classes)
    files = {
        file: {"sha256": sha256(folder / file), "shape": list(array[split].shape)}
        for array, names in ((images, ALL_IMAGES), (labels, ALL_LABELS))
        for split, file in names.items()
        if split in images
    }
    facts = {"name": name, "classes": classes, "handwriting": handwriting, "files": files}
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", "utf-8")


def load(folder: Path) -> tuple[Description, dict[str, Any], dict[str, Any]]:
    """What `describe` has seen in `folder`: its description, and each split's images and labels.

    Raises InputError if they do not belong together any more.
    """
    path = folder / DESCRIPTION
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); `dvc repro` recreates it") from error
    description = parse_description(content, str(path))
    images, labels = arrays(folder)
    check_labels(labels, description.classes)
    return description, images, labels


def parse_description(content: bytes, place: str) -> Description:
    """What a `dataset.json` says; `place` is what to name in an InputError."""
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        raise InputError.invalid(place, error, "`dvc repro` recreates it") from error


def arrays(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each split's images and labels, mapped from disk. Raises InputError if they do not belong together."""
    names = present(folder)
    images = {split: idx.read(folder / file, 3) for split, file in ALL_IMAGES.items() if file in names}
    labels = {split: idx.read(folder / file, 1) for split, file in ALL_LABELS.items() if file in names}
    for split in images:
        if len(images[split]) != len(labels[split]):
            raise InputError(
                f"{ALL_IMAGES[split]} holds {len(images[split]):,} images, {ALL_LABELS[split]} {len(labels[split]):,} "
                "labels; get the two that belong together"
            )
        if images["train"].shape[1:] != images[split].shape[1:]:
            raise InputError(
                f"{IMAGES['train']} has images of {images['train'].shape[1:]} pixels, "
                f"{ALL_IMAGES[split]} of {images[split].shape[1:]}; get two that are the same, or "
                "set dataset.image_size"
            )
    return images, labels


def present(folder: Path) -> list[str]:
    """The files that belong to the raw data of a folder: those of validation images only where they are."""
    pairs = [(names[split], split) for names in (ALL_IMAGES, ALL_LABELS) for split in names]
    return [name for name, split in pairs if split != "validation" or (folder / name).exists()]


def check_labels(labels: dict[str, Any], classes: list[str]) -> None:
    """Hold the labels against the classes: none outside, and no class without images to learn from."""
    check_first(labels)
    for split in labels:
        file = ALL_LABELS[split]
        if (largest := int(labels[split].max())) >= len(classes):
            at = int(labels[split].argmax())
            raise InputError(f"{file}: label {largest} at {at:,} is outside the {len(classes)} classes; fix it")
    counts = np.bincount(labels["train"], minlength=len(classes))
    if len(classes) < 2:
        raise InputError(f"{LABELS['train']}: all labels are the same; get labels of two classes or more")
    rarest, largest = int(counts.argmin()), int(labels["train"].max())
    if counts[rarest] < 2:
        what = f"{LABELS['train']}: class {classes[rarest]} has {counts[rarest]} images"
        if rarest > largest:
            raise InputError(f"{what}, and {len(classes)} classes are named; name those that there are, 0 to {largest}")
        at = int(labels["train"].argmax())
        raise InputError(
            f"{what} where the labels reach {largest}, at {at:,}; each class from 0 on needs two (or is a label wrong? "
            "fix it)"
        )


def check_first(labels: dict[str, Any]) -> None:
    """Raise InputError if labels do not begin at 0: those of EMNIST's letters count from 1, characters from 48."""
    lowest = min(int(each.min()) for each in labels.values())
    if lowest:
        highest = max(int(each.max()) for each in labels.values())
        raise InputError(
            f"{LABELS['train']}: labels go from {lowest} to {highest}, and here they count from 0; "
            f"add `first_label: {lowest}` to dataset in params.yaml"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stratified(labels: Array, count: int, seed: int) -> Array:
    """Choose `count` images at random so that each class keeps its share: bool (n,).

    Systematic sampling: all images in random order, sorted by class, of which every (n / count)th is taken.
    """
    order = np.random.RandomState(seed).permutation(len(labels))  # this generator's stream is frozen, the newer's not
    order = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), bool)
    chosen[order[np.arange(count) * len(labels) // max(count, 1)]] = True
    return chosen


def chunks(array: Array, index: Array) -> Iterator[Array]:
    """`array[index]`, a chunk in memory at a time."""
    rows = at_once(array[:1].nbytes)
    for start in range(0, len(index), rows):
        yield array[index[start : start + rows]]
