"""What makes a stage's results out of date that `dvc.lock` alone does not show."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from pipeline import lock, params, verify
from pipeline.errors import InputError


def redefined(entry: Any, stage: lock.Stage, tree: dict[str, Any]) -> Iterator[str]:
    """What an entry of `dvc.yaml` says that its stage was not run with; `tree` has the values that it refers to."""
    if not isinstance(entry, dict):  # `foreach` defines stages of other names
        return
    if filled(entry.get("cmd"), tree) != stage.cmd:
        yield "cmd"
    known = {os.path.normpath(dep.path) for dep in stage.deps}
    for dep in entry.get("deps") or []:
        if os.path.normpath(str(filled(dep, tree))) not in known:
            yield f"{dep} is new"
    for given in entry.get("params") or []:
        for file, keys in (given if isinstance(given, dict) else {str(params.FILE): [given]}).items():
            yield from (f"{key} is new" for key in keys or [] if key not in stage.params.get(file, {}))


def filled(text: Any, tree: dict[str, Any]) -> Any:
    """A command or path of `dvc.yaml` with the values that it refers to, as DVC writes them."""
    if "${" not in str(text):
        return text
    from dvc.exceptions import DvcException
    from dvc.parsing.context import Context  # takes a moment

    with contextlib.suppress(DvcException):  # no such value: another text than that which was run
        return Context(tree).resolve(text, key="cmd")
    return text


def outdated(stages: dict[str, lock.Stage]) -> list[str]:
    """What makes stages of the workspace stale, by DVC; that the cache has lost a copy does not.

    Unlike `dvc status`, this looks at what a frozen stage was made with, and does not mind one that is always to run.
    """
    found: list[str] = []
    for change in status(stages):
        if isinstance(change, dict):
            names = {name: how for kind in change.values() for name, how in kind.items() if how != "not in cache"}
            found += [f"{name}: {', '.join(how)}" if isinstance(how, dict) else name for name, how in names.items()]
        elif change != "always changed":
            found.append(str(change).removeprefix("changed "))
    return found


def status(stages: dict[str, lock.Stage]) -> list[Any]:
    """What DVC finds changed of stages of the workspace, as if none were frozen."""
    found: list[Any] = []
    try:
        with verify.repository() as repo:
            from dvc.repo import lock_repo

            with lock_repo(repo):
                for name in stages:
                    stage = repo.stage.load_one(name=name)
                    stage.frozen = False
                    found += [change for changes in stage.status().values() for change in changes]
    except InputError as error:
        raise InputError(f"workspace: {error}") from error
    return found
