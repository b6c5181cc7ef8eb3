"""What a stage imports, by the interpreter's own list: nothing that it does not need and that takes seconds."""

import re

import pytest

from tests.conftest import SCRIPTS, Project

HEAVY = {"torch", "torchvision", "matplotlib", "scipy", "dvc"}
NEEDED = {"stages.train": {"torch"}, "stages.evaluate": {"torch"}, "stages.plot_predictions": {"matplotlib"}}


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_stage_imports_no_more_than_it_needs(script: str, project: Project) -> None:
    done = project.run("python", "-X", "importtime", "-m", script)
    assert done.returncode == 0, done.stderr[-500:]
    modules = re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE)
    imported = {name.split(".")[0] for name in modules}
    assert "typer" in imported
    assert imported & HEAVY == NEEDED.get(script, set())
    assert "torch._dynamo" not in modules


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(script: str, project: Project) -> None:
    done = project.run("python", "-X", "importtime", "-m", script, "--help")
    assert "Usage:" in done.stdout
    assert {name.split(".")[0] for name in re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE)} & HEAVY == set()
