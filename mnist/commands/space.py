"""Files of sweeps: which keys of params.yaml to search, how far, and how; held against the schemas of params.yaml."""

import itertools
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field

from mnist.commands import settings
from pipeline import params, yaml12
from pipeline.errors import InputError, suggestion

SEED = "train.seed"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{,59}")  # git takes it for a ref's
COMBINATIONS = 4096  # of ends and choices that are tried
KEPT = {  # what may not be searched, and why
    SEED: "sweep.seeds has the seeds",
    "normalise.validation": "trials on other validation images could not be compared",
    "normalise.seed": "trials on other validation images could not be compared",
    "dataset": "trials on other data could not be compared",
    "evaluate": "it decides nothing about a training",
    "plot": "it decides nothing about a training",
}


class Plan(params.Section):
    """The section `sweep`: how to search."""

    name: str | None = None  # else the file's
    trials: Annotated[int, Field(ge=1, le=10_000)]
    seeds: Annotated[list[params.Seed], Field(min_length=1)]
    objective: Literal["loss", "accuracy"]
    sampler: Literal["tpe", "random"]
    seed: params.Seed
    pruning: bool


class Range(params.Section):
    """Numbers between two, evenly in their logarithm if `log` is true."""

    low: int | float
    high: int | float
    log: bool = False

    @property
    def ends(self) -> list[Any]:
        """The values that have to be allowed."""
        return [self.low, self.high]


class Choices(params.Section):
    """Some of a key's words."""

    choices: Annotated[list[bool | int | float | str], Field(min_length=2)]

    @property
    def ends(self) -> list[Any]:
        """The values that have to be allowed."""
        return self.choices


class Sweep(NamedTuple):
    """A sweep's file."""

    path: Path
    plan: Plan
    fixed: dict[str, Any]
    space: dict[str, Range | Choices]

    @property
    def name(self) -> str:
        """What its study and its experiments are called."""
        return self.path.stem if self.plan.name is None else self.plan.name


def read(path: Path, tree: dict[str, Any]) -> Sweep:
    """Read a sweep's file; `tree` is the content of params.yaml, for all that it leaves open. Raises InputError."""
    if not path.is_file():
        known = sorted(map(str, path.parent.glob("*.yaml")))
        raise InputError(f"{path}: no such file{suggestion(str(path), known, f'; make it, as {EXAMPLE} is')}")
    given = yaml12.read(path)
    if unknown := given.keys() - {"sweep", "fixed", "search"}:
        word = str(min(unknown, key=str))
        raise InputError(f"{path}: {word}: unknown key{suggestion(word, ['sweep', 'fixed', 'search'])}")
    plan = params.check(given, "sweep", Plan, path)
    if len(set(plan.seeds)) < len(plan.seeds):
        twice = next(seed for seed in plan.seeds if plan.seeds.count(seed) > 1)
        raise InputError(f"{path}: sweep.seeds: {twice} comes twice, and would count twice; remove one")
    fixed, search = (section(given, name, path) for name in ("fixed", "search"))
    if not search:
        raise InputError(f"{path}: search: nothing to search; name a key of {params.FILE} there, with low and high")
    for key in [*fixed, *search]:
        check_key(key, tree, path)
    if both := [key for key in search if key in fixed]:
        raise InputError(f"{path}: {both[0]}: both fixed and searched; remove one of them")
    sweep = Sweep(path, plan, fixed, {key: one(key, value, path) for key, value in search.items()})
    if not NAME.fullmatch(sweep.name):
        what = f"should be up to 60 letters, digits, - and _, not {params.shown(sweep.name)}"
        raise InputError(
            f"{path}: sweep.name: {what}{', as the file is called' * (plan.name is None)}; give it such a name"
        )
    check_values(sweep, tree)
    return sweep


EXAMPLE = "sweeps/mlp.yaml"


def section(given: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """One of the sections by key of params.yaml."""
    found = given.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"{path}: {name}: should be keys of {params.FILE}, not {params.shown(found)}")
    return {str(key): value for key, value in found.items()}


def check_key(key: str, tree: dict[str, Any], path: Path) -> None:
    """Raise InputError if there is no such key, or it may not differ among trials."""
    known = list(params.flat(tree))
    if key not in known:
        close = suggestion(key, known, f"; the keys are those of {params.FILE}, as train.learning_rate")
        raise InputError(f"{path}: {key}: unknown key{close}")
    why = KEPT.get(key) or KEPT.get(key.partition(".")[0])
    if why:
        raise InputError(f"{path}: {key}: not for a sweep: {why}; remove it")


def one(key: str, value: Any, path: Path) -> Range | Choices:
    """What to search of a key, checked by itself."""
    if not isinstance(value, dict):
        raise InputError(f"{path}: {key}: should be {{low: …, high: …}} or {{choices: […]}}, not {params.shown(value)}")
    kinds = numbers(key)
    if "choices" in value:
        if kinds and not words(key):
            raise InputError(
                f"{path}: {key}: a number, whose order choices would not tell the search; give low and high, and log: "
                "true where they are orders of magnitude apart"
            )
        return params.check({key: value}, key, Choices, path)
    if not kinds:
        raise InputError(f"{path}: {key}: has no numbers between low and high; give choices")
    found = params.check({key: value}, key, Range, path)
    if float not in kinds and not (isinstance(found.low, int) and isinstance(found.high, int)):
        raise InputError(f"{path}: {key}: low and high should be integers; make them so")
    if not found.low < found.high:
        raise InputError(f"{path}: {key}: low, {found.low}, should be less than high, {found.high}; fix them")
    if found.log and found.low <= 0:
        raise InputError(f"{path}: {key}: low should be above 0 where log is true; set it so, or log: false")
    return found


def field(key: str) -> Any:
    """The type that the schema gives a key."""
    section, _, name = key.partition(".")
    schema: Any = settings.Settings.model_fields[section].annotation
    return schema.model_fields[name].annotation


def kinds(annotation: Any) -> list[Any]:
    """A type, or those of a union."""
    found = [kind for arg in get_args(annotation) if isinstance(arg, type) or get_args(arg) for kind in kinds(arg)]
    return found or [annotation]


def numbers(key: str) -> set[type]:
    """Which of int and float a key may be."""
    return {kind for kind in kinds(field(key)) if kind in (int, float)}


def words(key: str) -> bool:
    """Whether a key may be one of several words, or true or false."""
    annotation = field(key)
    return annotation is bool or bool(params.literals(annotation) or params.literals((annotation,)))


def check_values(sweep: Sweep, tree: dict[str, Any]) -> None:
    """Hold every combination of ends and choices against the schemas. Raises InputError."""
    ends = [found.ends for found in sweep.space.values()]
    for values in itertools.islice(itertools.product(*ends), COMBINATIONS):
        settings.check(merged(tree, {**sweep.fixed, **dict(zip(sweep.space, values, strict=True))}), sweep.path)
    if not tree["normalise"]["validation"]:
        raise InputError(
            f"{params.FILE}: normalise.validation: 0, and without validation images nothing can be chosen; set it to "
            "5000 or so"
        )


def merged(tree: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The content of params.yaml with other values, by dotted key."""
    found = {name: dict(section) for name, section in tree.items()}
    for key, value in values.items():
        name, _, rest = key.partition(".")
        found[name][rest] = value
    return found
