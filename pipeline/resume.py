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
from pipeline.group import Group

KEPT = 5  # runs whose state is kept
DIGEST = 32  # bytes of SHA-256 before the content


class Checkpoint:
    """Where one run's state is kept: the parts that have a `state_dict`, the history, and torch's random state."""

    def __init__(
        self,
        path: Path | None,
        check: Callable[[], None] = lambda: None,
        hand_out: Callable[[Any], Any] = lambda state: state,
    ) -> None:
        self.path = path  # None keeps nothing
        self.check = check
        self.hand_out = hand_out  # to all processes of a run, what the first one has

    def restore(self, parts: dict[str, Any]) -> list[Any]:
        """Bring `parts` and the random generator to where the last saved epoch left them; returns the history."""
        state = self.hand_out(self.kept())
        if state is None:
            return []
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        history: list[Any] = state["history"]
        if self.path:
            print(f"going on after epoch {len(history)}, saved in {self.path}", flush=True)
        return history

    def kept(self) -> dict[str, Any] | None:
        """The last saved state; None if there is none, or it is damaged, and then put aside."""
        if self.path is None or not self.path.exists():
            return None
        content = self.path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            with contextlib.suppress(Exception):  # whatever unpickling stumbles over
                state: dict[str, Any] = torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
                return state
        aside = self.path.replace(self.path.with_suffix(".damaged"))
        print(f"{self.path}: damaged, so training starts over; it is kept as {aside.name}", file=sys.stderr)
        return None

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
def checkpoint(key: str, check: Callable[[], None], group: Group | None = None) -> Iterator[Checkpoint]:
    """The checkpoint of the run with this key, for one process at a time; a second one waits for the first.

    `check` raises if the inputs are no longer those of the key; it is called before each state is kept. Of a `group`
    that shares the run, the first keeps its state.
    """
    hand_out = group.hand_out if group else lambda state: state
    if group and group.rank:
        yield Checkpoint(None, hand_out=hand_out)
        return
    root = Path(os.environ.get("DVC_ROOT", ".")) / ".resume"
    folder = root / key
    with files.locked(root / f"{key}.lock", str(folder)):
        folder.mkdir(exist_ok=True)
        (root / ".gitignore").write_text("*\n")  # DVC's repository may begin above this project, and its .gitignore
        yield Checkpoint(folder / "state", check, hand_out)
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
