"""Recipes: sets of parameters with a known result, one YAML file each in `recipes/`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mnist.commands import settings
from mnist.hyperparameters import Hyperparameters
from pipeline import params, yaml12
from pipeline.errors import InputError, suggestion

FOLDER = Path("recipes")
# the keys of `train` that need not be there, and what they are then
OPTIONAL = {key: each.default for key, each in Hyperparameters.model_fields.items() if not each.is_required()}


def recipe(name: Annotated[str | None, typer.Argument(help="The recipe to write into params.yaml.")] = None) -> None:
    """List the recipes, or write one into params.yaml, keeping its comments.

    Example: python -m mnist recipe cnn
    """
    if name is None:
        for known, description in names().items():
            print(f"{known:8} {description}")
    else:
        apply(name)
        print(f"params.yaml: recipe {name} written; `dvc repro` runs it")


def names() -> dict[str, str]:
    """Each recipe's name and the comment that its file opens with."""
    return {
        path.stem: path.read_text("utf-8", errors="replace").partition("\n")[0].lstrip("# ")
        for path in sorted(FOLDER.glob("*.yaml"))
    }


def with_parameters(train: dict[str, Any], normalise: dict[str, Any]) -> list[str]:
    """The recipes that have these parameters of training and of its images, with seed 0 on the CPU."""
    trees = {name: yaml12.read(FOLDER / f"{name}.yaml") for name in names()}
    # what a recipe leaves open may be anything, but for keys that are not there unless it names them
    left = {key: value for key, value in train.items() if key not in OPTIONAL}
    return [
        name
        for name, tree in trees.items()
        if train == {**left, **tree.get("train", {}), "seed": 0, "device": "cpu"}
        and normalise == {**normalise, **tree.get("normalise", {}), "seed": 0}
    ]


def apply(name: str, path: Path = params.FILE) -> None:
    """Write a recipe's values into params.yaml, keeping its comments and everything that the recipe does not name.

    But for the keys of `train` that need not be there: the model would be another one than the recipe's.

    Raises InputError if there is no such recipe or the result would not be valid, and then writes nothing.
    """
    if name not in names():
        raise InputError(f"recipe: there is no {name!r}{suggestion(name, list(names()))}")
    tree = yaml12.read(path)
    settings.check(tree, path)
    source = FOLDER / f"{name}.yaml"
    unset = {f"train.{key}": value for key, value in OPTIONAL.items() if key in tree["train"]}
    settings.write({**unset, **params.flat(yaml12.read(source))}, source, path)
