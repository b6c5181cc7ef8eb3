"""Runs that git and DVC know, read without checking anything out: the workspace, commits, tags, experiments."""

import io
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from mnist import params, results
from mnist.console import InputError
from mnist.dataset import Array

WORKSPACE = "workspace"
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

    Raises InputError if there is no such revision, or its results are missing or older than its parameters.
    """
    with repository(revision) as repo:
        fs = repo.dvcfs
        chosen = flat(params.check(YAML(typ="safe").load(text(fs, "params.yaml", revision)), revision).model_dump())
        check_current(repo, revision, chosen, recorded(text(fs, "dvc.lock", revision)))
        described = json.loads(text(fs, "data/raw/dataset.json", revision))
        table = text(fs, str(results.PREDICTIONS), revision)
        return Run(
            revision,
            chosen,
            results.read_predictions(described["classes"], Path(f"{revision}:{results.PREDICTIONS}"), table),
            results.read_history(Path(f"{revision}:{results.HISTORY}"), text(fs, str(results.HISTORY), revision)),
            described["name"],
            {name: facts["sha256"] for name, facts in described["files"].items() if name.startswith("t10k")},
        )


def test_images(revision: str) -> Array:
    """The test images of a run, uint8 (n, height, width)."""
    with repository(revision) as repo:
        content = io.BytesIO(repo.dvcfs.read_bytes("data/normalised/test_images.npy"))
        return np.asarray(np.load(content, allow_pickle=False))


def repository(revision: str) -> Any:
    """DVC's view of a revision, to be used in a `with` statement."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes a moment

    names = [WORKSPACE, "HEAD", *known()]
    try:
        return Repo(rev=None if revision == WORKSPACE else revision)
    except DvcException as error:
        close = params.suggestion(revision, names, "; `git branch`, `git tag` and `dvc exp list` say which there are")
        raise InputError(f"{revision}: no such revision{close}") from error


def text(fs: Any, path: str, revision: str) -> str:
    """The content of a file that git or DVC keeps."""
    try:
        return str(fs.read_text(path, encoding="utf-8"))
    except Exception as error:  # what is lost shows in many ways, by what kind of storage lost what
        remedy = (
            "`dvc repro` makes it"
            if revision == WORKSPACE
            else f"`dvc pull --all-commits` may bring it; else `git checkout {revision} && dvc repro` makes it anew"
        )
        raise InputError(f"{revision}: {path} is neither in git nor in DVC's cache or remote; {remedy}") from error


def check_current(repo: Any, revision: str, chosen: dict[str, Any], used: dict[str, Any]) -> None:
    """Raise InputError if results are not those of the parameters, or in the workspace of the code and the data."""
    if revision == WORKSPACE:
        status = repo.status(targets=["evaluate"], with_deps=True)
        due = [stage for stage, changes in status.items() if any(map(outdated, changes))]
        reason = f"what {due[-1]} depends on or wrote has changed" if due else ""
    else:
        differing = [key for key in chosen if key in used and used[key] != chosen[key]]
        reason = f"{differing[0]} has changed since its results were made" if differing else ""
    if reason:
        raise InputError(f"{revision}: {reason}, so its results are out of date; run `dvc repro` on it first")


def outdated(change: Any) -> bool:
    """Whether a change that `dvc status` lists makes results stale; that the cache has lost a copy does not."""
    return not isinstance(change, dict) or change != {
        "changed outs": dict.fromkeys(change.get("changed outs", {}), "not in cache")
    }


def recorded(lock: str) -> dict[str, Any]:
    """The parameters, by dotted key, that the results in a `dvc.lock` were made with.

    Cut out of the text, since the YAML reader takes six times as long for all of it.
    """
    values: dict[str, Any] = {}
    for block in re.findall(r"^    params:\n((?:      .*\n)+)", lock, re.MULTILINE):
        values |= YAML(typ="safe").load(block).get(str(params.FILE), {})
    return flat(values)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def known() -> list[str]:
    """What the branches, tags and experiments are called. Raises InputError without a commit."""
    git("rev-parse", "--verify", "HEAD")
    refs = git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags", "refs/exps").splitlines()
    experiments = [match[1] for match in map(EXPERIMENTS.fullmatch, refs) if match]
    return [*experiments, *(ref.split("/", 2)[2] for ref in refs if not ref.startswith("refs/exps/"))]


def experiments_and_commits() -> list[str]:
    """The commits of all experiments and of the current branch."""
    listed = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    return [
        *(line.split()[0] for line in listed if EXPERIMENTS.fullmatch(line.split(maxsplit=1)[1])),
        *git("rev-list", "HEAD").split(),
    ]


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
                yield process.stdout.read(int(header[-1]) + 1).decode()[:-1]


def git(*arguments: str) -> str:
    """What git prints. Raises InputError outside of a repository with a commit."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[0] if done.stderr.strip() else "failed"
        raise InputError(f"git {arguments[0]}: {reason}; runs are compared in a git repository with a commit")
    return done.stdout
