"""Two recipes, each by all the seeds that git knows: is one better, whatever the seed and the images?"""

from typing import Any

import numpy as np

from mnist import seeds
from mnist.commands import groups, runs
from mnist.commands.figures import in_points, plain, signed
from mnist.commands.runs import Run
from pipeline import revisions
from pipeline.errors import InputError


def of(a: Run, b: Run) -> dict[str, Any] | None:
    """What `compare --json` says of two recipes: their means and deviations over seeds, and the difference, B minus A.

    None if one of them has a single run, or both are the same. Runs whose predictions are gone do not count.
    """
    identities = [identity(run) for run in (a, b)]
    recipes = [groups.recipe(identity) for identity in identities]
    if recipes[0] == recipes[1]:
        return None
    known = list(groups.recorded(groups.aside, lambda identity: groups.recipe(identity) in recipes))
    right = []
    for run, own, recipe in zip((a, b), identities, recipes, strict=True):
        others = [each for each in known if each.recipe == recipe and each.identity != own]
        found = [run, *filter(None, (read(each.commit) for each in others))] if others else [run]
        right.append(np.array([each.predictions.predicted == each.predictions.actual for each in found]))
    if min(map(len, right)) < 2:
        return None
    each = [seeds.spread([float(accuracy) for accuracy in side.mean(1)]) for side in right]
    difference = seeds.difference(*right)
    return {
        **{
            name: {"n": len(side), "accuracy_mean": mean, "accuracy_std": deviation}
            for name, side, (mean, deviation) in zip("ab", right, each, strict=True)
        },
        "accuracy_difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }


def same(a: Run, b: Run) -> bool:
    """Whether two runs are of one recipe."""
    return groups.recipe(identity(a)) == groups.recipe(identity(b))


def identity(run: Run) -> dict[str, Any]:
    """What a run is told apart by."""
    return groups.identity(revisions.Revision(run.revision).lock)


def read(commit: str) -> Run | None:
    """A run of a commit; None, with a line on stderr, if its results are gone or out of date."""
    try:
        return runs.read(commit)
    except InputError as error:
        groups.aside(f"{commit[:7]}: left out of its recipe; {error}")
        return None


def worse(found: dict[str, Any]) -> bool:
    """Whether recipe B is less accurate by more than the chance of seeds and images."""
    return bool(found["difference_high"] < 0)


def lines(found: dict[str, Any], width: int) -> list[str]:
    """The figures as lines of text, names in so many columns."""
    a, b = (f"{plain(side['accuracy_mean'])} ± {plain(side['accuracy_std'])}" for side in (found["a"], found["b"]))
    return [
        f"{'accuracy over seeds':{width}}  {a} ({found['a']['n']} runs) → {b} ({found['b']['n']} runs)",
        f"{'difference of means':{width}}  {signed(found['accuracy_difference'])}  95 % "
        f"{signed(found['difference_low'])} to {signed(found['difference_high'])}",
    ]


def sentence(found: dict[str, Any]) -> str:
    """What that means, for a person."""
    if found["difference_low"] <= 0 <= found["difference_high"]:
        return f"The recipe of B {in_points(found, certain=False)}; that may be the chance of seeds and images."
    return f"The recipe of B {in_points(found, certain=True)}; this is more than the chance of seeds and images."
