"""Which recipe is better? All runs that git knows, grouped if they differ in nothing but their seed.

Recipes are ranked within a data set, and held against the first on the same one. Other code is another recipe.
"""

import csv
import io
import json
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist.commands.figures import plain
from mnist.commands.runs import IDLE
from pipeline import git, lock
from pipeline.errors import InputError

SEED = "train.seed"
DATA = "data/raw"
CODE = "code"  # and libraries
METRICS = "metrics/evaluate.json"


def leaderboard(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Rank the recipes of all experiments and of this branch's commits by their mean accuracy over seeds.

    Example: python -m mnist leaderboard --csv > leaderboard.csv
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one")
    table = rows(groups())
    if as_json:
        print(json.dumps(table, indent=2, ensure_ascii=False))
    elif as_csv:
        print(written(table), end="")
    else:
        show(table)


class Measured(BaseModel):
    """What counts here of evaluate.json."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    accuracy: Annotated[float, Field(ge=0, le=1)]
    loss: float


@dataclass(frozen=True)
class Group:
    """Runs of one recipe, a seed each: the parameters they share, and accuracy and loss of each run."""

    parameters: dict[str, Any]
    accuracy: list[float]
    loss: list[float]

    def row(self, leader: "Group") -> dict[str, Any]:
        """The group's row; statistics that need several runs are None."""
        several = len(self.accuracy) > 1
        return {
            "n": len(self.accuracy),
            "accuracy_mean": float(np.mean(self.accuracy)),
            "accuracy_std": float(np.std(self.accuracy, ddof=1)) if several else None,
            "loss_mean": float(np.mean(self.loss)),
            "loss_std": float(np.std(self.loss, ddof=1)) if several else None,
            "best": max(self.accuracy),
            "p_value": welch(self.accuracy, leader.accuracy) if self is not leader else None,
        }


def welch(ours: list[float], theirs: list[float]) -> float | None:
    """Two-sided p of Welch's t that two recipes reach the same mean; None if their spread is not known."""
    if min(len(ours), len(theirs)) < 2 or np.ptp(ours) == np.ptp(theirs) == 0:
        return None
    from scipy import stats  # takes a moment

    return float(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)


def groups() -> list[Group]:
    """All experiments' and the current branch's runs by recipe and data set, the best mean accuracy first.

    Of runs with the same parameters, seed included, the newest counts: the others are the same or of older code.
    Raises InputError if there is none.
    """
    commits = git.experiments_and_commits()
    if git.shallow():
        print("this clone is shallow; `git fetch --unshallow` brings the older commits' runs", file=sys.stderr)
    files = git.contents([(commit, path) for commit in commits for path in (str(lock.FILE), METRICS)])
    found: dict[str, Group] = {}
    seen = set()
    for commit, text, metrics in zip(commits, files, files, strict=True):
        if text is None or metrics is None:
            continue
        try:
            made = lock.parse(text, f"{commit}: {lock.FILE}")
            recorded = identity(made)
            measured = Measured.model_validate_json(metrics)
        except (InputError, ValidationError):
            print(f"{commit[:7]}: its {lock.FILE} or {METRICS} is damaged; left out", file=sys.stderr)
            continue
        if made.outputs().get(METRICS) != lock.digest(metrics):
            print(f"{commit[:7]}: its {METRICS} is not the one that its {lock.FILE} records; left out", file=sys.stderr)
            continue
        if mixed := made.mixed(METRICS):
            print(f"{commit[:7]}: {mixed[0]} was made again after what was made from it; left out", file=sys.stderr)
            continue
        if (run := json.dumps(recorded, sort_keys=True)) in seen:
            continue
        seen.add(run)
        parameters = {key: value for key, value in recorded.items() if key != SEED}
        group = found.setdefault(json.dumps(parameters, sort_keys=True), Group(parameters, [], []))
        group.accuracy.append(measured.accuracy)
        group.loss.append(measured.loss)
    if not found:
        raise InputError("no commit or experiment has dvc.lock and metrics/evaluate.json; `dvc repro` and commit first")
    ranked = sorted(found.values(), key=lambda group: -np.mean(group.accuracy))
    data_sets = list(dict.fromkeys(group.parameters[DATA] for group in ranked))
    return sorted(ranked, key=lambda group: data_sets.index(group.parameters[DATA]))


def identity(made: lock.Lock) -> dict[str, Any]:
    """What a run is told apart by: its parameters, data, code and libraries.

    The data's content counts, and not where it lay; how many test images are measured at a time decides nothing.
    """
    parameters = made.parameters(METRICS).items()
    kept = {key: value for key, value in parameters if not key.startswith(IDLE)}
    return {**kept, DATA: made.outputs().get(DATA, "unknown")[:7], CODE: made.versions(METRICS)[:7]}


def rows(ranked: list[Group]) -> list[dict[str, Any]]:
    """One row per recipe: what any two of them differ in, and what `Group.row` says; the first of a data set leads."""
    leaders: dict[str, Group] = {}
    for group in ranked:
        leaders.setdefault(group.parameters[DATA], group)
    keys = dict.fromkeys(key for group in ranked for key in group.parameters)
    differing = [key for key in keys if len({json.dumps(group.parameters.get(key)) for group in ranked}) > 1]
    return [
        {"params": {key: group.parameters.get(key) for key in differing}, **group.row(leaders[group.parameters[DATA]])}
        for group in ranked
    ]


def written(table: list[dict[str, Any]]) -> str:
    """The rows as CSV, a column a parameter."""
    flat = [{**row["params"], **{key: value for key, value in row.items() if key != "params"}} for row in table]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def show(table: list[dict[str, Any]]) -> None:
    """Print the rows as a table as wide as the terminal; in a narrow one names are folded, never figures."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column("parameters", overflow="fold")
    for name in ("runs", "accuracy", "loss", "best", "p"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table:
        parameters = "\n".join(f"{key}: {value}" for key, value in row["params"].items())
        shown.add_row(
            parameters,
            str(row["n"]),
            spread(row["accuracy_mean"], row["accuracy_std"]),
            spread(row["loss_mean"], row["loss_std"]),
            plain(row["best"]),
            "" if row["p_value"] is None else f"{row['p_value']:.2g}",
        )
    Console().print(shown)
    print("accuracy and loss on the test images: mean ± standard deviation over seeds; p: Welch's t against the first")


def spread(mean: float, std: float | None) -> str:
    """`mean ± std`, or the mean alone."""
    return plain(mean) if std is None else f"{plain(mean)} ± {plain(std)}"
