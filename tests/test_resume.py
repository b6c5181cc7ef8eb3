"""States of earlier runs: the latest are kept, and none that is in use is removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import resume
from tests.conftest import PATIENCE, ROOT


def keys(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".resume").iterdir() if path.is_dir()}


def use(key: str, at: int) -> None:
    """A run that saves state, and does so at a known time."""
    with resume.checkpoint(key, print) as checkpoint:
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
    with resume.checkpoint("in-use", print):
        os.utime(folder / ".resume/in-use", (1, 1))
        for k in range(resume.KEPT):
            use(f"run{k}", at=1000 + k)
        assert keys(folder) == {"in-use", *(f"run{k}" for k in range(resume.KEPT))}


def start(program: str) -> subprocess.Popen[str]:
    """Another process of the project's."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from pipeline import resume\n{program}"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.slow
def test_a_second_process_waits_for_the_state_that_a_first_one_uses(folder: Path) -> None:
    first, second = (start("with resume.checkpoint('key', print): print('in', flush=True), input()") for _ in range(2))
    shown = {process: process.stdout.readline() for process in (first, second) if process.stdout}
    assert sorted(shown.values()) == [
        f"{folder}/.resume/key: another process is using it; waiting for it to finish\n",
        "in\n",
    ]
    inside, waiting = sorted(shown, key=lambda process: shown[process] != "in\n")
    inside.communicate("\n", timeout=PATIENCE)
    assert waiting.communicate("\n", timeout=PATIENCE)[0] == "in\n"
    assert (inside.returncode, waiting.returncode) == (0, 0)


@pytest.mark.slow
def test_two_processes_prune_at_the_same_time(folder: Path) -> None:
    program = "import os\nfor k in range(100):\n    with resume.checkpoint(f'{os.getpid()}-{k}', print): pass"
    both = [start(program) for _ in range(2)]
    for process in both:
        shown, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, shown
    assert len(keys(folder)) == resume.KEPT
