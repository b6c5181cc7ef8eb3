"""Every kind of git checkout: each command is right there, or says one true line, whose remedy leads out.

Each of the KINDS meets, one after the other, the states fresh (nothing has run or been pulled), finished, stale (a
parameter edited, code edited, a parameter committed without a run) and frozen, and in each of them those of the commands
`check`, `compare` of two commits and of a commit with the workspace, `report`, `leaderboard`, `verify` and `fingerprint`
that the state can make a difference to. Conflicts, names that mean several things, repositories of others, remotes
that do not answer and a machine without git have tests of their own below.

Commands run in this process where nothing but their words and exit status counts; the last tests use real processes.
"""

import contextlib
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Project, copy, made_once
from tests.conftest import commit as commit_all
from tests.test_bad_input import run_inside

pytestmark = pytest.mark.slow
IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
MNIST = ["-m", "mnist"]


class Said(NamedTuple):
    """The exit status of a command, and what it printed."""

    status: object
    out: str
    err: str


class Checkout(Project):
    """One checkout: run the project's commands in this process."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(path)
        self.monkeypatch = monkeypatch

    def mnist(self, command: str) -> Said:
        """`python -m mnist COMMAND` in this checkout."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_inside(f"mnist {command}", self.monkeypatch)
        return Said(status or 0, out.getvalue(), err.getvalue())

    def right(self, command: str, shown: str) -> None:
        """The command succeeds, prints this, and nothing on stderr."""
        said = self.mnist(command)
        assert (said.status, said.err) == (0, ""), said
        assert shown in said.out, said

    def refused(self, command: str, reason: str) -> str:
        """The one line that a command fails with, for a reason."""
        said = self.mnist(command)
        assert said.status == 1, said
        assert said.err.startswith("error: "), said
        assert said.err.count("\n") == 1, said
        assert reason in said.err, said
        return said.err

    def git(self, *arguments: str) -> str:
        return self.succeed("git", *IDENTITY, *arguments)

    def follow(self, line: str) -> None:
        """Do what a message says: run the last command that it names."""
        self.succeed("bash", "-ec", re.findall("`(.*?)`", line)[-1], **AUTHOR)


AUTHOR = {f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="session")
def origin(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What all clone: the commits `run` and `main`, two good runs; `ours` and `theirs`, in conflict; a branch."""

    def make(path: Path) -> None:
        project = copy(template, path)
        project.succeed("git", "tag", "run")
        project.succeed("git", "branch", "feature")
        project.succeed("git", "config", "uploadpack.allowFilter", "true")
        project.edit("learning_rate: 0.003", "learning_rate: 0.1")
        project.repro()
        commit_all(project, "faster")
        # the two runs again, as if they had come from one commit with other parameters
        project.edit("learning_rate: 0.1", "learning_rate: 0.5")
        project.succeed("git", "rm", "-q", "--cached", "dvc.lock", "metrics/train.json", "metrics/evaluate.json")
        project.succeed("git", "commit", "-q", "-m", "before both", "params.yaml")
        for name, tree in (("ours", "main~1^{tree}"), ("theirs", "run^{tree}")):
            made = project.succeed("git", "commit-tree", tree, "-p", "main", "-m", name).strip()
            project.succeed("git", "branch", name, made)
        project.succeed("git", "reset", "-q", "--hard", "main~1")

    return made_once(tmp_path_factory, "origin", make)


def bring_cache(origin: Project, folder: Path) -> None:
    """DVC's cache, as if everything had been run in that repository."""
    shutil.copytree(origin.path / ".dvc/cache", folder / ".dvc/cache")


def cloned(*options: str) -> Callable[[Project, Path], Path]:
    def make(origin: Project, folder: Path) -> Path:
        origin.succeed("git", "clone", "-q", *options, f"file://{origin.path}", str(folder / "clone"))
        return folder / "clone"

    return make


def worktree(origin: Project, folder: Path) -> Path:
    there = cloned()(origin, folder)
    Project(there).succeed("git", "worktree", "add", "-q", "--detach", str(folder / "worktree"))
    return folder / "worktree"


def submodule(origin: Project, folder: Path) -> Path:
    outer = Project(folder)
    outer.succeed("git", "init", "-q")
    allowed = ["-c", "protocol.file.allow=always"]
    outer.succeed("git", *allowed, "submodule", "--quiet", "add", f"file://{origin.path}", "inner")
    return folder / "inner"


def detached(origin: Project, folder: Path) -> Path:
    there = cloned()(origin, folder)
    Project(there).succeed("git", "checkout", "-q", "--detach")
    return there


def within(origin: Project, folder: Path, *, subdir: bool) -> Path:
    """The project's history as a folder of a larger repository, which DVC begins at, or at the folder."""
    outer = Project(folder)
    outer.succeed("git", "init", "-q", "-b", "main")
    if not subdir:
        outer.succeed("dvc", "init", "-q")
    outer.succeed("git", *IDENTITY, "commit", "-q", "--allow-empty", "-m", "the larger project")
    for name in ("run", "main"):
        inner = folder / "project"
        shutil.rmtree(inner, ignore_errors=True)
        inner.mkdir()
        outer.succeed("bash", "-ec", f"git -C {origin.path} archive {name} | tar -x -C project")
        if not subdir:
            shutil.rmtree(inner / ".dvc")
        outer.succeed("git", "add", "-A")
        outer.succeed("git", *IDENTITY, "commit", "-q", "-m", name)
    return folder / "project"


def linked(origin: Project, folder: Path) -> Path:
    there = cloned()(origin, folder)
    settings = f"[cache]\n    dir = {folder / 'elsewhere'}\n    type = symlink\n"
    (there / ".dvc/config.local").write_text(settings)
    return there


KINDS: dict[str, Callable[[Project, Path], Path]] = {
    "as cloned": cloned(),
    "with core.autocrlf": cloned("-c", "core.autocrlf=true"),
    "shallow": cloned("--depth", "1"),
    "partial": cloned("--filter=blob:none"),
    "a worktree": worktree,
    "a submodule": submodule,
    "in a larger repository": lambda origin, folder: within(origin, folder, subdir=False),
    "in a larger repository, with its own .dvc": lambda origin, folder: within(origin, folder, subdir=True),
    "a detached HEAD": detached,
    "a cache elsewhere, with links": linked,
}
LOST = "neither in git nor in DVC's cache or remote"
STALE = "train.learning_rate has changed since its results were made, so they are out of date; run `"


@pytest.fixture(params=KINDS)
def checkout(
    request: pytest.FixtureRequest, origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Checkout:
    """A checkout of each kind in which nothing has run."""
    return Checkout(KINDS[request.param](origin, tmp_path), monkeypatch)


def cache_folder(checkout: Checkout) -> Path:
    """The repository of DVC that a checkout is in."""
    return next(path for path in (checkout.path, checkout.path.parent) if (path / ".dvc").is_dir())


def test_every_command_is_right_or_says_what_leads_there(checkout: Checkout, origin: Project) -> None:
    fresh(checkout)
    finish(checkout, origin)
    finished(checkout)
    stale(checkout)
    frozen(checkout)
    assert ".resume" not in checkout.git("status", "--porcelain", "--untracked-files=all")


def fresh(checkout: Checkout) -> None:
    """Nothing has run here: what is in git can be read, and what is not is named with what makes it."""
    checkout.right("check", "cache: 0 of 8 objects; `dvc repro` makes the others")
    checkout.right("verify", "0 objects")
    checkout.refused("report HEAD", f"HEAD: data/raw/dataset.json is {LOST}; `dvc pull` may bring it, else `dvc repro`")
    checkout.refused("compare HEAD workspace", f"HEAD: data/raw/dataset.json is {LOST}")
    checkout.refused("fingerprint", "models/model.safetensors: ")
    if not shallow(checkout):
        checkout.refused("compare HEAD~1 HEAD", f"HEAD~1: data/raw/dataset.json is {LOST}")
        checkout.right("leaderboard", "0.003")
        return
    assert "this clone is shallow; `git fetch --unshallow` brings" in checkout.mnist("leaderboard").err
    for name in ("HEAD~1", "feature"):
        line = checkout.refused(f"compare {name} HEAD", f"{name}: no such revision in this shallow clone; `git remote")
    checkout.follow(line)
    assert "did you mean origin/feature?" in checkout.refused("compare feature HEAD", "feature: no such revision")
    checkout.refused("compare origin/feature HEAD", LOST)


def shallow(checkout: Checkout) -> bool:
    return checkout.git("rev-parse", "--is-shallow-repository") == "true\n"


def finish(checkout: Checkout, origin: Project) -> None:
    """Run the pipeline, with the cache of those who have run it before, as the messages of a fresh checkout say."""
    elsewhere = checkout.path.parent / "elsewhere"
    shutil.copytree(
        origin.path / ".dvc/cache",
        elsewhere if (checkout.path / ".dvc/config.local").exists() else cache_folder(checkout) / ".dvc/cache",
    )
    checkout.follow(checkout.refused("fingerprint", "; `dvc repro` recreates it"))
    assert checkout.git("status", "--porcelain", "--untracked-files=no") == ""
    assert (checkout.path / "models/model.safetensors").is_symlink() == elsewhere.is_dir()


def finished(checkout: Checkout) -> None:
    checkout.right("check", "cache: 25 of 25 objects")
    checkout.right("compare HEAD~1 HEAD", "B is better by")
    checkout.right("compare HEAD workspace", "A and B are right on the same 300 images.")
    checkout.right("report", "report.html: ")
    checkout.right("leaderboard", "train.learning_rate: 0.003")
    checkout.right("verify", " 0 corrupt")
    checkout.right("fingerprint", "of no recipe")


def stale(checkout: Checkout) -> None:
    """A parameter edited, code edited, then a parameter committed without a run."""
    checkout.edit("learning_rate: 0.1", "learning_rate: 0.003")
    checkout.refused("compare HEAD workspace", f"workspace: {STALE}dvc repro` first")
    checkout.refused("report", f"workspace: {STALE}")
    checkout.right("compare HEAD~1 HEAD", "B is better by")
    checkout.right("check", "params.yaml: ok")
    checkout.git("commit", "-q", "-a", "-m", "not run")
    line = checkout.refused("compare HEAD~1 HEAD", f"HEAD: {STALE}dvc repro` on it, commit, and name that commit")
    checkout.refused("report HEAD", f"HEAD: {STALE}")
    checkout.follow(line)
    checkout.git("commit", "-q", "-a", "-m", "run")
    checkout.right("compare HEAD~2 HEAD", "B is worse by")
    checkout.edit("answers to images.", "answers to some images.", "mnist/predict.py")
    checkout.refused("compare HEAD workspace", "workspace: mnist/predict.py has changed since its results were made")
    checkout.git("checkout", "-q", "mnist/predict.py")


def frozen(checkout: Checkout) -> None:
    """DVC calls a frozen stage current whatever it is made with, and runs it only when it is no longer frozen."""
    checkout.edit(
        "    outs: [models/model.safetensors", "    frozen: true\n    outs: [models/model.safetensors", "dvc.yaml"
    )
    checkout.right("compare HEAD workspace", "A and B are right on the same 300 images.")
    checkout.edit("learning_rate: 0.003", "learning_rate: 0.1")
    line = checkout.refused("compare HEAD workspace", f"workspace: {STALE}dvc unfreeze train && dvc repro` first")
    checkout.follow(line)
    checkout.right("compare HEAD workspace", "B is better by")
