"""Data sets that torchvision fetches from their mirrors."""

import contextlib
import io
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mnist import idx, raw
from mnist.formats.known import NOT_WRITTEN
from mnist.raw import IMAGES, LABELS
from pipeline.errors import InputError

SILENCE = 60  # seconds of silence before a mirror is abandoned


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
            "try later, or get its four IDX files, set dataset.path to their folder and dataset.download to null"
        ) from error
