"""Runs that git and DVC know, read without checking anything out: the workspace, commits, tags, experiments."""

import hashlib
import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist import params, results, sources
from mnist.console import InputError
from mnist.dataset import Array

WORKSPACE = "workspace"
IN_GIT = (str(params.FILE), "dvc.lock")
TABLES = (results.PREDICTIONS, results.HISTORY)
EXPERIMENTS = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(.+)")


@dataclass(frozen=True)
class Run:
    """One run: its parameters by dotted key, what it says of each test image, and which images those were."""

    revision: str
    parameters: dict[str, Any]
    predictions: results.Predictions
    history: list[results.Epoch]
    dataset: str
    test_files: dict[str, str]  # SHA-256 of the raw test images and labels


def read(revision: str) -> Run:
    """Read a run from git and DVC's cache or remote; `revision` is what git or DVC calls it, or `workspace`.

    Raises InputError if there is no such revision, or its results are missing or older than what made them.
    """
    with repository(revision) as repo:
        fs = repo.dvcfs
        tree = params.parse_content(content(fs, str(params.FILE), revision), f"{revision}: {params.FILE}")
        if revision == WORKSPACE:  # what was committed may be of an earlier schema
            params.check(tree, str(params.FILE))
        chosen = params.flat(tree)
        check_current(repo, revision, chosen, content(fs, "dvc.lock", revision).decode(errors="replace"))
        described = sources.parse_description(content(fs, "data/raw/dataset.json", revision), f"{revision}: data/raw")
        predictions, history = (content(fs, str(path), revision).decode(errors="replace") for path in TABLES)
        return Run(
            revision,
            chosen,
            results.read_predictions(described.classes, Path(f"{revision}:{results.PREDICTIONS}"), predictions),
            results.read_history(Path(f"{revision}:{results.HISTORY}"), history),
            described.name,
            {name: facts["sha256"] for name, facts in described.files.items() if name.startswith("t10k")},
        )


def test_images(revision: str) -> Array:
    """The test images of a run, uint8 (n, height, width)."""
    with repository(revision) as repo:
        found = io.BytesIO(content(repo.dvcfs, "data/normalised/test_images.npy", revision))
        return np.asarray(np.load(found, allow_pickle=False))


def repository(revision: str) -> Any:
    """DVC's view of a revision, to be used in a `with` statement."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes a moment
    from dvc.scm import RevError

    names = [WORKSPACE, "HEAD", *known()]
    if not revision:
        raise InputError("an empty name is no revision; name a commit, a branch, a tag, an experiment or `workspace`")
    try:
        return Repo(rev=None if revision == WORKSPACE else revision)
    except RevError as error:
        close = params.suggestion(revision, names, "; `git branch`, `git tag` and `dvc exp list` say which there are")
        raise InputError(f"{revision}: no such revision{close}") from error
    except DvcException as error:
        raise InputError(f"{Path.cwd()}: DVC cannot use it ({error}); run this in a clone of the project") from error


def content(fs: Any, path: str, revision: str) -> bytes:
    """The content of a file that git or DVC keeps."""
    try:
        return bytes(fs.read_bytes(path))
    except Exception as error:  # what is lost shows in many ways, by what kind of storage lost what
        if path in IN_GIT:
            raise InputError(f"{revision}: has no {path}, so no run of it is known; name another revision") from error
        raise InputError(
            f"{revision}: {path} is neither in git nor in DVC's cache or remote; `dvc pull` may bring it, "
            f"else {remake(fs, revision)}"
        ) from error


def remake(fs: Any, revision: str) -> str:
    """What brings a revision's results into the cache, as the end of a sentence."""
    if revision == WORKSPACE:
        return "`dvc repro` recreates it"
    if revision in experiments():
        trees = (params.FILE.read_bytes(), fs.read_bytes(str(params.FILE)))
        here, there = (params.flat(params.parse_content(tree, revision)) for tree in trees)
        options = [f" -S {key}={value}" for key, value in there.items() if here.get(key) != value]
        return f"`dvc exp run{''.join(options)}` recreates it"
    lock = Path("dvc.lock")
    if lock.exists() and same_inputs(fs.read_bytes(str(lock)).decode(), lock.read_text("utf-8", errors="replace")):
        return (
            "commit the results of this machine, which differ though their inputs do not, and compare with that "
            "commit: `git commit -am 'results of this machine'`"
        )
    steps = ["dvc repro"] if revision == "HEAD" else [f"git checkout -q {revision}", "dvc repro", "git checkout -q -"]
    if git("status", "--porcelain", "--untracked-files=no"):
        steps = ["git stash", *steps, "git stash pop"]
    return f"`{' && '.join([*steps, 'dvc repro'] if len(steps) > 1 else steps)}` recreates it"


def same_inputs(lock: str, other: str) -> bool:
    """Whether the results in two dvc.lock were made with the same code, parameters and data, but are not the same."""
    made_with = [(code(text), recorded(text), data(text)) for text in (lock, other)]
    return made_with[0] == made_with[1] and lock != other


def check_current(repo: Any, revision: str, chosen: dict[str, Any], lock: str) -> None:
    """Raise InputError if results are not those of the revision's parameters, code and, in the workspace, data."""
    if revision == WORKSPACE:
        from dvc.exceptions import DvcException

        try:
            status = repo.status(targets=["evaluate"], with_deps=True)
        except DvcException as error:
            raise InputError(f"{revision}: DVC cannot tell what is current: {error}; mend that first") from error
        changed = [name for changes in status.values() for change in changes for name in outdated(change)]
    else:
        used = recorded(lock)
        changed = [key for key in chosen if key in used and used[key] != chosen[key]]
        changed += [path for path, md5 in code(lock) if not is_file(repo.dvcfs, path, md5)]
    if changed:
        raise InputError(
            f"{revision}: {changed[0]} has changed since its results were made, so they are out of date; "
            "run `dvc repro` on it first"
        )


def outdated(change: Any) -> list[str]:
    """What makes results stale by an entry of `dvc status`; that the cache has lost a copy does not."""
    if not isinstance(change, dict):
        return [str(change).removeprefix("changed ")]
    found = {name: how for kind in change.values() for name, how in kind.items() if how != "not in cache"}
    return [f"{name}: {', '.join(how)}" if isinstance(how, dict) else name for name, how in found.items()]


def is_file(fs: Any, path: str, md5: str) -> bool:
    """Whether a file is there with that MD5."""
    return fs.exists(path) and hashlib.md5(fs.read_bytes(path), usedforsecurity=False).hexdigest() == md5


def stages(lock: str) -> dict[str, str]:
    """The text that a `dvc.lock` has on each stage.

    Cut out of the text, here and below, since the YAML reader takes six times as long for all of it.
    """
    return dict(re.findall(r"^  ([\w-]+):\n((?:    .*\n)+)", lock, re.MULTILINE))


def code(lock: str) -> list[tuple[str, str]]:
    """Path and MD5 of each file of code that the predictions in a `dvc.lock` were made with."""
    texts = "".join(text for name, text in stages(lock).items() if name != "plot-predictions")
    return re.findall(r"- path: (\S+\.py)\n +hash: md5\n +md5: (\w+)", texts)


def recorded(lock: str) -> dict[str, Any]:
    """The parameters, by dotted key, that the results in a `dvc.lock` were made with."""
    values: dict[str, Any] = {}
    for text in stages(lock).values():
        for block in re.findall(r"^    params:\n((?:      .*\n)+)", text, re.MULTILINE):
            values |= params.parse_content(block.encode(), "dvc.lock").get(str(params.FILE), {})
    return params.flat(values)


def data(lock: str) -> str:
    """The MD5 of the raw data set that the results in a `dvc.lock` were made with."""
    found = re.search(r"- path: data/raw\n +hash: md5\n +md5: (\w+)", lock)
    return found[1] if found else "unknown"


def known() -> list[str]:
    """What the experiments, branches and tags are called. Raises InputError without a commit."""
    git("rev-parse", "--verify", "HEAD")
    refs = git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines()
    return [*experiments(), *(ref.split("/", 2)[2] for ref in refs)]


def experiments() -> list[str]:
    """What the experiments are called."""
    refs = git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    return [match[1] for match in map(EXPERIMENTS.fullmatch, refs) if match]


def experiments_and_commits() -> list[str]:
    """The commits of all experiments and of the current branch, the newest first."""
    listed = git("for-each-ref", "--format=%(committerdate:unix) %(objectname) %(refname)", "refs/exps").splitlines()
    commits = [line.split(maxsplit=2) for line in listed]
    found = [(int(date), commit) for date, commit, ref in commits if EXPERIMENTS.fullmatch(ref)]
    found += [(int(date), commit) for date, commit in map(str.split, git("log", "--format=%ct %H").splitlines())]
    return [commit for _, commit in sorted(found, key=lambda entry: -entry[0])]


def contents(names: list[str]) -> Iterator[str | None]:
    """The text of each `commit:path`, None where there is none; by one process for all."""
    with subprocess.Popen(["git", "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for name in names:
            process.stdin.write(f"{name}\n".encode())
            process.stdin.flush()
            header = process.stdout.readline().split()
            if header[-1] == b"missing":
                yield None
            else:
                yield process.stdout.read(int(header[-1]) + 1).decode(errors="replace")[:-1]


def git(*arguments: str) -> str:
    """What git prints. Raises InputError outside of a repository with a commit."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[0] if done.stderr.strip() else "failed"
        raise InputError(f"git {arguments[0]}: {reason}; runs are compared in a git repository with a commit")
    return done.stdout
