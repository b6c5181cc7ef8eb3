"""What a sweep's workers have to know of a training: its parameters, its curve, and what it came to."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from mnist import results
from mnist.commands import groups
from mnist.commands.groups import METRICS
from mnist.commands.space import SEED, Choices, Range, Sweep, merged, numbers
from pipeline import definition, git, inputs, lock, params, yaml12
from pipeline.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STAGE = "train"
EPOCHS = "train.epochs"
DIGITS = 4  # significant ones that a number keeps: what is ever better by the fifth is luck
DIVERGED = "no longer finite"
UNBOUND = ("evaluate.", "plot.", SEED)  # what differs without making another search


@dataclass(frozen=True)
class Trainings:
    """The trainings of a sweep, as `pipeline.workers.Kind` describes them; `tree` is the content of params.yaml."""

    sweep: Sweep
    tree: dict[str, Any]

    @property
    def seeds(self) -> list[int]:
        """The seeds that each trial is run with."""
        return self.sweep.plan.seeds

    @property
    def longest(self) -> int:
        """The most epochs that a trial may have."""
        searched = self.sweep.space.get(EPOCHS)
        return int(searched.high) if isinstance(searched, Range) else self.steps(self.sweep.fixed)

    def steps(self, values: dict[str, Any]) -> int:
        """The epochs of a trial with these values."""
        return int(values.get(EPOCHS, self.tree["train"]["epochs"]))

    def values(self, found: dict[str, Any], seed: int) -> dict[str, Any]:
        """What to set in params.yaml for a trial's parameters and a seed."""
        return self.recipe(found) | {SEED: seed}

    def recipe(self, found: dict[str, Any]) -> dict[str, Any]:
        """What to set for a trial's parameters, numbers rounded within their range."""
        return self.sweep.fixed | {key: rounded(value, self.sweep.space[key]) for key, value in found.items()}

    def progress(self, project: Path) -> list[float]:
        """The validation loss after each epoch of the training there, negative if the accuracy is to be maximised."""
        try:
            epochs = results.read_history(project / results.HISTORY) if (project / results.HISTORY).exists() else []
        except InputError:  # it has just gone
            return []
        sign = 1 if self.sweep.plan.objective == "loss" else -1
        return [sign * epoch.validation_loss for epoch in epochs if epoch.validation_loss is not None]

    def read(self, commit: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """The validation accuracy and loss of an experiment; None if they are damaged.

        Raises InputError if it was run with other values, code, libraries or data.
        """
        paths = (str(params.FILE), str(lock.FILE), METRICS)
        given, recorded, metrics = git.contents([(commit, path) for path in paths])
        result, other = None, None
        try:
            if given and params.flat(yaml12.parse(given, commit)) != params.flat(self.tree) | values:
                other = "other parameters"
            elif metrics and recorded and (made := lock.parse(recorded)).outputs().get(METRICS) == lock.digest(metrics):
                found = groups.Measured.model_validate_json(metrics)
                result, other = {"accuracy": found.validation_accuracy, "loss": found.validation_loss}, self.other(made)
        except (ValidationError, InputError):
            return None
        if other:
            name = next((name for name, known in git.experiments().items() if known == commit), commit[:7])
            raise InputError(
                f"{name}: an experiment of this name was run with {other}, as by a sweep whose study is gone; "
                f"`dvc exp remove {name}`, or give this one another sweep.name"
            )
        return result

    def other(self, made: lock.Lock) -> str | None:
        """The first code, library or data that is not the same for a run and for this search."""
        theirs = {path: dep.md5 for path, dep in made.given(METRICS).items()}
        for stage in made.behind(METRICS).values():
            theirs |= stage.values
        every = [{os.path.normpath(key): value for key, value in found.items()} for found in (self.given, theirs)]
        ours, theirs = ({key: each[key] for key in each if not key.startswith(f"{params.FILE}: ")} for each in every)
        return next((f"another {key}" for key in ours | theirs if ours.get(key) != theirs.get(key)), None)

    def value(self, results: list[dict[str, Any]]) -> float:
        """The mean over seeds of what is sought."""
        return float(np.mean([result[self.sweep.plan.objective] for result in results]))

    def hopeless(self, message: str) -> bool:
        """Whether a training that failed has diverged."""
        return DIVERGED in message

    @functools.cached_property
    def given(self) -> dict[str, Any]:
        """What a run depends on, by name, as it was when the search began: parameters, code, libraries and data."""
        makers = definition.behind(STAGE)
        made = {path for entry in makers.values() for path in definition.outputs(entry)}
        tree = merged(self.tree, self.sweep.fixed)
        found: dict[str, Any] = {}
        read: dict[str, None] = {}  # in order, each once
        for name, entry in makers.items():
            values, deps = definition.declared(name, entry, tree)
            found |= values
            read |= dict.fromkeys(path for path in deps if path not in made)
        return found | inputs.digests(list(read))

    def identity(self) -> dict[str, Any]:
        """What a study is bound to: its space, the other parameters, code, libraries and data, by name."""
        searched = {f"{params.FILE}: {key}" for key in self.sweep.space}
        found: dict[str, Any] = {
            "sweep.seeds": self.seeds,
            "sweep.objective": self.sweep.plan.objective,
            **{f"search: {key}": value.model_dump() for key, value in self.sweep.space.items()},
            **{key: value for key, value in self.given.items() if key not in searched},
        }
        return {key: value for key, value in sorted(found.items()) if not unbound(key)}


def unbound(key: str) -> bool:
    """Whether a value may differ within a search."""
    return key.removeprefix(f"{params.FILE}: ").startswith(UNBOUND)


def rounded(value: Any, searched: Range | Choices) -> Any:
    """A number to so many digits, still within its range; a word as it is."""
    if not isinstance(value, float) or not isinstance(searched, Range):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), searched.low), searched.high)


def distributions(space: dict[str, Range | Choices]) -> "dict[str, BaseDistribution]":
    """What Optuna calls a range or choices."""
    from optuna import distributions

    found: dict[str, BaseDistribution] = {}
    for key, searched in space.items():
        if isinstance(searched, Choices):
            found[key] = distributions.CategoricalDistribution(searched.choices)
        elif float in numbers(key):
            found[key] = distributions.FloatDistribution(searched.low, searched.high, log=searched.log)
        else:
            found[key] = distributions.IntDistribution(int(searched.low), int(searched.high), log=searched.log)
    return found
