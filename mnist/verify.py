"""Is DVC's cache what it says it is? DVC trusts an object's name; this computes its content's MD5 again.

A bit that a disk has flipped goes unnoticed by `dvc status`, `checkout` and `push` (treeverse/dvc #5978, #9561).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

from mnist.console import InputError

OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")
CHUNK = 1 << 20  # bytes


class Corrupt(NamedTuple):
    """An object that does not match its name, and the outputs of the current dvc.lock that it belongs to."""

    path: Path
    outputs: list[str]


def cache() -> Path:
    """The folder of the cache's objects, wherever DVC is told to keep it. Raises InputError outside of a repository."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo  # takes a moment

    try:
        with Repo() as repo:
            return Path(repo.cache.local.path)
    except DvcException as error:
        raise InputError(f"{Path.cwd()}: no DVC repository; run this in a clone of the project") from error


def objects(folder: Path) -> list[Path]:
    """All objects of a cache: files named by the MD5 of their content, `.dir` added for the listing of a folder."""
    return sorted(path for path in folder.glob("[0-9a-f][0-9a-f]/*") if OBJECT.fullmatch(path.name))


def corrupt(found: list[Path], advance: Callable[[int], None] = lambda _: None) -> Iterator[Path]:
    """Those of the objects whose content is not what their name says; `advance` is told of each byte read."""
    for path in found:
        digest = hashlib.md5(usedforsecurity=False)
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                advance(len(chunk))
        if digest.hexdigest() != path.parent.name + path.name.removesuffix(".dir"):
            yield path


def concerned(damaged: list[Path], folder: Path) -> list[Corrupt]:
    """Each damaged object with the outputs that the current dvc.lock needs it for."""
    owners: dict[Path, list[str]] = {}
    for output, md5 in outputs():
        path = folder / md5[:2] / md5[2:]
        owners.setdefault(path, []).append(output)
        if md5.endswith(".dir") and path.is_file() and path not in damaged:
            for entry in json.loads(path.read_bytes()):
                inside = folder / entry["md5"][:2] / entry["md5"][2:]
                owners.setdefault(inside, []).append(f"{output}/{entry['relpath']}")
    return [Corrupt(path, owners.get(path, [])) for path in damaged]


def outputs() -> Iterator[tuple[str, str]]:
    """Path and MD5 of each output in dvc.lock; none if there is no such file."""
    lock = Path("dvc.lock")
    stages = YAML(typ="safe").load(lock.read_text("utf-8"))["stages"] if lock.exists() else {}
    for stage in stages.values():
        for out in stage.get("outs", []):
            yield out["path"], out["md5"]


def remove(damaged: list[Path]) -> None:
    """Delete damaged objects, so that DVC fetches or makes them again."""
    for path in damaged:
        path.unlink()
