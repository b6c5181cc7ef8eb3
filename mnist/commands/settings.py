"""All of `params.yaml`: the sections of the five stages, and what decides no result."""

from pathlib import Path
from typing import Any

from mnist.hyperparameters import Hyperparameters
from pipeline import files, params, yaml12
from stages.download import Dataset
from stages.evaluate import Evaluate
from stages.normalise import Normalise
from stages.plot_predictions import Plot
from stages.train import Machine


class Settings(params.Section):
    """All of `params.yaml`, each section by the schema of the stage that reads it."""

    dataset: Dataset
    normalise: Normalise
    train: Hyperparameters
    evaluate: Evaluate
    plot: Plot
    machine: Machine = Machine()


# what keys that need not be there have without being there, by dotted name
DEFAULTS = {
    f"{section}.{key}": field.default
    for section, part in Settings.model_fields.items()
    if part.annotation
    for key, field in part.annotation.model_fields.items()
    if not field.is_required()
}


def complete(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters by dotted name, with those that are not there, so that one that is spelled out makes no difference."""
    return parameters | {key: value for key, value in DEFAULTS.items() if key not in parameters}


def read(path: Path = params.FILE) -> Settings:
    """Read and check `params.yaml`. Raises InputError, in one line, for whatever is wrong with it."""
    return check(yaml12.read(path), path)


def check(tree: dict[str, Any], place: object = params.FILE) -> Settings:
    """Hold the content of a `params.yaml` against all schemas; `place` is the file to name in the InputError."""
    return params.check_all(tree, Settings, place)


def write(values: dict[str, Any], source: Path, path: Path = params.FILE) -> None:
    """Write values, by dotted key, into `params.yaml`, keeping its comments and everything else.

    Raises InputError, which names `source`, if the result would not be valid, and then writes nothing.
    """
    written = params.edited(path.read_text("utf-8"), values, source)
    check(yaml12.parse(written, source), source)
    files.replace(path, written)
