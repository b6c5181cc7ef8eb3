"""Where raw data comes from: a folder of IDX files, or torchvision's mirrors. Never silently one for the other."""

import contextlib
import io
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mnist import idx, raw
from mnist.raw import IMAGES, LABELS
from pipeline.errors import InputError

NOT_WRITTEN = {"fashion-mnist"}  # by hand, whatever dataset.handwriting says
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
NAMES = [*IMAGES.values(), *LABELS.values()]
CLASSES_FILE = "classes.txt"
SHOWN = 8  # names of what is there in place of a data set
SILENCE = 60  # seconds of silence before a mirror is abandoned


def copy(folder: Path, target: Path, handwriting: bool = True) -> None:
    """Unpack the four IDX files of `folder` into `target` and describe them there.

    Class names come from `classes.txt` in the folder, a name a line, if it is there; known data sets bring their own.
    Raises InputError for whatever does not make a data set.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; set dataset.folder to one that holds four IDX files")
    check_names(folder)
    for names, dimensions in ((IMAGES, 3), (LABELS, 1)):
        for name in names.values():
            idx.unpack(find(folder, name), target / name, dimensions)
    digests = {name: raw.sha256(target / name) for name in NAMES}
    name = folder.resolve().name
    classes = class_names(folder / CLASSES_FILE)
    for known, facts in KNOWN.items():
        differing = [file for file in digests if digests[file] != facts[file]]
        if not differing:
            name, classes = known, classes or facts["classes"]
        elif len(differing) < len(digests):
            name = f"{name} (not the original {known})"
            print(f"{folder}: {', '.join(differing)}: not the original of {known}; taken as a data set of its own")
    raw.describe(target, name, classes, handwriting and name not in NOT_WRITTEN)


def check_names(folder: Path) -> None:
    """Raise InputError if any of the four files is missing; it says what is there, and which of that may be meant."""
    missing = [name for name in NAMES if not any(path.is_file() for path in named(folder, name))]
    if not missing:
        return
    there = sorted(folder.iterdir())
    shown = [f"{path.name}{'/' if path.is_dir() else '' if path.is_file() else ' (no file)'}" for path in there[:SHOWN]]
    more = f" and {len(there) - SHOWN:,} more" * (len(there) > SHOWN)
    raise InputError(
        f"{folder}: holds no {', no '.join(missing)}, plain or as .gz, but {', '.join(shown) or 'nothing'}{more}; "
        + way_to(missing, there)
    )


def way_to(missing: list[str], there: list[Path]) -> str:
    """What to do about missing files: rename what has the words of their names, or look in a folder further down."""
    others = [path.name for path in there if path.is_file()]
    renames = []
    for name in missing:
        words = [word.rstrip("s") for word in name.split("-")[:2]]
        for other in others:
            if all(word in other.lower().replace("test", "t10k") for word in words):
                renames.append(f"{other} to {name}{'.gz' * other.lower().endswith('.gz')}")
                break
    if renames:
        return f"rename {', '.join(renames)}"
    for inside in there:
        if inside.is_dir() and all(any(path.is_file() for path in named(inside, name)) for name in NAMES):
            return f"set dataset.folder to {inside}"
    return "a data set is four IDX files: put them there, or set dataset.folder to a folder that has them"


def named(folder: Path, name: str) -> tuple[Path, Path]:
    """Where the file called `name` may be: plain, and gzipped."""
    return folder / name, folder / f"{name}.gz"


def find(folder: Path, name: str) -> Path:
    """The file called `name`, gzipped or plain; it is there."""
    found = [path for path in named(folder, name) if path.is_file()]
    if len(found) > 1:
        raise InputError(f"{folder}: holds both {name} and {name}.gz; remove the one that is not meant")
    return found[0]


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


def fetch(name: str, folder: Path, target: Path, handwriting: bool = True) -> None:
    """Fetch a data set with torchvision's own class for it, which keeps its files in `folder`, into `target`.

    EMNIST's images lie transposed in its files, its letters count from 1, QMNIST's labels have eight columns of which
    the first is the class: here all come out like MNIST.
    Raises InputError, naming the workaround, when torchvision cannot get it.
    """
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
        idx.write(target / IMAGES[split], images)
        idx.write(target / LABELS[split], labels.astype(np.uint8))
    classes = [str(label).split(" - ")[0] for label in dataset.classes if label != "N/A"]
    raw.describe(target, name, classes, handwriting and name not in NOT_WRITTEN)


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
