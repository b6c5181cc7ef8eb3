"""The model of a tagged release reaches another repository, from a git remote and a remote of DVC's."""

import shutil
from pathlib import Path

import pytest

from pipeline import lock
from tests.conftest import Project, commit

MODEL = "models/model.safetensors"
TAG = "classifier@v0.1.0"  # only such a tag is a version of the artifact `classifier` to DVC
OPEN = f"""
import dvc.api
with dvc.api.open({MODEL!r}, repo="../git", rev={TAG!r}, mode="rb") as model, open("opened", "wb") as copy:
    copy.write(model.read())
"""


@pytest.mark.slow
def test_a_tagged_release_is_got_from_another_repository(project: Project, tmp_path: Path) -> None:
    released = (project.path / MODEL).read_bytes()
    project.succeed("dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    commit(project, "a remote")
    project.succeed("git", "tag", "-a", TAG, "-m", "Version 0.1.0")
    project.succeed("dvc", "push", "-q", MODEL)
    path = project.path / "dvc.lock"
    path.write_text(path.read_text().replace(lock.digest(released), "f" * 32))
    commit(project, "later work, not released")
    project.succeed("git", "clone", "-q", "--bare", ".", str(tmp_path / "git"))
    shutil.rmtree(project.path)

    other = Project(tmp_path / "other")
    other.path.mkdir()
    other.succeed("git", "init", "-q")
    other.succeed("dvc", "init", "-q")
    other.succeed("dvc", "artifacts", "get", "-q", "../git", "classifier", "-o", "latest")
    other.succeed("dvc", "artifacts", "get", "-q", "../git", "classifier", "--rev", "v0.1.0", "-o", "named")
    other.succeed("python", "-c", OPEN)
    for name in ("latest", "named", "opened"):
        assert (other.path / name).read_bytes() == released, name
