"""What git knows: commits, branches, tags, and the experiments that DVC keeps as refs."""

import re
import subprocess
from collections.abc import Iterator

from pipeline.errors import InputError

EXPERIMENTS = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(.+)")


def known() -> list[str]:
    """The names of experiments, branches and tags. Raises InputError without a commit."""
    run("rev-parse", "--verify", "HEAD")
    refs = run("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines()
    return [*experiments(), *(ref.split("/", 2)[2] for ref in refs)]


def experiments() -> list[str]:
    """The experiments' names."""
    refs = run("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    return [match[1] for match in map(EXPERIMENTS.fullmatch, refs) if match]


def experiments_and_commits() -> list[str]:
    """The commits of all experiments and of the current branch, the newest first."""
    listed = run("for-each-ref", "--format=%(committerdate:unix) %(objectname) %(refname)", "refs/exps").splitlines()
    commits = [line.split(maxsplit=2) for line in listed]
    found = [(int(date), commit) for date, commit, ref in commits if EXPERIMENTS.fullmatch(ref)]
    found += [(int(date), commit) for date, commit in map(str.split, run("log", "--format=%ct %H").splitlines())]
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


def run(*arguments: str) -> str:
    """What git prints. Raises InputError outside of a repository with a commit."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[0] if done.stderr.strip() else "failed"
        raise InputError(f"git {arguments[0]}: {reason}; runs are compared in a git repository with a commit")
    return done.stdout
