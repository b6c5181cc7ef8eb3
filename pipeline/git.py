"""What git knows: commits, branches, tags, and the experiments that DVC keeps as refs. Nothing else runs git."""

import io
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline import processes
from pipeline.errors import InputError, suggestion

EXPERIMENTS = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(.+)")
COMMIT = re.compile(r"[0-9a-f]{40,64}\n")
PATIENCE = 120  # seconds; in a partial clone git fetches what it lacks


def resolve(name: str) -> str:
    """The commit that git or DVC calls `name`. Raises InputError if there is none, or several."""
    found = {}
    for kind, prefix in {"revision": "", "branch": "refs/heads/", "tag": "refs/tags/"}.items():
        done = execute("rev-parse", "--verify", "--quiet", "--end-of-options", f"{prefix}{name}^{{commit}}")
        if COMMIT.fullmatch(printed := done.stdout.decode()):  # not two commits, or all but one
            found[printed.strip()] = kind
    found |= {commit: "experiment" for experiment, commit in experiments().items() if experiment == name}
    if len(found) > 1:
        several = " and ".join(f"the {kind} {commit[:12]}" for commit, kind in found.items())
        raise InputError(f"{name}: the name of {several}; give the commit that you mean instead")
    if found:
        return found.popitem()[0]
    if shallow():
        remote = (run("remote").split() or ["origin"])[0]
        raise InputError(
            f"{name}: no such revision in this shallow clone; `git remote set-branches {remote} '*' && "
            f"git fetch --unshallow --tags {remote}` brings the whole history, and all branches as {remote}/…"
        )
    others = [known for known in ["workspace", "HEAD", *names()] if known != name]
    same = [known for known in others if known.endswith(f"/{name}")]  # a branch of a remote
    close = suggestion(name, same or others, "; `git branch`, `git tag` and `dvc exp list` say which there are")
    raise InputError(f"{name}: no such revision, or no commit{f'; did you mean {same[0]}?' if same else close}")


def names() -> list[str]:
    """The names of experiments, branches, those of remotes included, and tags."""
    return list(commits())


def commits() -> dict[str, str]:
    """The commit of each experiment, branch, those of remotes included, and tag, by its name."""
    form = "--format=%(refname) %(objectname) %(*objectname)"  # the last one is what an annotated tag is on
    refs = map(str.split, run("for-each-ref", form, "refs/heads", "refs/remotes", "refs/tags").splitlines())
    return experiments() | {ref[0].split("/", 2)[2]: ref[-1] for ref in refs}


def notes() -> list[str]:
    """The notes on all commits, as `git notes` keeps them."""
    found = objects(line.split()[0] for line in run("notes", "list").splitlines())
    return [content.decode(errors="replace") for content in found if content is not None]


def note(text: str) -> None:
    """Append a line to the note on HEAD, which `git log` shows."""
    checked("notes", "append", "-m", text, "HEAD")


def shallow() -> bool:
    """Whether this clone lacks the older commits."""
    return run("rev-parse", "--is-shallow-repository").strip() == "true"


def merging() -> bool:
    """Whether a merge, or what else can end in conflicts, waits to be finished."""
    heads = [execute("rev-parse", "--verify", "--quiet", f"{name}_HEAD").stdout for name in ("MERGE", "CHERRY_PICK")]
    return any(heads) or bool(run("ls-files", "--unmerged"))


def experiments() -> dict[str, str]:
    """The commit of each experiment by its name."""
    refs = [line.split() for line in run("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()]
    return {match[1]: commit for commit, ref in refs if (match := EXPERIMENTS.fullmatch(ref))}


def experiments_and_commits() -> list[str]:
    """The commits of all experiments and of the current branch, the newest first."""
    listed = run("for-each-ref", "--format=%(committerdate:unix) %(objectname) %(refname)", "refs/exps").splitlines()
    commits = [line.split(maxsplit=2) for line in listed]
    found = [(int(date), commit) for date, commit, ref in commits if EXPERIMENTS.fullmatch(ref)]
    found += [
        (int(date), commit)
        for date, commit in map(str.split, run("log", "--no-show-signature", "--format=%ct %H").splitlines())
    ]
    return [commit for _, commit in sorted(found, key=lambda entry: -entry[0])]


def contents(names: list[tuple[str, str]]) -> Iterator[bytes | None]:
    """The content of each file of a commit, its path from the current folder; None if there is none.

    By git itself, one process for all, and as committed: libraries convert line ends, and wait for ever for what a
    partial clone lacks.
    """
    return objects(f"{commit}:./{path}" for commit, path in names)


def objects(names: Iterable[str]) -> Iterator[bytes | None]:
    """The content of each file that git knows by such a name; None if there is none."""
    given = "".join(f"{name}\n" for name in names).encode()
    stream = io.BytesIO(checked("cat-file", "--batch", given=given))
    while header := stream.readline():
        if header.endswith(b" missing\n"):
            yield None
        else:
            _, kind, size = header.split()
            content = stream.read(int(size))
            stream.read(1)  # a line end of git's
            yield content if kind == b"blob" else None  # a folder is a tree


def below(commit: str, folder: str) -> dict[str, bytes]:
    """The content of each file of a commit in a folder, by its path from there; none if git has no such folder."""
    options = ["--full-tree", "-r", "-z", "--name-only"]  # else none, where this is a folder of a larger repository
    listed = execute("ls-tree", *options, f"{commit}:./{folder}").stdout.decode().split("\0")[:-1]
    found = contents([(commit, f"{folder}/{path}") for path in listed])
    return {path: content for path, content in zip(listed, found, strict=True) if content is not None}


def touching(path: str) -> list[str]:
    """The commits of all branches, tags and experiments that change a file, the newest first."""
    return run("rev-list", "--all", "--full-history", "--", path).split()


def headline(commit: str) -> str:
    """A commit in a line: the start of its hash, its date, its subject."""
    return run("show", "--no-patch", "--no-show-signature", "--format=%h %cs %s", commit).strip()


def check_out(commit: str, folder: Path) -> Path:
    """Bring all files of a commit into an empty folder; returns where the current folder is in there.

    The repository notes nothing of it, so there is nothing to tidy up; a clone would lack what a partial clone lacks.
    """
    place = [f"--git-dir={run('rev-parse', '--absolute-git-dir').strip()}", f"--work-tree={folder.resolve()}"]
    index = folder.resolve() / ".git-index.partial"
    options = ["-c", "core.sparseCheckout=false"]
    checked(*place, *options, "read-tree", "--reset", "-u", commit, environment={"GIT_INDEX_FILE": str(index)})
    index.unlink()
    return folder / run("rev-parse", "--show-prefix").strip()


def holds(path: str) -> bool:
    """Whether a path lies in the repository; git does not even look at one that does not."""
    top = run("rev-parse", "--show-toplevel").strip()
    return Path(os.path.normpath(Path.cwd() / path)).is_relative_to(top)


def run(*arguments: str) -> str:
    """What git prints. Raises InputError outside of a repository with a commit."""
    return checked(*arguments).decode(errors="replace")


def checked(*arguments: str, given: bytes = b"", environment: dict[str, str] | None = None) -> bytes:
    """What git prints. Raises InputError, in git's own words, if it fails."""
    done = execute(*arguments, given=given, environment=environment)
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split()) or "failed"
        if arguments[0] == "cat-file":
            reason += "; a partial clone needs its remote for what it lacks: run again when git can reach it"
        elif arguments[0] == "notes":
            reason += "; nothing was noted or shown, run again when git can"
        elif "safe.directory" not in reason:  # there git names the remedy
            reason += "; runs are compared in a git repository with a commit"
        raise InputError(f"git {arguments[0]}: {reason}")
    return done.stdout


def execute(
    *arguments: str, given: bytes = b"", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git to its end, whatever that is. Raises InputError if it is not there, or takes too long."""
    pipe, env = subprocess.PIPE, {**os.environ, **(environment or {})}
    try:
        with subprocess.Popen(["git", *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=env) as process:
            try:
                output, errors = process.communicate(given, timeout=PATIENCE)
            except BaseException:  # a signal as well
                processes.end(process.pid)
                raise
    except FileNotFoundError as error:
        raise InputError("git: not found on PATH; install it (on Debian or Ubuntu: apt-get install git)") from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"git {arguments[0]}: no answer within {PATIENCE} s; run again when its remote can be reached, what has "
            "come is kept"
        ) from error
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)
