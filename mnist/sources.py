"""Where raw data comes from: a folder of IDX files, or torchvision's mirrors. Never silently one for the other."""

import contextlib
import hashlib
import io
import json
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from mnist import idx, stage
from mnist.console import InputError

IMAGES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}

# Data sets that are recognised by the SHA-256 of their training labels; the other three files must then match too.
KNOWN: dict[str, dict[str, Any]] = {
    "mnist": {
        "classes": list("0123456789"),
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "classes": [
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ],
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}  # fmt: skip
CLASSES_FILE = "classes.txt"
DESCRIPTION = "dataset.json"
SILENCE = 60  # seconds after which a mirror that says nothing is given up


def copy(folder: Path, raw: Path) -> None:
    """Unpack the four IDX files of `folder` into `raw` and describe them there.

    Class names come from `classes.txt` in the folder, a name a line, if it is there; known data sets bring their own.
    Raises InputError for whatever does not make a data set.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; set dataset.folder to one that holds four IDX files")
    for names, dimensions in ((IMAGES, 3), (LABELS, 1)):
        for name in names.values():
            idx.unpack(find(folder, name), raw / name, dimensions)
    digests = {name: sha256(raw / name) for name in (*IMAGES.values(), *LABELS.values())}
    name = folder.resolve().name
    classes = class_names(folder / CLASSES_FILE)
    for known, facts in KNOWN.items():
        differing = [file for file in digests if digests[file] != facts[file]]
        if not differing:
            name, classes = known, classes or facts["classes"]
        elif len(differing) < len(digests):
            name = f"{name} (not the original {known})"
            print(f"{folder}: {', '.join(differing)}: not the original of {known}; taken as a data set of its own")
    describe(raw, name, classes)


def find(folder: Path, name: str) -> Path:
    """The file called `name`, gzipped or plain."""
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if not found:
        raise InputError(f"{folder}: holds neither {name} nor {name}.gz; a data set is four IDX files")
    if len(found) > 1:
        raise InputError(f"{folder}: holds both {name} and {name}.gz; remove the one that is not meant")
    return found[0]


def class_names(path: Path) -> list[str] | None:
    """The lines of `classes.txt`, or None if there is no such file."""
    if not path.exists():
        return None
    if not path.is_file():
        raise InputError(f"{path}: not a file; one with a name a line belongs there, or nothing")
    try:
        names = path.read_text("utf-8-sig").splitlines()  # Windows editors begin with a byte order mark
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if not names or len(set(names)) < len(names) or not all(name.isprintable() and name.strip() for name in names):
        raise InputError(f"{path}: needs one printable name a line, each once; mend it or remove it")
    return names


def fetch(name: str, raw: Path) -> None:
    """Fetch a data set with torchvision's own class for it into `raw` as plain IDX files, and describe it there.

    EMNIST's images lie transposed in its files, its letters count from 1, QMNIST's labels have eight columns of which
    the first is the class: here all come out like MNIST.
    Raises InputError, which names the way round, when torchvision cannot get it.
    """
    with stage.scratch(raw.parent / ".download.partial") as folder:
        for split in ("train", "test"):
            dataset = open_torchvision(name, str(folder), split)
            images = dataset.data.numpy().astype(np.uint8, copy=False)
            labels = dataset.targets.numpy()
            if name.startswith("emnist"):
                images = images.transpose(0, 2, 1)
            if name == "emnist-letters":
                labels = labels - 1
            if name == "qmnist":
                labels = labels[:, 0]
            idx.write(raw / IMAGES[split], images)
            idx.write(raw / LABELS[split], labels.astype(np.uint8))
    classes = [str(label).split(" - ")[0] for label in dataset.classes if label != "N/A"]
    describe(raw, name, classes)


def open_torchvision(name: str, folder: str, split: str) -> Any:
    """torchvision's data set, downloaded into `folder`."""
    from torchvision import datasets  # seconds to import, and nobody without dataset.download needs it

    train = split == "train"
    makers = {
        "mnist": lambda: datasets.MNIST(folder, train, download=True),
        "fashion-mnist": lambda: datasets.FashionMNIST(folder, train, download=True),
        "kmnist": lambda: datasets.KMNIST(folder, train, download=True),
        "qmnist": lambda: datasets.QMNIST(folder, split, download=True),
    }
    chatter = io.StringIO()
    terminal = sys.stderr.isatty()
    socket.setdefaulttimeout(SILENCE)  # torchvision would wait for ever
    try:
        # its progress bar is for a terminal
        with contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(sys.stderr if terminal else chatter):
            if name.startswith("emnist-"):
                return datasets.EMNIST(folder, name.removeprefix("emnist-"), train=train, download=True)
            return makers[name]()
    except Exception as error:  # whatever a mirror's bytes bring about
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"dataset.download: {name} cannot be fetched ({reason}); "
            "try later, or get its four IDX files, set dataset.folder to their folder and dataset.download to null"
        ) from error


class Description(BaseModel):
    """What `dataset.json` says of the four files beside it: each one's SHA-256 and shape by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    classes: list[str]
    files: dict[str, dict[str, Any]]


def describe(raw: Path, name: str, classes: list[str] | None) -> None:
    """Check that the four files of `raw` belong together and write `dataset.json` beside them."""
    images, labels = arrays(raw)
    classes = classes or [str(label) for label in range(int(labels["train"].max()) + 1)]
    check_labels(labels, classes)
    files = {
        file: {"sha256": sha256(raw / file), "shape": list(array[split].shape)}
        for array, names in ((images, IMAGES), (labels, LABELS))
        for split, file in names.items()
    }
    text = json.dumps({"name": name, "classes": classes, "files": files}, indent=2, ensure_ascii=False)
    (raw / DESCRIPTION).write_text(text + "\n", "utf-8")


def load(raw: Path) -> tuple[Description, dict[str, Any], dict[str, Any]]:
    """What `describe` has seen in `raw`: its description, and each split's images and labels.

    Raises InputError if they do not belong together any more.
    """
    path = raw / DESCRIPTION
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); `dvc repro` writes it anew") from error
    description = parse_description(content, str(path))
    images, labels = arrays(raw)
    check_labels(labels, description.classes)
    return description, images, labels


def parse_description(content: bytes, place: str) -> Description:
    """What a `dataset.json` says; `place` is what to name in an InputError."""
    try:
        return Description.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{place}: cannot be used ({error.errors()[0]['msg']}); `dvc repro` writes it anew") from error


def arrays(raw: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each split's images and labels, mapped from disk. Raises InputError if they do not belong together."""
    images = {split: idx.read(raw / file, 3) for split, file in IMAGES.items()}
    labels = {split: idx.read(raw / file, 1) for split, file in LABELS.items()}
    for split in images:
        if len(images[split]) != len(labels[split]):
            raise InputError(
                f"{IMAGES[split]} holds {len(images[split]):,} images, {LABELS[split]} {len(labels[split]):,} labels; "
                "get the two that belong together"
            )
    if images["train"].shape[1:] != images["test"].shape[1:]:
        raise InputError(
            f"{IMAGES['train']} has images of {images['train'].shape[1:]} pixels, "
            f"{IMAGES['test']} of {images['test'].shape[1:]}; both must be the same"
        )
    return images, labels


def check_labels(labels: dict[str, Any], classes: list[str]) -> None:
    """Hold the labels against the classes: none outside, and no class without images to learn from."""
    for split, file in LABELS.items():
        if (largest := int(labels[split].max())) >= len(classes):
            at = int(labels[split].argmax())
            raise InputError(f"{file}: label {largest} at {at:,} is outside the {len(classes)} classes; mend it")
    counts = np.bincount(labels["train"], minlength=len(classes))
    if len(classes) < 2:
        raise InputError(f"{LABELS['train']}: all labels are the same; at least two classes are needed")
    rarest = int(counts.argmin())
    if counts[rarest] < 2:
        raise InputError(
            f"{LABELS['train']}: class {classes[rarest]} has {counts[rarest]} images where the labels reach "
            f"{len(classes) - 1}; each class from 0 on needs two (or is a label wrong?)"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
