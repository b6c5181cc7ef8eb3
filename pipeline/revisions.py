"""The files of a revision, as git and DVC keep them, read without checking anything out.

A revision is a commit, branch, tag or experiment, or `workspace`: what lies in the folder now.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

from pipeline import git, lock, params, yaml12
from pipeline.errors import InputError, suggestion

WORKSPACE = "workspace"
IN_GIT = (str(params.FILE), str(lock.FILE))


class Revision:
    """One revision: its name, its parameters by dotted key, and the content of its files."""

    def __init__(self, name: str, repo: Any) -> None:
        self.name = name
        self.repo = repo  # DVC's
        self.parameters = params.flat(yaml12.parse(self.content(str(params.FILE)), f"{name}: {params.FILE}"))

    def content(self, path: str) -> bytes:
        """The content of a file that git or DVC keeps. Raises InputError, which says how to get it."""
        try:
            return bytes(self.repo.dvcfs.read_bytes(path))
        except Exception as error:  # what is lost shows in many ways, by what kind of storage lost what
            if path in IN_GIT:
                raise InputError(
                    f"{self.name}: has no {path}, so no run of it is known; name another revision"
                ) from error
            raise InputError(
                f"{self.name}: {path} is neither in git nor in DVC's cache or remote; `dvc pull` may bring it, "
                f"else {self.remake()}"
            ) from error

    def lock(self) -> lock.Lock:
        """Its dvc.lock."""
        return lock.parse(self.content(str(lock.FILE)), f"{self.name}: {lock.FILE}")

    def check_current(self, output: str) -> None:
        """Raise InputError if `output` is not what the revision's parameters, code and (in the workspace) data make."""
        if self.name == WORKSPACE:
            changed = self.outdated(output)
        else:
            made = self.lock()
            used = made.parameters()
            changed = [key for key, value in self.parameters.items() if key in used and used[key] != value]
            changed += [path for path, md5 in made.code(output).items() if not self.has(path, md5)]
        if changed:
            raise InputError(
                f"{self.name}: {changed[0]} has changed since its results were made, so they are out of date; "
                "run `dvc repro` on it first"
            )

    def outdated(self, output: str) -> list[str]:
        """What makes an output of the workspace stale, by `dvc status`; that the cache has lost a copy does not."""
        from dvc.exceptions import DvcException

        try:
            status = self.repo.status(targets=list(self.lock().behind(output)))
        except DvcException as error:
            raise InputError(f"{self.name}: DVC cannot tell what is current: {error}; fix that first") from error
        found: list[str] = []
        for change in (change for changes in status.values() for change in changes):
            if isinstance(change, dict):
                names = {name: how for kind in change.values() for name, how in kind.items() if how != "not in cache"}
                found += [f"{name}: {', '.join(how)}" if isinstance(how, dict) else name for name, how in names.items()]
            else:
                found.append(str(change).removeprefix("changed "))
        return found

    def has(self, path: str, md5: str) -> bool:
        """Whether the revision has a file with that content."""
        fs = self.repo.dvcfs
        return fs.exists(path) and hashlib.md5(fs.read_bytes(path), usedforsecurity=False).hexdigest() == md5

    def remake(self) -> str:
        """What brings the revision's results into the cache, as the end of a sentence."""
        if self.name == WORKSPACE:
            return "`dvc repro` recreates it"
        if self.name in git.experiments():
            here = params.flat(yaml12.read(params.FILE))
            options = [f" -S {key}={value}" for key, value in self.parameters.items() if here.get(key) != value]
            return f"`dvc exp run{''.join(options)}` recreates it"
        theirs, ours = self.lock(), lock.read()
        if theirs.inputs() == ours.inputs() and theirs != ours:
            return (
                "commit the results of this machine, which differ though their inputs do not, and compare with that "
                "commit: `git commit -am 'results of this machine'`"
            )
        steps = (
            ["dvc repro"] if self.name == "HEAD" else [f"git checkout -q {self.name}", "dvc repro", "git checkout -q -"]
        )
        if git.run("status", "--porcelain", "--untracked-files=no"):
            steps = ["git stash", *steps, "git stash pop"]
        return f"`{' && '.join([*steps, 'dvc repro'] if len(steps) > 1 else steps)}` recreates it"


@contextlib.contextmanager
def opened(name: str) -> Iterator[Revision]:
    """The revision that git or DVC calls `name`. Raises InputError if there is none."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes a moment
    from dvc.scm import RevError

    names = [WORKSPACE, "HEAD", *git.known()]
    if not name:
        raise InputError("the revision's name is empty; name a commit, a branch, a tag, an experiment or `workspace`")
    try:
        repo = Repo(rev=None if name == WORKSPACE else name)
    except RevError as error:
        close = suggestion(name, names, "; `git branch`, `git tag` and `dvc exp list` say which there are")
        raise InputError(f"{name}: no such revision{close}") from error
    except DvcException as error:
        raise unusable(error) from error
    with repo:
        yield Revision(name, repo)


def unusable(error: Exception) -> InputError:
    """The error for a folder that DVC cannot work in."""
    return InputError(f"DVC cannot use this folder ({error}); run this in a clone of the project")
