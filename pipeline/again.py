"""Run a revision again from its raw data, with nothing from any cache, and hold what comes out against its record."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import checkout, definition, files, lock, params, pins, processes, yaml12
from pipeline.errors import InputError
from pipeline.revisions import Revision


class Difference(NamedTuple):
    """A parameter, dependency or output that is not as recorded: its name, and the two values or MD5."""

    name: str
    recorded: str | None  # None: `dvc.lock` does not name it
    found: str | None  # None: there is none
    where: str = "here"


def check(revision: Revision) -> None:
    """Raise InputError if a revision records no whole run of its own, or cannot be run with what is installed."""
    if revision.commit is None:
        raise InputError(f"{revision.name}: not a commit; commit what it has, and prove HEAD")
    recorded = record(revision)
    if missing := [name for name in defined(revision) if name not in recorded.stages]:
        raise InputError(
            f"{revision.name}: its {lock.FILE} has no run of {missing[0]}; {revision.rerun(list(recorded.stages))}"
        )
    read = {dep.path for stage in recorded.stages.values() for dep in stage.deps}
    for output in recorded.outputs().keys() - read:
        revision.check_current(output)
    for name, stage in recorded.stages.items():
        try:
            pins.check_values(
                {f"{pins.PROJECT}: {key}": pin for key, pin in stage.params.get(pins.PROJECT, {}).items()}
            )
        except InputError as error:
            what = str(error).partition(";")[0]
            raise InputError(
                f"{revision.name}: {name}: {what}; prove it in an environment made by its own requirements.txt"
            ) from error


def defined(revision: Revision) -> dict[str, Any]:
    """The stages of a revision's dvc.yaml."""
    return revision.parsed(definition.FILE, yaml12.parse).get("stages") or {}


def record(revision: Revision) -> lock.Lock:
    """What a revision's lock says of the stages that it defines: DVC keeps it of those renamed or removed by hand."""
    names = defined(revision)
    kept = {name: stage for name, stage in revision.lock.stages.items() if name in names}
    return revision.lock.model_copy(update={"stages": kept})


def committed(revision: Revision) -> Difference | None:
    """The first output whose copy in git is not the recorded one."""
    for output, md5 in record(revision).outputs().items():
        content = revision.in_git(output)
        if content is not None and lock.digest(content) != md5:
            return Difference(output, md5, lock.digest(content), "in git")
    return None


def run(revision: Revision, say: Callable[[str], None]) -> Difference | None:
    """Run all stages of a revision in a folder of its own, up to the first that does not come to what is recorded.

    `say` is told the name of each stage that begins. The folder goes when this ends, however; one that SIGKILL has left
    goes the next time. Raises InputError if raw data are gone, or a stage fails.
    """
    place = files.temporary() / "prove"
    # another name each time: a run whose starter was killed may still be writing to the last one
    with files.locked(place.with_suffix(".lock"), "prove"), files.scratch(place):
        folder = place / str(os.getpid())
        folder.mkdir()
        project = checkout.make(revision, folder)
        return repro(revision, folder, project, say) or difference(record(revision), made(project), whole=True)


def made(project: Path) -> lock.Lock:
    """What DVC records of the stages of a checkout that have run."""
    path = project / lock.FILE
    return lock.parse(path.read_bytes()) if path.exists() else lock.Lock(schema="2.0", stages={})


def repro(revision: Revision, folder: Path, project: Path, say: Callable[[str], None]) -> Difference | None:
    """Run the stages of a checkout with this interpreter until one makes something else than recorded.

    Raises InputError, in a stage's own words, if one fails.
    """
    environment = {**checkout.environment(folder), "PYTHONUNBUFFERED": "1"}
    dvc = [sys.executable, "-m", "dvc"]
    tree = yaml12.read(project / definition.FILE)
    frozen = [name for name in tree["stages"] if definition.find(tree, f"stages.{name}.frozen") is True]
    commands = [[*dvc, "unfreeze", *frozen]] * bool(frozen) + [[*dvc, "repro", "--no-run-cache", "--no-commit"]]
    for command in commands:
        said = []
        with subprocess.Popen(
            command, cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as process:  # fmt: skip
            try:
                for line in process.stdout or ():
                    said.append(line.strip())
                    if begins := re.match(r"Running stage '(.*)':$", line):  # and DVC has recorded those before
                        say(begins[1])
                        if found := difference(record(revision), made(project), whole=False):
                            processes.end(process.pid)
                            return found
            except BaseException:  # a signal as well
                processes.end(process.pid)
                raise
        if process.returncode:
            raise InputError(f"{revision.name}: cannot be run: {checkout.failure(said)}")
    return None


def difference(recorded: lock.Lock, found: lock.Lock, *, whole: bool) -> Difference | None:
    """The first that is not as recorded, in the order in which the stages ran: a parameter, dependency or output.

    `whole` says that all stages have run, so one that is missing counts.
    """
    for name in {**found.stages, **(recorded.stages if whole else {})}:
        then, now = (entries(each.stages.get(name)) for each in (recorded, found))
        for what in {**now, **then}:
            if then.get(what) != now.get(what):
                return Difference(what[1], then.get(what), now.get(what))
    return None


def entries(stage: lock.Stage | None) -> dict[tuple[str, str], str]:
    """What a lock says of a stage, by kind and name: values as JSON, the MD5 of the others."""
    if stage is None:
        return {}
    values = params.flat(stage.params)
    found = {("value", name): json.dumps(value) for name, value in values.items()}
    found |= {("dep", dep.path): dep.md5 for dep in stage.deps}
    return found | {("out", out.path): out.md5 for out in stage.outs}
