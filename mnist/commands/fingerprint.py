"""Fingerprints: the weights of a model in 16 hexadecimal digits, and those that the recipes are known by."""

import csv
import hashlib
import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mnist.commands import recipe, trained
from pipeline import lock
from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from mnist.models import Description

TABLE = Path("recipes/fingerprints.csv")
DATASET = "mnist"  # of which the table is
NORMALISE = "normalise."
DIGITS = 16


class Known(NamedTuple):
    """The weights of a recipe with a version of torch, and the processors on which they were seen; a row of TABLE."""

    recipe: str
    torch: str
    fingerprint: str
    processors: str


def fingerprint(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Print the fingerprint of models/model.safetensors, whether it is a recipe's known one, and this processor.

    Recipes are known on MNIST, as params.yaml has it. Exits with 1 if a model of MNIST has the parameters of one that
    the table has, by what dvc.lock records of its images, but not its fingerprint.

    Example: python -m mnist fingerprint
    """
    model, description = trained.read()
    found = of(model.state_dict())
    of_mnist = description.dataset == DATASET
    claimed = recipe.with_parameters(description.parameters, normalised(description)) if of_mnist else []
    row, phrase, right = verdict(found, description.torch, claimed)
    facts = {"fingerprint": found, "recipe": row and row.recipe, "torch": description.torch, "processor": processor()}
    print(json.dumps(facts) if as_json else f"{found}: {phrase}; here: {facts['processor']}")
    raise typer.Exit(0 if right else 1)


def normalised(description: "Description") -> dict[str, Any]:
    """The section `normalise` that a model's images were made with; nothing if dvc.lock is of another run."""
    made, model = lock.read(), str(trained.FILE)
    if made.mixed(model) or description.inputs not in {stage.key for stage in made.behind(model).values()}:
        return {}
    values = made.parameters(model)
    return {key.removeprefix(NORMALISE): value for key, value in values.items() if key.startswith(NORMALISE)}


def of(weights: dict[str, "Tensor"]) -> str:
    """The first digits of the SHA-256 of all tensors: name, type, shape and bytes of each, in the order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:DIGITS]


def known(path: Path = TABLE) -> list[Known]:
    """The known fingerprints. Raises InputError if the table cannot be read or has other columns."""
    try:
        rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); `git checkout HEAD {path}` brings it back") from error
    if not rows or tuple(rows[0]) != Known._fields or any(len(row) != len(Known._fields) for row in rows):
        header = ",".join(Known._fields)
        raise InputError(f"{path}: not a table with the columns {header}; `git checkout HEAD {path}` brings it back")
    return [Known(*row) for row in rows[1:]]


def verdict(fingerprint: str, torch: str, claimed: Iterable[str]) -> tuple[Known | None, str, bool]:
    """The row that knows a fingerprint, if one does, a phrase for a person, and whether that is as it should be.

    `torch` is the version that trained the model, `claimed` the recipes that have its parameters.
    """
    rows = known()
    for row in rows:
        if row.fingerprint == fingerprint:
            return row, f"known as {row.recipe} with torch {row.torch}, seen on {row.processors}", True
    others = [row for row in rows if row.recipe in claimed]
    if not others:
        return None, "of no recipe whose weights are known", True
    named = ", ".join(f"{row.recipe} with torch {row.torch} is {row.fingerprint}" for row in others)
    return None, f"not known; this is torch {torch}, and {named}", False


def processor() -> str:
    """The processor's name, and whether it has AVX-512."""
    try:
        facts = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    name = re.search(r"^model name\s*: (.*)$", facts, re.MULTILINE)
    wide = " with AVX-512" if re.search(r"^flags\s*:.* avx512f\b", facts, re.MULTILINE) else ""
    return (name[1].strip() if name else platform.machine()) + wide
