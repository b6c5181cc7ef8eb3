"""`dvc` in a forked process says and does what it does in one of its own."""

import pytest

from tests.conftest import Project

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "command", [["status"], ["repro", "nothing"], ["repo"], ["repro", "--force", "plot-predictions"]], ids=" ".join
)
def test_it_prints_and_ends_as_a_process_of_its_own(command: list[str], project: Project) -> None:
    forked, own = (project.run("dvc", *command, **more) for more in ({}, {"LANG": "C.UTF-8"}))
    assert (forked.returncode, forked.stdout, forked.stderr) == (own.returncode, own.stdout, own.stderr)
    assert (forked.returncode == 0) == (command[-1] not in ("nothing", "repo"))


def test_it_has_the_environment_of_the_moment_and_runs_stages_as_processes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "this test")
    (project.path / "dvc.yaml").write_text("stages: {say: {cmd: echo $WHO of $PYTEST_CURRENT_TEST. >&2; exit 3}}")
    done = project.run("dvc", "repro")
    assert done.returncode == 255
    assert "this test of .\n" in done.stderr
    assert "exited with 3" in done.stderr
