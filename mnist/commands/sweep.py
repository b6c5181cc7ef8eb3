"""Search parameters: trials on the validation images, each a real experiment."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnist.commands import settings, space, trials
from mnist.commands.check import untracked
from mnist.commands.groups import aside
from pipeline import console, definition, git, inputs, lock, params, pins, yaml12
from pipeline.errors import InputError, command
from pipeline.processes import cores

if TYPE_CHECKING:
    from pipeline import study

STORAGE = "an address such as postgresql://name:password@host/database, for workers of several machines"


def sweep(
    file: Annotated[Path, typer.Argument(help="What to search, as sweeps/mlp.yaml says it.", metavar="FILE")],
    workers: Annotated[int, typer.Option(min=1, max=256, help="Trials at once, each in a checkout of its own.")] = 1,
    storage: Annotated[str | None, typer.Option(help=f"Where trials are kept: {STORAGE}; else a file here.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the best recipe into params.yaml.")] = False,
) -> None:
    """Search the parameters that a file names for the best on the validation images.

    Each run is an experiment of DVC's. Stopped or killed, the same command goes on. Other edits of params.yaml count.

    Example: python -m mnist sweep sweeps/mlp.yaml --workers 2
    """
    tree = yaml12.read(params.FILE)
    settings.check(tree)
    wanted = space.read(file, tree)
    trainings = trials.Trainings(wanted, tree)
    check_committed(tree)
    crowd(workers, trainings)
    from mnist.commands import found  # seconds, for what they import
    from pipeline import workers as pool

    url = storage or f"sqlite:///{file.with_name(f'{wanted.name}.db')}"
    search = pool.Search(study_of(trainings), trainings, trials.STAGE, params.FILE.read_text("utf-8"), url, aside)
    with pool.alone():
        done = search.run(workers, lambda trial: console.say(found.line(trial, trainings)))
        print("\n".join(found.report(done, trainings)))
        picture = file.with_name(f"{wanted.name}.png")
        found.picture(done, picture)
        print(f"{picture}: the search; `python -m mnist leaderboard` ranks its runs among all others")
        if apply and (best := found.best(done)):
            write(trainings.recipe(best.params), file)
            print(f"{params.FILE}: the best recipe written; `dvc repro` runs it")


def write(recipe: dict[str, Any], source: Path) -> None:
    """Write values into params.yaml, which hours may have changed. Raises InputError if it is not valid."""
    settings.read()
    settings.write(recipe, source)


def study_of(trainings: trials.Trainings) -> "study.Settings":
    """What Optuna has to know of a sweep."""
    from pipeline import study

    plan = trainings.sweep.plan
    return study.Settings(
        trainings.sweep.name,
        plan.trials,
        trials.distributions(trainings.sweep.space),
        "minimize" if plan.objective == "loss" else "maximize",
        study.Sampler(plan.sampler, plan.seed),
        plan.pruning,
        trainings.identity(),
    )


def check_committed(tree: dict[str, Any]) -> None:
    """Raise InputError if workers' checkouts would lack what lies here: data and code that are not committed."""
    stages = definition.behind(trials.STAGE)
    data = [path for path in definition.given(stages, tree) if not Path(path).is_absolute()]
    for path in data:
        if remedy := untracked(path):
            raise InputError(f"{path}: the sweep's workers do not find it; {remedy}")
    trackers = [tracker for path in data for tracker in lock.trackers(Path(path))]
    code = {dep for entry in stages.values() for dep in entry.deps if definition.is_code(dep)}
    names = [str(definition.FILE), pins.PROJECT, *sorted(code), *data, *map(str, trackers)]
    if changed := git.run("status", "--porcelain", "--untracked-files", "--", *names).splitlines():
        raise InputError(f"{changed[0][3:]}: not as committed, and a sweep runs what is; commit it, or take it back")
    for tracker in filter(Path.is_file, trackers):
        path, md5 = str(tracker.with_suffix("")), lock.parse_tracked(tracker.read_bytes(), str(tracker))
        if md5 and inputs.digests([path]) != {path: md5}:
            raise InputError(
                f"{path}: not as {tracker} has it, and a sweep runs what it has; {command('dvc', 'add', path)} and "
                f"commit that, or {command('dvc', 'checkout', '--force', tracker)}"
            )


def crowd(workers: int, trainings: trials.Trainings) -> None:
    """Say so if workers have more threads than there are processors: each would take longer."""
    threads = workers * int(trainings.sweep.fixed.get("train.threads", trainings.tree["train"]["threads"]))
    if threads > (here := cores()):
        print(f"{threads} threads for {here} processors: fewer workers are as fast", file=sys.stderr)
