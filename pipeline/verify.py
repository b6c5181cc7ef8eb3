"""Is DVC's cache what it says it is? DVC trusts an object's name; this computes its content's MD5 again.

A bit that a disk has flipped goes unnoticed by `dvc status`, `checkout` and `push` (treeverse/dvc #5978, #9561).
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline import files, lock, yaml12
from pipeline.errors import InputError, command

if TYPE_CHECKING:
    from dvc.repo import Repo

OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")
CHUNK = 1 << 20  # bytes


class Finding(NamedTuple):
    """An object, what is wrong with it, and whether that is its content."""

    path: Path
    what: str
    corrupt: bool


@contextlib.contextmanager
def repository() -> Iterator["Repo"]:
    """DVC's view of this folder, without its warnings. Raises InputError if there is none, or DVC says what fails."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes a moment

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo() as repo:
            yield repo
    except DvcException as error:
        damaged = Path(getattr(error, "path", ""))  # the file that DVC cannot make out, if it names one
        for file in (files.temporary().with_name("config"), damaged):
            if file.is_file():
                yaml12.check_merged(file.read_bytes(), file)
        remedy = (
            f"fix it, or {command('git', 'restore', damaged)}"
            if damaged.name
            else "fix that, or run this in a clone of the project"
        )
        raise InputError(f"DVC cannot use this folder ({error}); {remedy}") from error


def check_graph() -> None:
    """Raise InputError if `dvc repro` would fail before it runs anything, as on a damaged `.dvc` file."""
    with repository() as repo, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of a library of DVC's, of no use here
        repo.index.check_graph()


def cache() -> Path:
    """The folder of the cache's objects, wherever DVC is told to keep it. Raises InputError outside of a repository."""
    return cache_of(Path.cwd())


def cached(md5: str) -> Path:
    """Where the cache keeps the object of that name."""
    return cache() / md5[:2] / md5[2:]


@functools.cache
def cache_of(_: Path) -> Path:
    """The folder of the cache's objects of the current folder, which is named."""
    with repository() as repo:
        return Path(repo.cache.local.path)


def objects(folder: Path) -> list[Path]:
    """All objects of a cache: files named by the MD5 of their content, `.dir` added for the listing of a folder."""
    return sorted(path for path in folder.glob("[0-9a-f][0-9a-f]/*") if OBJECT.fullmatch(path.name))


def unfinished(folder: Path) -> list[Path]:
    """Entries of DVC's run cache without content, as a kill leaves them: `dvc repro` would end in a TypeError there."""
    entries = (Path(os.path.relpath(path)) for path in (folder.parents[1] / "runs").glob("??/*") if path.is_dir())
    return sorted(path for path in entries if not any(path.iterdir()))


def size(found: list[Path]) -> int:
    """Bytes of all objects together."""
    return sum(path.lstat().st_size for path in found)


def examine(found: list[Path], advance: Callable[[int], None] = lambda _: None) -> Iterator[Finding]:
    """What is wrong with any of the objects; `advance` is told of each byte read."""
    for path in found:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    advance(len(chunk))
        except OSError as error:
            # a folder or a broken link is no object; what only may not be read may well be a sound one
            gone = isinstance(error, IsADirectoryError | FileNotFoundError)
            yield Finding(path, f"cannot be read ({error.strerror})", corrupt=gone)
        else:
            if digest.hexdigest() != path.parent.name + path.name.removesuffix(".dir"):
                yield Finding(path, "not what its name says", corrupt=True)


def needed(folder: Path) -> dict[Path, list[str]]:
    """The object of each output of the current dvc.lock, and of each file in those that are folders; with names."""
    owners: dict[Path, list[str]] = {}
    for output, md5 in lock.read().outputs().items():
        path = folder / md5[:2] / md5[2:]
        owners.setdefault(path, []).append(output)
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # a damaged listing is found by its MD5
            for entry in json.loads(path.read_bytes()) if md5.endswith(".dir") else []:
                inside = folder / entry["md5"][:2] / entry["md5"][2:]
                owners.setdefault(inside, []).append(f"{output}/{entry['relpath']}")
    return owners
