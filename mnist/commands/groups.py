"""All runs that git knows, grouped: those that differ in nothing but their seed are of one recipe.

Other code, other libraries and other data make another recipe; where the data lay does not.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist.commands import settings
from mnist.commands.runs import IDLE
from pipeline import git, lock
from pipeline.errors import InputError

SEED = "train.seed"
DATA = "data/raw"
CODE = "code"  # and libraries
METRICS = "metrics/train.json"
Identity = dict[str, Any]  # what a run is told apart by


class Measured(BaseModel):
    """What counts here of train.json; None without validation images."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    validation_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    validation_loss: float | None = None
    validation_images: Annotated[int, Field(ge=1)] | None = None


class Split(NamedTuple):
    """What the validation images depend on: the data, how many of them are held out, and by which seed."""

    data: Any
    held_out: Any
    seed: Any


class Result(NamedTuple):
    """One run: its commit, and what it reached on how many validation images."""

    commit: str
    accuracy: float
    loss: float
    images: int | None = None  # not known of runs of older code


@dataclass(frozen=True)
class Group:
    """Runs of one recipe, a seed each: the parameters they share, and what each run reached."""

    parameters: dict[str, Any]
    runs: list[Result] = field(default_factory=list)

    @property
    def split(self) -> Split:
        """Its validation images; only on the same ones are recipes held against each other."""
        return split(self.parameters)

    def values(self, name: str) -> list[float]:
        """The `accuracy` or the `loss` of each run."""
        return [getattr(run, name) for run in self.runs]


class Recorded(NamedTuple):
    """A run that git knows: its commit, what it is told apart by, and the validation images' part of its train.json."""

    commit: str
    identity: Identity
    measured: Measured

    @property
    def recipe(self) -> dict[str, Any]:
        """Which recipe it is a run of."""
        return recipe(self.identity)


def recorded(say: Callable[[str], None], asked: Callable[[Identity], bool] = lambda _: True) -> Iterator[Recorded]:
    """The runs of all experiments and of the current branch's commits that are asked for, the newest first.

    Of runs with the same parameters, seed included, the newest counts: the others are the same or of older code.
    `say` is told which of them are left out, and why.
    """
    commits = git.experiments_and_commits()
    if git.shallow():
        say("this clone is shallow; `git fetch --unshallow` brings the older commits' runs")
    files = git.contents([(commit, path) for commit in commits for path in (str(lock.FILE), METRICS)])
    seen = set()
    for commit, text, metrics in zip(commits, files, files, strict=True):
        if text is None or metrics is None:
            continue
        try:
            made = lock.parse(text, f"{commit}: {lock.FILE}")
            if not asked(run := identity(made)):
                continue
            found = Recorded(commit, run, Measured.model_validate_json(metrics))
        except (InputError, ValidationError):
            say(f"{commit[:7]}: its {lock.FILE} or {METRICS} is damaged; left out")
            continue
        if made.outputs().get(METRICS) != lock.digest(metrics):
            say(f"{commit[:7]}: its {METRICS} is not the one that its {lock.FILE} records; left out")
            continue
        if mixed := made.mixed(METRICS):
            say(f"{commit[:7]}: {mixed[0]} was made again after what was made from it; left out")
            continue
        if (text_of_run := json.dumps(run, sort_keys=True)) not in seen:
            seen.add(text_of_run)
            yield found


def aside(line: str) -> None:
    """Say something beside the output."""
    print(line, file=sys.stderr)


def known(say: Callable[[str], None] = aside, asked: Callable[[Identity], bool] = lambda _: True) -> list[Group]:
    """The recipes of the runs that are asked for, the one with the newest run first; `say` is told what is left out.

    Raises InputError if there is none.
    """
    found: dict[str, Group] = {}
    blind = []
    for run in recorded(say, asked):
        accuracy, loss = run.measured.validation_accuracy, run.measured.validation_loss
        if accuracy is None or loss is None:
            blind.append(run.commit[:7])
            continue
        group = found.setdefault(json.dumps(run.recipe, sort_keys=True), Group(run.recipe))
        group.runs.append(Result(run.commit, accuracy, loss, run.measured.validation_images))
    without = f"{', '.join(blind)}: without validation images no run is ranked; set normalise.validation, run it again"
    if blind and found:
        say(without)
    if not found:
        raise InputError(
            without if blind else f"no commit or experiment has {lock.FILE} and {METRICS}; `dvc repro` and commit first"
        )
    return list(found.values())


def identity(made: lock.Lock) -> Identity:
    """What a run is told apart by: what decides its training, and which images it was measured on."""
    parameters = settings.complete(made.parameters(METRICS)).items()
    kept = {key: value for key, value in parameters if not key.startswith(IDLE)}
    return {**kept, DATA: made.outputs().get(DATA, "unknown")[:7], CODE: made.versions(METRICS)[:7]}


def recipe(identity: Identity) -> dict[str, Any]:
    """What a run is told apart by but for its seed."""
    return {key: value for key, value in identity.items() if key != SEED}


def split(parameters: dict[str, Any]) -> Split:
    """Which images a run with these parameters was validated on."""
    return Split(*(parameters.get(key) for key in (DATA, "normalise.validation", "normalise.seed")))


def of_head() -> Identity:
    """What the current commit's run is told apart by; nothing if it has none."""
    content = next(git.contents([("HEAD", str(lock.FILE))]))
    try:
        return identity(lock.parse(content)) if content else {}
    except InputError:  # a damaged one has none
        return {}
