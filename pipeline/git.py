"""What git knows: commits, branches, tags, and the experiments that DVC keeps as refs. Nothing else runs git."""

import io
import re
import subprocess
from collections.abc import Iterator

from pipeline.errors import InputError, suggestion

EXPERIMENTS = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(.+)")
PATIENCE = 120  # seconds; in a partial clone git fetches what it lacks


def resolve(name: str) -> str:
    """The commit that git or DVC calls `name`. Raises InputError if there is none, or one of each."""
    named = [commit for experiment, commit in experiments().items() if experiment == name]
    done = execute("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    found = {*named, *done.stdout.decode().split()}
    if len(found) > 1:
        raise InputError(f"{name}: an experiment, and something else of git's; name the commit, `git rev-parse` has it")
    if found:
        return found.pop()
    if run("rev-parse", "--is-shallow-repository").strip() == "true":
        raise InputError(f"{name}: no such revision in this shallow clone; `git fetch --unshallow` brings the history")
    others = [known for known in ["workspace", "HEAD", *names()] if known != name]
    close = suggestion(name, others, "; `git branch`, `git tag` and `dvc exp list` say which there are")
    raise InputError(f"{name}: no such revision, or no commit{close}")


def names() -> list[str]:
    """The names of experiments, branches and tags."""
    refs = run("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").splitlines()
    return [*experiments(), *(ref.split("/", 2)[2] for ref in refs)]


def experiments() -> dict[str, str]:
    """The commit of each experiment by its name."""
    refs = [line.split() for line in run("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()]
    return {match[1]: commit for commit, ref in refs if (match := EXPERIMENTS.fullmatch(ref))}


def experiments_and_commits() -> list[str]:
    """The commits of all experiments and of the current branch, the newest first."""
    listed = run("for-each-ref", "--format=%(committerdate:unix) %(objectname) %(refname)", "refs/exps").splitlines()
    commits = [line.split(maxsplit=2) for line in listed]
    found = [(int(date), commit) for date, commit, ref in commits if EXPERIMENTS.fullmatch(ref)]
    found += [(int(date), commit) for date, commit in map(str.split, run("log", "--format=%ct %H").splitlines())]
    return [commit for _, commit in sorted(found, key=lambda entry: -entry[0])]


def contents(names: list[tuple[str, str]]) -> Iterator[bytes | None]:
    """The content of each file of a commit, its path from the current folder; None if there is none.

    By git itself, one process for all, and as committed: libraries convert line ends, and wait for ever for what a
    partial clone lacks.
    """
    asked = "".join(f"{commit}:./{path}\n" for commit, path in names)
    stream = io.BytesIO(execute("cat-file", "--batch", given=asked.encode()).stdout)
    while header := stream.readline():
        if header.endswith(b" missing\n"):
            yield None
        else:
            yield stream.read(int(header.split()[-1]))
            stream.read(1)  # a line end of git's


def run(*arguments: str) -> str:
    """What git prints. Raises InputError outside of a repository with a commit."""
    done = execute(*arguments)
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split()) or "failed"
        raise InputError(f"git {arguments[0]}: {reason}; runs are compared in a git repository with a commit")
    return done.stdout.decode(errors="replace")


def execute(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run git to its end, whatever that is. Raises InputError if it is not there, or takes too long."""
    try:
        return subprocess.run(["git", *arguments], input=given, capture_output=True, check=False, timeout=PATIENCE)
    except FileNotFoundError as error:
        raise InputError("git: not found on PATH; install it (on Debian or Ubuntu: apt-get install git)") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"git {arguments[0]}: no answer within {PATIENCE} s; is its remote reachable?") from error
