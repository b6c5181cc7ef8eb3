"""Training state that survives a kill: saved after each epoch, found again by the same inputs.

It lies in `.resume/<key>/` of the repository, where experiments that DVC runs in temporary folders find it too. The
key stands for everything that decides the result, so state of other data, parameters or code is never used.
"""

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from pipeline import files

KEPT = 5  # runs whose state is kept
DIGEST = 32  # bytes of SHA-256 before the content


class Checkpoint:
    """Where one run's state is kept: the parts that have a `state_dict`, the history, and torch's random state."""

    def __init__(self, path: Path | None, check: Callable[[], None] = lambda: None) -> None:
        self.path = path  # None keeps nothing
        self.check = check

    def restore(self, parts: dict[str, Any]) -> list[Any]:
        """Bring `parts` and the random generator to where the last saved epoch left them; returns the history."""
        if self.path is None or not self.path.exists():
            return []
        content = self.path.read_bytes()
        whole = hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]
        state = None
        with contextlib.suppress(Exception):  # whatever unpickling stumbles over
            state = torch.load(io.BytesIO(content[DIGEST:]), weights_only=True) if whole else None
        if state is None:
            aside = self.path.replace(self.path.with_suffix(".damaged"))
            print(f"{self.path}: damaged, so training starts over; it is kept as {aside.name}", file=sys.stderr)
            return []
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        history: list[Any] = state["history"]
        print(f"going on after epoch {len(history)}, saved in {self.path}", flush=True)
        return history

    def save(self, parts: dict[str, Any], history: list[Any]) -> None:
        """Keep the state, whole or not at all; a power cut may cost it, which the digest then shows.

        Raises what `check` does, so that no state of changed inputs is kept under the key of those before.
        """
        self.check()
        if self.path is None:
            return
        buffer = io.BytesIO()
        state = {name: part.state_dict() for name, part in parts.items()}
        torch.save({**state, "random": torch.get_rng_state(), "history": history}, buffer)
        content = buffer.getvalue()
        files.replace(self.path, hashlib.sha256(content).digest() + content)


@contextlib.contextmanager
def checkpoint(key: str, check: Callable[[], None]) -> Iterator[Checkpoint]:
    """The checkpoint of the run with this key, for one process at a time; a second one waits for the first.

    `check` raises if the inputs are no longer those of the key; it is called before each state is kept.
    """
    root = Path(os.environ.get("DVC_ROOT", ".")) / ".resume"
    folder = root / key
    with files.locked(root / f"{key}.lock", str(folder)):
        folder.mkdir(exist_ok=True)
        (root / ".gitignore").write_text("*\n")  # DVC's repository may begin above this project, and its .gitignore
        yield Checkpoint(folder / "state", check)
    prune(root)


def prune(root: Path) -> None:
    """Remove all states but the most recent ones, and none that is in use."""
    with files.locked(root / "prune.lock", str(root)):
        folders = [path for path in root.iterdir() if path.is_dir()]
        for folder in sorted(folders, key=lambda path: path.stat().st_mtime)[:-KEPT]:
            lock = folder.with_suffix(".lock")
            with lock.open("ab") as file, contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                lock.unlink()
