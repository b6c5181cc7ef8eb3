"""Data, models and the run cache go from one person to another through each kind of DVC's remotes, whatever happens."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import verify
from tests import remotes
from tests.conftest import Project, commit, copy
from tests.remotes import Remote, Wire

pytestmark = pytest.mark.slow
MODEL = "models/model.safetensors"  # 440 kB


@pytest.fixture(scope="module", params=remotes.KINDS)
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """A remote of each kind, with nothing in it; tests have stores of their own there."""
    if why := remotes.missing(request.param):
        pytest.skip(why)
    with remotes.serving(request.param, tmp_path_factory.mktemp(request.param) / "remote") as served:
        yield served


def cloned(project: Project, path: Path, remote: Remote) -> Project:
    """What another person has: a clone, and the right to use the remote."""
    project.succeed("git", "clone", "-q", str(project.path), str(path))
    other = Project(path)
    for key in ("user.name", "user.email"):
        other.succeed("git", "config", key, "other@example.org")
    remote.let_in(other)
    return other


def test_what_one_has_run_another_gets_and_what_the_other_tries_comes_back(
    project: Project, remote: Remote, tmp_path: Path
) -> None:
    hub = tmp_path / "hub"
    project.succeed("git", "init", "-q", "--bare", "-b", "main", str(hub))
    project.succeed("git", "remote", "add", "origin", str(hub))
    store = remote.add(project, "walk")
    commit(project, "a remote")
    for secret in remote.secrets.values():
        assert secret not in project.succeed("git", "grep", "-e", "", "HEAD", "--", ".dvc")
    project.succeed("git", "push", "-q", "-u", "origin", "main")
    project.succeed("dvc", "push", "--run-cache")
    assert remotes.differing(project, store) == []

    other = cloned(Project(hub), tmp_path / "other", remote)
    other.succeed("dvc", "pull", "--run-cache")
    assert other.hashes() == project.hashes()
    assert other.repro() == []
    (other.path / "dvc.lock").unlink()
    assert other.repro() == ["train", "evaluate"]  # whose metrics git has: DVC does not push them to the run cache
    assert other.succeed("git", "status", "--porcelain") == ""
    other.succeed("dvc", "exp", "run", "-q", "--name", "faster", "-S", "train.learning_rate=0.1")
    other.succeed("dvc", "exp", "push", "origin", "faster")

    project.succeed("dvc", "exp", "pull", "origin", "faster")
    project.succeed("dvc", "exp", "apply", "faster")
    assert project.hashes() == other.hashes()
    assert "train.learning_rate  0.003 → 0.1" in project.mnist("compare", "HEAD", "faster")
    assert project.repro() == []
    commit(project, "faster")
    project.succeed("git", "push", "-q")
    project.succeed("dvc", "push", "--run-cache")

    other.succeed("git", "checkout", "-q", ".")
    other.succeed("git", "pull", "-q")
    other.succeed("dvc", "pull", "--run-cache")
    assert other.repro() == []
    assert other.hashes() == project.hashes()
    assert remotes.differing(other, store) == []
