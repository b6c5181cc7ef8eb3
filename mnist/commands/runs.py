"""Finished runs, of any revision: their parameters, predictions and history."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnist import predictions, raw, results
from mnist.commands import settings
from mnist.dataset import Array
from mnist.predictions import Predictions
from mnist.results import Epoch
from pipeline import revisions
from pipeline.errors import InputError

IDLE = (
    "dataset.",
    "evaluate.",
    "plot.",
    "machine.",
)  # sections that decide no answer; the data's content counts by itself


@dataclass(frozen=True)
class Run:
    """One run: its parameters by dotted key, what it says of each test image, and which images those were."""

    revision: str
    parameters: dict[str, Any]
    predictions: Predictions
    history: list[Epoch]
    dataset: str
    test_files: dict[str, str]  # SHA-256 of the raw test images and labels
    code: dict[str, str]  # MD5 of the files of code that made the predictions
    training_files: dict[str, str] = field(default_factory=dict)  # as test_files, of the images it learnt from


def read(name: str) -> Run:
    """Read a run from git and DVC's cache or remote; `name` is what git or DVC calls its revision, or `workspace`.

    Raises InputError if there is no such revision, or its results are missing or older than what made them.
    """
    revision = revisions.Revision(name)
    if name == revisions.WORKSPACE:  # what was committed may be of an earlier schema
        settings.read()
    revision.check_current(str(predictions.FILE))
    described = raw.parse_description(revision.content("data/raw/dataset.json"), f"{name}: data/raw")
    answers, epochs = (
        revision.content(str(path)).decode(errors="replace") for path in (predictions.FILE, results.HISTORY)
    )
    digests = {file: facts["sha256"] for file, facts in described.files.items()}
    test_files = {file: digest for file, digest in digests.items() if file.startswith("t10k")}
    return Run(
        name,
        settings.complete(revision.parameters),
        predictions.read(described.classes, Path(f"{name}:{predictions.FILE}"), answers),
        results.read_history(Path(f"{name}:{results.HISTORY}"), epochs),
        described.name,
        test_files,
        revision.lock.code(str(predictions.FILE)),
        {file: digest for file, digest in digests.items() if file not in test_files},
    )


def check_comparable(a: Run, b: Run) -> None:
    """Raise InputError if two runs did not answer the same images with the same classes."""
    if a.predictions.classes != b.predictions.classes:
        raise InputError(f"{a.revision} and {b.revision}: other classes; only runs on one data set can be compared")
    if a.test_files != b.test_files or len(a.predictions.actual) != len(b.predictions.actual):
        raise InputError(
            f"{a.revision} and {b.revision}: other test images ({a.dataset}, {b.dataset}); only runs measured on the "
            "same ones can be compared"
        )
    unlike = np.flatnonzero(a.predictions.actual != b.predictions.actual)
    if len(unlike):
        raise InputError(
            f"{a.revision} and {b.revision}: other actual classes of the same test images, the first at {unlike[0]:,}, "
            "so one of them was edited; `dvc repro -fs evaluate` recreates the workspace's"
        )


def test_images(name: str) -> Array:
    """The test images of a run, uint8 (n, height, width) or (n, height, width, 3)."""
    return test_array(name, "images")


def test_labels(name: str) -> Array:
    """The class numbers of these, uint8 (n,)."""
    return test_array(name, "labels")


def test_array(name: str, what: str) -> Array:
    """An array of a run's test split."""
    found = io.BytesIO(revisions.Revision(name).content(f"data/normalised/test_{what}.npy"))
    return np.asarray(np.load(found, allow_pickle=False))
