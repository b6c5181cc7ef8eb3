"""What makes results out of date: what `dvc.lock` records that is other by now, and what it alone does not show."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import definition, git, lock, params, verify, yaml12
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.revisions import Revision


def changed(revision: "Revision", output: str) -> Iterator[str]:
    """What is not as a revision's output was made with: parameters, lines of `dvc.yaml`, code, and data in git."""
    stages, given = revision.lock.behind(output), revision.lock.given(output)
    files = [file for stage in stages.values() for file in stage.params]
    files += [path for path in given if ".." not in Path(path).parts]  # beyond its repository git reads none
    tracked = [str(tracker) for path in files for tracker in lock.trackers(Path(path))]
    revision.look_up(list(dict.fromkeys([str(definition.FILE), *files, *tracked])))
    defined = revision.parsed(definition.FILE, yaml12.parse)
    for name, stage in stages.items():
        for file, values in stage.params.items():
            tree = definition.parse(revision.tracked(file), file)
            for key, value in values.items():
                then, now = params.flat({key: value}), params.flat({key: definition.find(tree, key)})
                yield from (name for name in {**then, **now} if then.get(name) != now.get(name))
        for what in redefined(definition.find(defined, f"stages.{name}"), stage, revision.tree):
            yield f"{definition.FILE} (stages: {name}: {what})"
    for path, dep in given.items():
        if digest(revision, dep) != dep.md5:
            yield path
    yield from revision.lock.mixed(output)


def digest(revision: "Revision", dep: lock.Entry) -> str | None:
    """The MD5 of a dependency now; as recorded for data that git does not have, or not all of: who knows."""
    if ".." in Path(dep.path).parts and not git.holds(dep.path):
        return dep.md5
    content = revision.in_git(dep.path)
    if content is not None:
        return lock.digest(content)
    if dep.path.endswith(".py"):
        return None
    for tracked in lock.trackers(Path(dep.path)):
        if revision.in_git(str(tracked)) is not None:
            md5 = revision.parsed(tracked, lock.parse_tracked)
            inner = Path(dep.path).relative_to(tracked.with_suffix(""))
            return inside(md5, inner, dep.md5) if inner.parts else md5
    files = git.below(revision.commit, dep.path) if revision.commit else {}
    found = {path: lock.digest(content) for path, content in files.items()}
    whole = has_all(files, dep) or (revision.commit and definition.is_code(dep.path))
    if files and revision.commit and not whole:  # some were removed, if git had all when they were read
        recorded = git.run("rev-list", "--max-count=1", revision.commit, "--", str(lock.FILE)).strip()
        whole = has_all(git.below(recorded, dep.path), dep)
    return lock.digest_of_folder(found) if whole else dep.md5


def has_all(files: dict[str, bytes], dep: lock.Entry) -> bool:
    """Whether git has as many files of a folder as there were when it was read."""
    return len(files) >= max(dep.nfiles, 1)


def inside(md5: str | None, inner: Path, recorded: str) -> str:
    """The MD5 of what lies in a folder that DVC tracks; as recorded where the cache has no listing of it: who knows."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # lost, or damaged
        listing = json.loads(verify.cached(str(md5)).read_bytes())
        found = {Path(entry["relpath"]): str(entry["md5"]) for entry in listing}
        below = {path.relative_to(inner).as_posix(): md5 for path, md5 in found.items() if path.is_relative_to(inner)}
        return found.get(inner) or lock.digest_of_folder(below)
    return recorded


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
