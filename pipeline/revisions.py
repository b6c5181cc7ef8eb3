"""The files of a revision, as git and DVC keep them, read without checking anything out.

A revision is a commit, branch, tag or experiment, or `workspace`: what lies in the folder now.
"""

import contextlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pipeline import definition, git, lock, params, running, stale, verify, yaml12
from pipeline.errors import InputError

WORKSPACE = "workspace"
WORDS = ("null", "true", "false", "nan", "inf")  # which are no texts in Hydra's grammar
Content = TypeVar("Content")


class Revision:
    """One revision: its name, its commit (None: the workspace), its parameters and the content of its files."""

    def __init__(self, name: str) -> None:
        if not name:
            raise InputError("the revision's name is empty; name a commit, branch, tag or experiment, or `workspace`")
        git.run("rev-parse", "--verify", "HEAD")
        self.name = name
        self.commit = None if name == WORKSPACE else git.resolve(name)
        self.known: dict[str, bytes | None] = {}  # files of the commit
        if name == WORKSPACE and name in git.names():
            raise InputError(f"{name}: also the name of an experiment, branch or tag; rename that one")
        self.tree = self.parsed(params.FILE, yaml12.parse)
        self.lock = self.parsed(lock.FILE, lock.parse) if self.commit else lock.read()

    @property
    def parameters(self) -> dict[str, Any]:
        """The values of its params.yaml, by dotted key."""
        return params.flat(self.tree)

    def parsed(self, path: Path, parse: Callable[[bytes, str], Content]) -> Content:
        """A file that has to be in git, as `parse` understands it."""
        content = self.tracked(str(path))
        try:
            return parse(content, str(path) if self.commit is None else f"{self.name}: {path}")
        except InputError as error:
            if self.commit is None:
                raise
            what = str(error).partition(";")[0]
            raise InputError(f"{what}; fix it in a new commit, or name another revision") from error

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
        self.look_up([path])
        return self.known[path]

    def look_up(self, paths: list[str]) -> None:
        """Read files of the commit, all that are not known yet by one process of git."""
        if self.commit and (new := [path for path in paths if path not in self.known]):
            found = git.contents([(self.commit, path) for path in new])
            self.known |= zip(new, found, strict=True)

    def content(self, path: str) -> bytes:
        """The content of a file that git or DVC keeps. Raises InputError, which says how to get it."""
        for place in (self.in_git, self.in_cache, self.in_remote):
            content = place(path)
            if content is not None:
                return content
        raise InputError(f"{self.name}: {path} is neither in git nor in DVC's cache or remote; {self.remake()}")

    def in_cache(self, path: str) -> bytes | None:
        """The content of an output, or of a file within one, if DVC's cache has it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # lost, or a damaged listing
            return self.stored(path, lambda md5: verify.cached(md5).read_bytes())
        return None

    def in_remote(self, path: str) -> bytes | None:
        """The content of an output, or of a file within one, if there is a remote that keeps it.

        It is the remote that DVC has now. DVC itself would read the commit first, which had another remote, and waits
        for ever in a partial clone. Raises InputError if the remote does not answer.
        """
        from dvc.config import NoRemoteError

        lost = (NoRemoteError, FileNotFoundError, ValueError, TypeError, KeyError)  # or a damaged listing
        try:
            with verify.repository() as repo, contextlib.suppress(*lost):
                remote = repo.cloud.get_remote_odb()
                return self.stored(path, lambda md5: bytes(remote.fs.cat_file(remote.oid_to_path(md5))))
        except Exception as error:  # of which there are as many kinds as of storage
            raise InputError(
                f"{self.name}: {path} is neither in git nor in DVC's cache, and its remote does not give it ({error}); "
                f"run again when it does, else {self.remake()}"
            ) from error
        return None

    def stored(self, path: str, read: Callable[[str], bytes]) -> bytes | None:
        """The content of an output, or of a file within one, where `read` brings objects by their MD5."""
        for output, md5 in self.lock.outputs().items():
            if path == output:
                return read(md5)
            if path.startswith(f"{output}/"):
                listing = {entry["relpath"]: entry["md5"] for entry in json.loads(read(md5))}
                return read(listing[path.removeprefix(f"{output}/")])
        return None

    def check_current(self, output: str) -> None:
        """Raise InputError if `output` is not what the revision's parameters, code and (in the workspace) data make."""
        if output not in self.lock.outputs():
            raise InputError(f"{self.name}: {lock.FILE} has no {output}; {self.rerun(list(self.lock.stages))}")
        if self.commit is None:
            running.refuse(self.name)
        changed = next(stale.changed(self, output), None)
        if changed is None and self.commit is None:
            changed = next(iter(stale.outdated(self.lock.behind(output))), None)
        if changed is not None:
            raise InputError(
                f"{self.name}: {changed} has changed since its results were made, so they are out of date; "
                f"{self.rerun(list(self.lock.behind(output)))}"
            )

    def rerun(self, stages: list[str]) -> str:
        """What makes results that are current, as the end of a sentence."""
        return f"{self.thaw(stages)}run `{self.repro(stages)}` " + (
            "on it, commit, and name that commit" if self.commit else "first"
        )

    def repro(self, stages: list[str]) -> str:
        """The command that runs stages; DVC alone leaves a frozen one as it is."""
        frozen = [name for name, editable in self.frozen(stages).items() if editable]
        return " && ".join([*(f"dvc unfreeze {name}" for name in frozen), "dvc repro"])

    def thaw(self, stages: list[str]) -> str:
        """What to do before that by hand: DVC does not edit an entry that refers to a parameter."""
        names = [name for name, editable in self.frozen(stages).items() if not editable]
        return f"take `frozen: true` off {' and '.join(names)} in {definition.FILE} and " if names else ""

    def frozen(self, stages: list[str]) -> dict[str, bool]:
        """Those of the stages that are frozen, and whether `dvc unfreeze` can change that."""
        tree = self.parsed(definition.FILE, yaml12.parse)
        frozen = [name for name in stages if definition.find(tree, f"stages.{name}.frozen") is True]
        return {name: "${" not in str(definition.find(tree, f"stages.{name}")) for name in frozen}

    def remake(self) -> str:
        """What brings the revision's results into the cache, as the end of a sentence."""
        if self.commit is None:
            stages = list(self.lock.stages)
            return f"{self.thaw(stages)}`{self.repro(stages)}` recreates it"
        first = "finish the merge, then " if git.merging() else ""
        if self.name in git.experiments():
            options = overrides(params.flat(yaml12.read(params.FILE)), self.parameters)
            return f"{first}`{shlex.join(['dvc', 'exp', 'run', *options])}` recreates it"
        ours = lock.read()
        if self.lock.inputs() == ours.inputs() and self.lock != ours:
            return (
                "commit the results of this machine, which differ though their inputs do not, and compare with that "
                "commit: `git commit -am 'results of this machine'`"
            )
        # by its commit, for HEAD@{1} would mean another one by then; detached, for another worktree may have the branch
        name = self.name if re.fullmatch(r"[\w./~^-]+", self.name) else self.commit
        there = [f"git checkout -q --detach {name}", "dvc repro", "git checkout -q -"]
        steps = ["dvc repro"] if self.commit == git.run("rev-parse", "--verify", "HEAD").strip() else there
        if git.run("status", "--porcelain", "--untracked-files=no"):
            steps = ["git stash", *steps, "git stash pop"]
        return f"{first}`{' && '.join([*steps, 'dvc repro'] if len(steps) > 1 else steps)}` recreates it"


def overrides(here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """The options of `dvc exp run` that lead from one set of parameters to another, in Hydra's grammar."""

    def written(value: Any) -> str:
        if isinstance(value, str) and re.fullmatch(r"[a-z_]\w*|[\w.-]*/[\w./-]*", value) and value.lower() not in WORDS:
            return value
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    changed = {key: value for key, value in there.items() if key not in here or here[key] != value}
    sets = [f"{'' if key in here else '+'}{key}={written(value)}" for key, value in changed.items()]
    return [part for each in [*sets, *(f"~{key}" for key in here if key not in there)] for part in ("-S", each)]
