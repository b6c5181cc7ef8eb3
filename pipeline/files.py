"""Files that are whole or absent, and locks that end with their process."""

import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


def temporary() -> Path:
    """DVC's folder for what is of this checkout alone and git ignores; its repository may begin above this project."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / ".dvc").is_dir():
            return Path(os.path.relpath(folder), ".dvc/tmp")
    return Path(".dvc/tmp")


def aside(path: Path) -> Path:
    """Where the file or folder `path` is written until it is whole; git and DVC ignore such names."""
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on a file; a second process waits. The kernel releases it however the process ends."""
    path.parent.mkdir(exist_ok=True)
    while True:
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{what}: another process is using it; waiting for it to finish", file=sys.stderr, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # else its last holder has removed it
                yield
                return


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder at `path`; leftovers of a killed run are removed first."""
    remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        remove(path)


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its mode stays, and a link stays a link."""
    target = Path(os.path.realpath(path))
    partial = aside(target)
    try:
        partial.write_bytes(content)
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    finally:
        remove(partial)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
