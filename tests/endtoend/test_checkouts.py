"""Every kind of git checkout: each command is right there, or says one true line, whose remedy leads out.

Each of the KINDS meets, one after the other, the states fresh (nothing has run or been pulled), finished, stale (a
parameter edited, code edited, a parameter committed without a run) and frozen, and in each of them those of the
commands `check`, `compare` of two commits and of a commit with the workspace, `report`, `leaderboard`, `verify` and
`fingerprint` to which the state makes a difference. A report is drawn in the kinds DRAWN, and the remedies of stale
and frozen states are carried out in the kinds LED. Conflicts, names that mean several things, repositories of others,
remotes that do not answer and a machine without git have tests of their own below.

Commands run in this process where nothing but their words and exit status counts; the last tests use real processes.
"""

import contextlib
import io
import os
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from pipeline import git
from tests.conftest import PATIENCE, Project, copy, made_once
from tests.conftest import commit as commit_all
from tests.test_bad_input import run_inside, without_privileges

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
        self.succeed("bash", "-ec", re.findall("`(.*?)`", line)[-1], **AUTHOR, **self.forking())


AUTHOR = {f"GIT_{role}_{what}": "test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.fixture(scope="session")
def origin(faster: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What all clone: the commits `run` and `main`, two good runs; `ours` and `theirs`, in conflict; a branch."""

    def make(path: Path) -> None:
        project = copy(faster, path)
        project.succeed("git", "tag", "run")
        project.succeed("git", "branch", "feature")
        project.succeed("git", "config", "uploadpack.allowFilter", "true")
        commit_all(project, "faster")
        # the two runs again, as if they had come from one commit with other parameters
        project.edit("learning_rate: 0.1", "learning_rate: 0.5")
        project.succeed("git", "rm", "-q", "--cached", "dvc.lock", "metrics/train.json", "metrics/evaluate.json")
        project.succeed("git", "add", "params.yaml")
        project.succeed("git", "commit", "-q", "-m", "before both")
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
DRAWN = {"with core.autocrlf", "partial", "in a larger repository"}
LED = {"shallow", "in a larger repository"}
LOST = "neither in git nor in DVC's cache or remote"
STALE = "train.learning_rate has changed since its results were made, so they are out of date; run `"


def cache_folder(checkout: Checkout) -> Path:
    """The repository of DVC that a checkout is in."""
    return next(path for path in (checkout.path, checkout.path.parent) if (path / ".dvc").is_dir())


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_is_right_or_says_what_leads_there(
    kind: str, origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout(KINDS[kind](origin, tmp_path), monkeypatch)
    fresh(checkout)
    finish(checkout, origin)
    finished(checkout, draw=kind in DRAWN)
    stale(checkout, lead=kind in LED)
    frozen(checkout, lead=kind in LED)
    assert ".resume" not in checkout.git("status", "--porcelain", "--untracked-files=all")


def fresh(checkout: Checkout) -> None:
    """Nothing has run here: what is in git can be read, and what is not is named with what makes it."""
    checkout.right("check", "cache: 0 of 8 objects; `dvc repro` makes the others")
    checkout.right("verify", "0 objects")
    checkout.refused("report HEAD", f"HEAD: data/raw/dataset.json is {LOST}; `dvc repro`")
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


def test_leaderboard_names_what_completes_a_shallow_clone(
    origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Checkout(cloned("--depth", "1")(origin, tmp_path), monkeypatch)
    clone.follow(clone.mnist("leaderboard").err)
    clone.right("leaderboard", "train.learning_rate: 0.003")


def test_without_any_run_leaderboard_shows_the_first_that_is_committed(clone: Checkout) -> None:
    clone.git("checkout", "-q", "--orphan", "empty")
    clone.git("rm", "-q", "--cached", "dvc.lock", "metrics/train.json", "metrics/evaluate.json")
    clone.git("commit", "-q", "-m", "nothing has run")
    clone.follow(clone.refused("leaderboard", "no commit or experiment has dvc.lock and metrics/train.json; "))
    clone.git("add", "dvc.lock", "metrics")
    clone.git("commit", "-q", "-m", "run")
    clone.right("leaderboard", "accuracy")


def test_stale_results_are_refused_where_git_converts_line_ends_and_nothing_forbids_it(
    origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Checkout(cloned()(origin, tmp_path), monkeypatch)
    source.git("rm", "-q", ".gitattributes")
    source.git("commit", "-q", "-m", "no rule for line ends")
    clone = Checkout(tmp_path / "converted", monkeypatch)
    source.git("clone", "-q", "-c", "core.autocrlf=true", str(source.path), str(clone.path))
    bring_cache(origin, clone.path)
    assert b"\r\n" in (clone.path / "dvc.lock").read_bytes()
    clone.right("compare HEAD~2 HEAD", "B is better by")
    clone.edit("learning_rate: 0.1", "learning_rate: 0.003")
    clone.git("commit", "-q", "-a", "-m", "not run")
    clone.refused("compare HEAD~1 HEAD", f"HEAD: {STALE}dvc repro` on it")
    clone.refused("report HEAD", f"HEAD: {STALE}dvc repro` on it")


def shallow(checkout: Checkout) -> bool:
    return checkout.git("rev-parse", "--is-shallow-repository") == "true\n"


def finish(checkout: Checkout, origin: Project) -> None:
    """Run the pipeline, with the cache of those who have run it before, as the messages of a fresh checkout say."""
    elsewhere = checkout.path.parent / "elsewhere"
    shutil.copytree(
        origin.path / ".dvc/cache",
        elsewhere if (checkout.path / ".dvc/config.local").exists() else cache_folder(checkout) / ".dvc/cache",
    )
    checkout.follow(checkout.refused("fingerprint", "`dvc repro` trains one"))
    assert checkout.git("status", "--porcelain", "--untracked-files=no") == ""
    assert (checkout.path / "models/model.safetensors").is_symlink() == elsewhere.is_dir()


def finished(checkout: Checkout, *, draw: bool) -> None:
    checkout.right("check", "cache: 25 of 25 objects")
    checkout.right("compare HEAD~1 HEAD", "B is better by")
    checkout.right("compare HEAD workspace", "A and B are right on the same 300 images.")
    if draw:
        checkout.right("report HEAD", "report.html: ")
    checkout.right("leaderboard", "train.learning_rate: 0.003")
    checkout.right("verify", " 0 corrupt")
    checkout.right("fingerprint", "of no recipe")


def stale(checkout: Checkout, *, lead: bool) -> None:
    """A parameter edited, code edited, then a parameter committed without a run."""
    checkout.edit("learning_rate: 0.1", "learning_rate: 0.003")
    checkout.refused("compare HEAD workspace", f"workspace: {STALE}dvc repro` first")
    checkout.refused("report", f"workspace: {STALE}")
    checkout.right("compare HEAD~1 HEAD", "B is better by")
    checkout.right("check", "cache: 25 of 25 objects")
    checkout.git("commit", "-q", "-a", "-m", "not run")
    line = checkout.refused("compare HEAD~1 HEAD", f"HEAD: {STALE}dvc repro` on it, commit, and name that commit")
    checkout.refused("report HEAD", f"HEAD: {STALE}")
    if lead:
        checkout.follow(line)
        checkout.git("commit", "-q", "-a", "-m", "run")
        checkout.right("compare HEAD~2 HEAD", "B is worse by")
    else:
        checkout.git("reset", "-q", "--hard", "HEAD~1")
    checkout.edit("answers to images.", "answers to some images.", "mnist/predict.py")
    checkout.refused("compare HEAD workspace", "workspace: mnist/predict.py has changed since its results were made")
    checkout.git("checkout", "-q", "mnist/predict.py")


def frozen(checkout: Checkout, *, lead: bool) -> None:
    """DVC calls a frozen stage current whatever it is made with, and runs it only when it is no longer frozen."""
    checkout.edit(
        "    outs: [models/model.safetensors", "    frozen: true\n    outs: [models/model.safetensors", "dvc.yaml"
    )
    old, new = ("0.003", "0.1") if lead else ("0.1", "0.003")
    checkout.edit(f"learning_rate: {old}", f"learning_rate: {new}")
    line = checkout.refused("compare HEAD workspace", f"workspace: {STALE}dvc unfreeze train && dvc repro` first")
    if lead:
        checkout.follow(line)
        checkout.right("compare HEAD workspace", "B is better by")


@pytest.fixture
def clone(origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A clone as `git clone` makes it, with DVC's cache of the results, and nothing else of them."""
    path = cloned()(origin, tmp_path)
    bring_cache(origin, path)
    return Checkout(path, monkeypatch)


CONFLICT = (
    ": a merge conflict; leave there what the file should say, without <<<<<<<, ======= and >>>>>>>, then `git add`"
)


def test_a_merge_conflict_is_called_one_and_ends_as_the_message_says(clone: Checkout) -> None:
    clone.git("checkout", "-q", "-B", "main", "origin/ours")
    clone.succeed("dvc", "checkout", "-q")
    assert clone.run("git", *IDENTITY, "merge", "-q", "origin/theirs").returncode == 1
    assert clone.git("diff", "--name-only", "--diff-filter=U").split() == [
        "dvc.lock", "metrics/evaluate.json", "metrics/train.json", "params.yaml",
    ]  # fmt: skip
    line = (clone.path / "params.yaml").read_text("utf-8").splitlines().index("<<<<<<< HEAD") + 1
    for command in ("check", "report", "compare HEAD workspace"):
        assert CONFLICT in clone.refused(command, f"params.yaml, line {line}: ")
    clone.right("compare origin/theirs HEAD", "B is better by")
    clone.right("leaderboard", "train.learning_rate: 0.1")
    assert clone.mnist("fingerprint").status == 0
    end_merge(clone)


def end_merge(clone: Checkout) -> None:
    """Take the other side's parameters, and do as the message says of DVC's lock."""
    text = (clone.path / "params.yaml").read_text("utf-8")
    chosen = re.sub(r"<<<<<<<.*?\n.*?=======\n(.*?)>>>>>>> .*?\n", r"\1", text, flags=re.DOTALL)
    (clone.path / "params.yaml").write_text(chosen, "utf-8")
    for command in ("check", "report", "verify"):
        line = clone.refused(command, "dvc.lock, line ")
    assert (
        ": a merge conflict; take one side, and let DVC do the rest: `git checkout HEAD dvc.lock && dvc repro" in line
    )
    clone.follow(line)
    clone.git("add", "params.yaml")
    clone.right("compare HEAD workspace", "B is worse by")
    cache = clone.path / ".dvc/cache"
    cache.rename(cache.with_name("away"))  # a stash would forget the merge
    clone.refused("compare origin/theirs HEAD", "; finish the merge, then `git stash && git checkout -q --detach")
    cache.with_name("away").rename(cache)
    clone.git("commit", "-q", "-m", "merged")
    assert clone.git("status", "--porcelain") == ""
    clone.right("compare HEAD workspace", "A and B are right on the same 300 images.")
    clone.right("compare origin/theirs HEAD", "A and B are right on the same 300 images.")


MARKED = "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> theirs\n"


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml", "pyproject.toml", ".dvc/config"])
def test_each_file_of_settings_says_that_git_has_left_a_conflict_in_it(file: str, clone: Checkout) -> None:
    path = clone.path / file
    whole = path.read_text("utf-8")
    path.write_text(whole + MARKED, "utf-8")
    line = whole.count("\n") + 1
    assert f"{file}, line {line}{CONFLICT}" in clone.refused("check", f"{file}, line {line}: ")
    if file == "params.yaml":
        clone.git("commit", "-q", "-a", "-m", "as it is")
        clone.refused("compare HEAD~1 HEAD", "a merge conflict; fix it in a new commit, or name another revision")


def test_what_git_holds_as_unmerged_is_no_trouble_once_the_markers_are_gone(clone: Checkout) -> None:
    clone.git("checkout", "-q", "-B", "main", "origin/ours")
    assert clone.run("git", *IDENTITY, "merge", "-q", "origin/theirs").returncode == 1
    clone.git("checkout", "--ours", "params.yaml", "dvc.lock", "metrics")
    clone.succeed("dvc", "checkout", "-q")
    clone.right("check", "cache: 25 of 25 objects")
    clone.right("compare HEAD workspace", "A and B are right on the same 300 images.")


def test_a_name_of_several_things_is_refused_with_the_commits_it_may_mean(clone: Checkout) -> None:
    run, main = (clone.git("rev-parse", name).strip() for name in ("run", "main"))
    clone.git("branch", "twin", run)
    clone.git("tag", "twin", main)
    clone.git("branch", "same", main)
    clone.git("tag", "same", main)
    for name in ("HEAD", "feature", "workspace"):  # where DVC keeps experiments
        clone.git("update-ref", f"refs/exps/{main[:2]}/{main[2:]}/{name}", run)
    clone.git("branch", "feature", main)
    clone.right(f"compare {run} same", "B is better by")
    for name, kinds in (("twin", "branch tag"), ("HEAD", "revision experiment"), ("feature", "branch experiment")):
        line = clone.refused(f"compare {name} {main}", f"{name}: the name of the ")
        named = dict(re.findall(r"the (\w+) ([0-9a-f]{12})\b", line))
        assert sorted(named) == sorted(kinds.split())
        assert sorted(named.values()) == sorted([run[:12], main[:12]])
        clone.right(f"compare {named[kinds.split()[0]]} {named[kinds.split()[1]]}", "B is ")
    clone.refused("compare workspace main", "workspace: also the name of an experiment, branch or tag; rename that one")


@pytest.mark.parametrize("name", ["blob", "tree", "HEAD^{tree}", "HEAD:params.yaml", "HEAD..HEAD~1", "^HEAD", "HEAD^@"])
def test_what_is_no_commit_is_no_revision(name: str, clone: Checkout) -> None:
    clone.git("tag", "blob", "HEAD:params.yaml")
    clone.git("tag", "tree", "HEAD^{tree}")
    clone.refused(f"compare {name} HEAD", f"{name}: no such revision, or no commit; ")


def test_a_revision_is_made_again_where_another_worktree_has_its_branch(clone: Checkout, tmp_path: Path) -> None:
    clone.git("branch", "old", "run")
    clone.git("worktree", "add", "-q", str(tmp_path / "other"), "old")
    shutil.rmtree(clone.path / ".dvc/cache/files/md5")
    line = clone.refused("compare old main", f"old: data/raw/dataset.json is {LOST}")
    shutil.rmtree(clone.path / ".dvc/cache")
    bring_cache(Project(Path(clone.git("remote", "get-url", "origin").strip().removeprefix("file://"))), clone.path)
    clone.follow(line)
    clone.right("compare old workspace", "B is better by")
    assert clone.git("branch", "--show-current") == "main\n"


def test_results_come_from_dvcs_remote_into_a_partial_clone(
    origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Checkout(cloned("--filter=blob:none")(origin, tmp_path), monkeypatch)
    shutil.copytree(origin.path / ".dvc/cache/files", tmp_path / "store/files")  # as `dvc push` lays it out
    (clone.path / ".dvc/config.local").write_text(
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
    )
    (tmp_path / "store").chmod(0)
    with without_privileges():
        line = clone.refused("compare HEAD~1 HEAD", "in DVC's cache, and its remote does not give it ([Errno 13] Perm")
    assert "; run again when it does, else `git" in line
    (tmp_path / "store").chmod(0o755)
    clone.right("compare HEAD~1 HEAD", "B is better by")


def test_a_partial_clone_whose_remote_is_gone_says_so(
    origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = cloned()(origin, tmp_path)
    Project(middle).succeed("git", "config", "uploadpack.allowFilter", "true")
    clone = Checkout(cloned("--filter=blob:none")(Project(middle), tmp_path / "partial"), monkeypatch)
    bring_cache(origin, clone.path)
    middle.rename(tmp_path / "away")
    for command in ("compare HEAD~1 HEAD", "leaderboard", "report HEAD~1"):
        assert "run again when git can reach it" in clone.refused(command, "does not appear to be a git repository")
    (tmp_path / "away").rename(middle)
    clone.right("compare HEAD~1 HEAD", "B is better by")


@pytest.fixture
def hanging(origin: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Checkout, Path]:
    """A partial clone whose remote never answers, and a pipe for the number of the process that waits for it."""
    clone = Checkout(cloned("--filter=blob:none")(origin, tmp_path), monkeypatch)
    clone.git("config", "remote.origin.url", "ssh://nowhere.invalid/project")
    pipe = tmp_path / "waiting"
    os.mkfifo(pipe)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"exec 9>{pipe}; echo $$ >&9; exec sleep {PATIENCE} #")
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    return clone, pipe


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_compare_that_waits_for_a_remote(
    number: signal.Signals, hanging: tuple[Checkout, Path]
) -> None:
    clone, pipe = hanging
    process = clone.start(sys.executable, *MNIST, "compare", "HEAD~1", "HEAD")
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as held:  # else it waits for ever, if no remote is asked
        latest = time.monotonic() + PATIENCE
        while not select.select([held], [], [], 1)[0]:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < latest, "it has asked no remote"
        waiting = int(held.readline())  # for git
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + number
        assert output == f"error: {'interrupted' if number == signal.SIGINT else 'terminated'}\n"
    ends(waiting)


def test_a_remote_that_does_not_answer_is_given_up(
    hanging: tuple[Checkout, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clone, pipe = hanging
    monkeypatch.setattr(git, "PATIENCE", 1)
    held = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    clone.refused("compare HEAD~1 HEAD", ": no answer within 1 s; run again when its remote can be reached")
    os.set_blocking(held, True)
    if waiting := os.read(held, 10):  # empty if git had not come that far
        ends(int(waiting))
    os.close(held)


def ends(pid: int) -> None:
    """A process has been killed, so it ends as soon as the system comes to it; one that was not would sleep on."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()


def test_a_repository_of_somebody_else_is_refused_in_gits_words(clone: Checkout, tmp_path: Path) -> None:
    clone.succeed("dvc", "checkout", "-q")
    clone.monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as git's own tests do
    clone.monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for command in ("compare HEAD~1 HEAD", "report HEAD", "leaderboard"):
        line = clone.refused(command, "detected dubious ownership in repository at")
    for command in ("check", "verify", "fingerprint"):
        assert clone.mnist(command)[::2] == (0, "")
    clone.succeed("bash", "-ec", re.split(r"call: ", line)[1])
    clone.right("compare HEAD~1 HEAD", "B is better by")


def test_without_git_only_what_needs_it_is_refused(clone: Checkout) -> None:
    clone.succeed("dvc", "checkout", "-q")
    clone.monkeypatch.setenv("PATH", "/nowhere")
    for command in ("compare HEAD~1 HEAD", "report HEAD", "leaderboard"):
        clone.refused(command, "git: not found on PATH; install it")
    for command in ("check", "verify", "fingerprint"):
        assert clone.mnist(command)[::2] == (0, "")
    done = clone.run(sys.executable, *MNIST, "check", PATH="/nowhere")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_training_leaves_nothing_to_commit_in_a_larger_repository(origin: Project, tmp_path: Path) -> None:
    project = Project(within(origin, tmp_path, subdir=False))
    bring_cache(origin, tmp_path)
    project.repro("normalise")
    project.succeed("python", "-m", "stages.train", DVC_ROOT=str(tmp_path))  # as DVC sets it
    assert list((tmp_path / ".resume").glob("*/state"))
    assert project.succeed("git", "status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="needs git-lfs, Debian's package of that name")
def test_data_that_git_lfs_keeps_are_named_until_they_are_pulled(
    fresh: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = f"file://{fresh.path}"
    fresh.succeed("git", "lfs", "install", "--local")
    fresh.succeed("git", "lfs", "track", "data/small/*-ubyte")
    commit_all(fresh, "data by Git LFS")
    fresh.succeed("git", "clone", "-q", outer, str(tmp_path / "clone"), GIT_LFS_SKIP_SMUDGE="1")
    clone = Checkout(tmp_path / "clone", monkeypatch)
    clone.succeed("git", "lfs", "install", "--local")
    clone.follow(clone.refused("check", "train-images-idx3-ubyte: a pointer of Git LFS"))
    clone.right("check", "data/small: 1,200 training images, ok")
