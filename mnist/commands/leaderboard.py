"""Which recipe is best? All runs that git knows, grouped by recipe, ranked on their validation images.

The test images have no say: the best of many on them would be partly the luckiest. They are looked at once, for the
recipe that was chosen, and git notes that.
"""

import csv
import functools
import hashlib
import io
import json
import re
from typing import Annotated, Any, Literal

import numpy as np
import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnist import seeds
from mnist.commands import groups
from mnist.commands.figures import plain
from mnist.commands.groups import Group
from pipeline import console, git, lock
from pipeline.errors import InputError

TEST = "metrics/evaluate.json"
SIGNIFICANT = 0.05
LOOKED = "looked at the test images"
CHANCE = {"accuracy": "seeds and images", "loss": "seeds, on these images"}
LOOKS = {
    False: "It is the first such look at them.",
    True: "So far {} recipes were looked at there: the best of these would be partly luck.",
}
Measure = Literal["accuracy", "loss"]


def leaderboard(
    by: Annotated[Measure, typer.Option(help="What to rank by, on the validation images.")] = "accuracy",
    everything: Annotated[
        bool, typer.Option("--all", help="Rank runs of other code, libraries or data than HEAD's, too.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Show the first one's accuracy on the test images too; git notes the look.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Rank the recipes of all experiments and of this branch's commits by their mean over seeds.

    Runs of other code, libraries or data than HEAD's are counted and left out.

    Example: python -m mnist leaderboard --by loss --csv > leaderboard.csv
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other; give one")
    head = functools.cache(groups.of_head)  # asked after git has said whether it knows this folder
    others = set()

    def asked(identity: groups.Identity) -> bool:
        same = everything or all(head().get(key) in (None, identity[key]) for key in (groups.CODE, groups.DATA))
        if not same:
            others.add(json.dumps(groups.recipe(identity), sort_keys=True))
        return same

    try:
        ranked = order(groups.known(asked=asked), by, groups.split(head()))
    finally:
        if others:
            groups.aside(f"left out: recipes of other code, libraries or data than HEAD's ({len(others)}); see --all")
    table = rows(ranked, by)
    if test:
        for row in table:
            row |= dict.fromkeys(Look.model_fields)
        table[0] |= look(ranked[0]).model_dump()
    if as_json:
        print(console.as_json(table))
    elif as_csv:
        print(written(table), end="")
    else:
        show(table, by)


class Tested(BaseModel):
    """What counts here of evaluate.json."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    accuracy: Annotated[float, Field(ge=0, le=1)]


class Look(BaseModel):
    """A recipe's accuracy on the test images, and how many recipes were looked at on them so far, this one included."""

    test_accuracy_mean: float
    test_accuracy_std: float | None
    looks: int


def order(found: list[Group], by: Measure, first: groups.Split) -> list[Group]:
    """Recipes by their means, best first; those on other validation images than `first` come after it."""
    sign = 1 if by == "loss" else -1
    splits = [first, *dict.fromkeys(group.split for group in found)]
    return sorted(found, key=lambda group: (splits.index(group.split), sign * np.mean(group.values(by))))


def rows(ranked: list[Group], by: Measure) -> list[dict[str, Any]]:
    """One row per recipe: what any two of them differ in, means and deviations, whether it may be the best.

    What a single run cannot say is None.
    """
    keys = dict.fromkeys(key for group in ranked for key in group.parameters)
    differing = [key for key in keys if len({json.dumps(group.parameters.get(key)) for group in ranked}) > 1]
    p_values: list[float | None] = []
    for split in dict.fromkeys(group.split for group in ranked):
        here = [group for group in ranked if group.split == split]
        results = [group.values(by) for group in here]
        if by == "loss":
            p_values += seeds.worse_than_best([[-x for x in each] for each in results], None)
        else:
            # a data set that has validation images of its own holds none out
            images = next((run.images for group in here for run in group.runs if run.images), split.held_out)
            p_values += seeds.worse_than_best(results, images)
    table = []
    for group, p in zip(ranked, p_values, strict=True):
        (accuracy, accuracy_std), (loss, loss_std) = (seeds.spread(group.values(name)) for name in ("accuracy", "loss"))
        table.append(
            {
                "params": {key: group.parameters.get(key) for key in differing},
                "n": len(group.runs),
                "accuracy_mean": accuracy,
                "accuracy_std": accuracy_std,
                "loss_mean": loss,
                "loss_std": loss_std,
                "p_value": p,
                "may_be_best": None if len(group.runs) == 1 else p is None or p >= SIGNIFICANT,
            }
        )
    return table


def look(group: Group) -> Look:
    """A recipe's accuracy on the test images, of which git keeps a note at HEAD: `git log` shows it.

    Seen again, the same recipe is no other choice. Raises InputError if a run has none that its lock records, or was
    measured by other code than the rest.
    """
    commits = [run.commit for run in group.runs]
    files = git.contents([(commit, path) for commit in commits for path in (str(lock.FILE), TEST)])
    found = [tested(commit, text, metrics) for commit, text, metrics in zip(commits, files, files, strict=True)]
    if len({code for _, code in found}) > 1:
        raise InputError(
            f"{', '.join(commit[:7] for commit in commits)}: measured by different code; `dvc repro` there"
        )
    mean, deviation = seeds.spread([accuracy for accuracy, _ in found])
    recipe = hashlib.sha256(json.dumps(group.parameters, sort_keys=True).encode()).hexdigest()[:7]
    these = f"{LOOKED} of {group.split.data}: recipe "
    ours = f"{these}{recipe}, {len(commits)} runs, accuracy {figure(mean, deviation)}"
    looks = [match for note in git.notes() for match in re.finditer(rf"^{these}(\w{{7}}), \d+ runs, .*$", note, re.M)]
    if ours not in [match[0] for match in looks]:
        git.note(ours)
    return Look(
        test_accuracy_mean=mean, test_accuracy_std=deviation, looks=len({recipe, *(match[1] for match in looks)})
    )


def tested(commit: str, text: bytes | None, metrics: bytes | None) -> tuple[float, str]:
    """The accuracy on the test images that a commit records, and a hash of the code that measured it."""
    try:
        made = lock.parse(text) if text else None
        if made and (mixed := made.mixed(TEST)):
            raise InputError(f"{commit[:7]}: {mixed[0]} was made again after {TEST}; `dvc repro` there and commit both")
        if made and metrics and made.outputs().get(TEST) == lock.digest(metrics):
            return Tested.model_validate_json(metrics).accuracy, made.versions(TEST)
    except ValidationError:
        pass
    raise InputError(f"{commit[:7]}: has no {TEST} that its {lock.FILE} records; `dvc repro` there and commit both")


def written(table: list[dict[str, Any]]) -> str:
    """The rows as CSV, a column a parameter."""
    flat = [{**row["params"], **{key: value for key, value in row.items() if key != "params"}} for row in table]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def show(table: list[dict[str, Any]], by: Measure) -> None:
    """Print the rows as a table as wide as the terminal; in a narrow one names are folded, never figures."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column("parameters", overflow="fold")
    for name in ("runs", "accuracy", "loss", "p", "best?"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table:
        parameters = "\n".join(f"{key}: {value}" for key, value in row["params"].items())
        shown.add_row(
            Text(parameters),
            str(row["n"]),
            figure(row["accuracy_mean"], row["accuracy_std"]),
            figure(row["loss_mean"], row["loss_std"]),
            "" if row["p_value"] is None else f"{row['p_value']:.2g}",
            {True: "maybe", False: "no", None: ""}[row["may_be_best"]],
        )
    Console().print(shown)
    print("on the validation images: mean ± standard deviation over seeds")
    print(f"best? no: worse than the best that was picked, by more than the chance of {CHANCE[by]}; p by Tamhane's T2")
    if looks := table[0].get("looks"):
        reached = figure(table[0]["test_accuracy_mean"], table[0]["test_accuracy_std"])
        print(f"the first on the test images: {reached}; noted in git. {LOOKS[looks > 1].format(looks)}")


def figure(mean: float, std: float | None) -> str:
    """`mean ± std`, or the mean alone."""
    return plain(mean) if std is None else f"{plain(mean)} ± {plain(std)}"
