"""What `check` says of data that copies of the project would not find."""

import re
import shutil

import pytest

from tests.conftest import Project


@pytest.mark.slow
def test_data_that_no_copy_of_the_project_would_find_are_named_with_what_helps(project: Project) -> None:
    shutil.copytree(project.path / "data/small", project.path / "data/my own")
    project.edit("path: data/small", "path: data/my own")
    experiment = ["dvc", "exp", "run", "--temp", "--name", "copied", "-S", "train.epochs=1"]
    (line,) = re.findall(r"^data/my own: clones, .*; `(.*)`, or commit it$", check(project), re.MULTILINE)
    assert project.run(*experiment).returncode != 0
    project.succeed("bash", "-ec", line)
    project.succeed("git", "add", "data")
    assert "clones" not in check(project)
    project.succeed(*experiment)


def check(project: Project) -> str:
    """What the command prints."""
    return project.mnist("check")


@pytest.mark.slow
def test_data_outside_of_the_project_are_found_by_their_absolute_path(project: Project) -> None:
    shutil.copytree(project.path / "data/small", project.path.parent / "data")
    project.edit("path: data/small", "path: ../data")
    said = "../data: clones, `dvc exp run --temp` and `--queue` do not find it; write its absolute path\n"
    assert said in check(project)
    project.edit("path: ../data", f"path: {project.path.parent}/data")
    assert "clones" not in check(project)
