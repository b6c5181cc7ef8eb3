"""The files of a revision, as git and DVC keep them, read without checking anything out.

A revision is a commit, branch, tag or experiment, or `workspace`: what lies in the folder now.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import definition, git, lock, params, running, verify, yaml12
from pipeline.errors import InputError

WORKSPACE = "workspace"


class Revision:
    """One revision: its name, its commit (None: the workspace), its parameters and the content of its files."""

    def __init__(self, name: str) -> None:
        if not name:
            raise InputError("the revision's name is empty; name a commit, branch, tag or experiment, or `workspace`")
        git.run("rev-parse", "--verify", "HEAD")
        self.name = name
        self.commit = None if name == WORKSPACE else git.resolve(name)
        if name == WORKSPACE and name in git.names():
            raise InputError(f"{name}: also the name of an experiment or branch; rename that one")
        self.tree = yaml12.parse(self.tracked(str(params.FILE)), f"{name}: {params.FILE}")
        self.lock = lock.parse(self.tracked(str(lock.FILE)), f"{name}: {lock.FILE}")

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of its params.yaml, by dotted key."""
        return params.flat(self.tree)

    def tracked(self, path: str) -> bytes:
        """The content of a file that has to be in git."""
        content = self.in_git(path)
        if content is None:
            raise InputError(f"{self.name}: has no {path}, so no run of it is known; name another revision")
        return content

    def in_git(self, path: str) -> bytes | None:
        """The content of a file as committed, or as it is in the workspace; None if there is none."""
        if self.commit is None:
            return Path(path).read_bytes() if Path(path).is_file() else None
        return next(git.contents([(self.commit, path)]))

    def content(self, path: str) -> bytes:
        """The content of a file that git or DVC keeps. Raises InputError, which says how to get it."""
        for place in (self.in_git, self.in_cache, self.in_remote):
            content = place(path)
            if content is not None:
                return content
        raise InputError(
            f"{self.name}: {path} is neither in git nor in DVC's cache or remote; `dvc pull` may bring it, "
            f"else {self.remake()}"
        )

    def in_cache(self, path: str) -> bytes | None:
        """The content of an output, or of a file within one, if DVC's cache has it."""
        for output, md5 in self.lock.outputs().items():
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # lost, or a damaged listing
                if path == output:
                    return cached(md5).read_bytes()
                if path.startswith(f"{output}/"):
                    listing = {entry["relpath"]: entry["md5"] for entry in json.loads(cached(md5).read_bytes())}
                    return cached(listing[path.removeprefix(f"{output}/")]).read_bytes()
        return None

    def in_remote(self, path: str) -> bytes | None:
        """The content of an output by DVC, which may fetch it."""
        from dvc.repo import Repo

        # what is lost shows in many ways, by what kind of storage lost what
        with contextlib.suppress(Exception), Repo() as repo, repo.switch(self.commit or WORKSPACE):
            return bytes(repo.dvcfs.read_bytes(path))
        return None

    def check_current(self, output: str) -> None:
        """Raise InputError if `output` is not what the revision's parameters, code and (in the workspace) data make."""
        if output not in self.lock.outputs():
            raise InputError(f"{self.name}: {lock.FILE} has no {output}; run `dvc repro` on it first")
        if self.commit is None:
            running.refuse(self.name)
        changed = [*self.changed(output), *(outdated(self.lock.behind(output)) if self.commit is None else [])]
        if changed:
            raise InputError(
                f"{self.name}: {changed[0]} has changed since its results were made, so they are out of date; "
                "run `dvc repro` on it first"
            )

    def changed(self, output: str) -> Iterator[str]:
        """The parameters and files of code that are not those that an output was made with."""
        for stage in self.lock.behind(output).values():
            for file, values in stage.params.items():
                tree = definition.parse(self.tracked(file), file)
                for key, value in values.items():
                    then, now = params.flat({key: value}), params.flat({key: definition.find(tree, key)})
                    yield from (name for name in {**then, **now} if then.get(name) != now.get(name))
        for path, md5 in self.lock.code(output).items():
            content = self.in_git(path)
            if content is None or hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
                yield path

    def remake(self) -> str:
        """What brings the revision's results into the cache, as the end of a sentence."""
        if self.commit is None:
            return "`dvc repro` recreates it"
        if self.name in git.experiments():
            here = params.flat(yaml12.read(params.FILE))
            options = [f" -S {key}={value}" for key, value in self.parameters.items() if here.get(key) != value]
            return f"`dvc exp run{''.join(options)}` recreates it"
        ours = lock.read()
        if self.lock.inputs() == ours.inputs() and self.lock != ours:
            return (
                "commit the results of this machine, which differ though their inputs do not, and compare with that "
                "commit: `git commit -am 'results of this machine'`"
            )
        there = [f"git checkout -q {self.name}", "dvc repro", "git checkout -q -"]
        steps = ["dvc repro"] if self.name == "HEAD" else there
        if git.run("status", "--porcelain", "--untracked-files=no"):
            steps = ["git stash", *steps, "git stash pop"]
        return f"`{' && '.join([*steps, 'dvc repro'] if len(steps) > 1 else steps)}` recreates it"


def outdated(stages: dict[str, lock.Stage]) -> list[str]:
    """What makes stages of the workspace stale, by `dvc status`; that the cache has lost a copy does not."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes a moment

    try:
        with Repo() as repo:
            status = repo.status(targets=list(stages))
    except DvcException as error:
        raise InputError(f"{WORKSPACE}: DVC cannot tell what is current: {error}; fix that first") from error
    found: list[str] = []
    for change in (change for changes in status.values() for change in changes):
        if isinstance(change, dict):
            names = {name: how for kind in change.values() for name, how in kind.items() if how != "not in cache"}
            found += [f"{name}: {', '.join(how)}" if isinstance(how, dict) else name for name, how in names.items()]
        else:
            found.append(str(change).removeprefix("changed "))
    return found


def cached(md5: str) -> Path:
    """Where DVC's cache keeps the object of that name."""
    return verify.cache() / md5[:2] / md5[2:]
