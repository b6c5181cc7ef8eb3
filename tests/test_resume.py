"""States of earlier runs: the latest are kept, and none that is in use is removed."""

import os
from pathlib import Path

import pytest

from mnist import resume


def keys(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".resume").iterdir() if path.is_dir()}


def use(key: str, at: int) -> None:
    """A run that saves state, and does so at a known time."""
    with resume.checkpoint(key) as checkpoint:
        assert checkpoint.path
        checkpoint.path.write_bytes(b"state")
    os.utime(checkpoint.path.parent, (at, at))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def test_old_states_are_pruned(folder: Path) -> None:
    for k in range(resume.KEPT):
        use(f"run{k}", at=1000 + k)
    use("run0", at=2000)  # used again, so run1 is now the oldest
    use("another", at=3000)
    assert keys(folder) == {"another", "run0", *(f"run{k}" for k in range(2, resume.KEPT))}
    assert not (folder / ".resume/run1.lock").exists()


def test_a_state_in_use_is_not_pruned(folder: Path) -> None:
    with resume.checkpoint("in-use"):
        os.utime(folder / ".resume/in-use", (1, 1))
        for k in range(resume.KEPT):
            use(f"run{k}", at=1000 + k)
        assert keys(folder) == {"in-use", *(f"run{k}" for k in range(resume.KEPT))}
