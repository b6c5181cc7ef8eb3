"""A command in a forked process says, does and makes what it does in one of its own."""

import shlex

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow
OWN = {"LANG": "C.UTF-8"}  # with an environment, a command has a process of its own


@pytest.mark.parametrize(
    "command",
    [
        *(
            "dvc status",
            "dvc repro nothing",
            "dvc repo",
            "dvc repro --force --single-item plot-predictions",
            "python --version",
        ),
        *("python -m mnist compare HEAD HEAD~1", "python -m nothing", "python -m stages.train --nothing"),
        "python -c 'import sys; print(sys.prefix); sys.exit(3)'",
    ],
)
def test_it_prints_and_ends_as_a_process_of_its_own(command: str, project: Project) -> None:
    forked, own = (project.run(*shlex.split(command), **more) for more in ({}, OWN))
    assert (forked.returncode, forked.stdout, forked.stderr) == (own.returncode, own.stdout, own.stderr)
    assert (forked.returncode == 0) == (
        command.split()[-1] not in ("nothing", "repo", "HEAD~1", "--nothing", "sys.exit(3)'")
    )


def test_it_makes_the_same_bytes(project: Project) -> None:
    project.edit("model: mlp", "model: cnn")
    project.edit("threads: 1", "threads: 2")
    project.edit("epochs: 2", "epochs: 1")
    project.succeed("dvc", "repro")
    forked = project.hashes()
    project.succeed("dvc", "repro", "--force", **OWN)
    assert project.hashes() == forked


def test_it_has_the_environment_of_the_moment_and_runs_stages_as_processes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "this test")
    (project.path / "dvc.yaml").write_text("stages: {say: {cmd: echo $WHO of $PYTEST_CURRENT_TEST. >&2; exit 3}}")
    done = project.run("dvc", "repro")
    assert done.returncode == 255
    assert "this test of .\n" in done.stderr
    assert "exited with 3" in done.stderr


def test_it_runs_the_code_of_its_folder(project: Project) -> None:
    project.edit("def compare(", "raise SystemExit('edited')\n\n\ndef compare(", "mnist/commands/compare.py")
    done = project.run("python", "-m", "mnist", "compare", "HEAD", "HEAD")
    assert (done.returncode, done.stderr) == (1, "edited\n")
