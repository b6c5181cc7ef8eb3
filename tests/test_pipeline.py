"""The walls: what depends on what, and that `dvc.yaml` says so."""

import tomllib
from pathlib import Path

import pytest

from mnist.commands.settings import Settings
from pipeline import imports
from stages import __name__ as scripts
from tests.conftest import PIPELINE, ROOT

MACHINERY = sorted((ROOT / "pipeline").glob("*.py"))
DIGITS = [path for path in sorted((ROOT / "mnist").glob("*.py")) if path.name != "__main__.py"]
ERROR = {"pipeline.errors", "pipeline.errors.InputError"}
OF_THE_MACHINERY = {"dvc", "yaml", "ruamel", "subprocess", "tomllib", "typer"}


def test_the_machinery_imports_nothing_of_what_runs_on_it() -> None:
    for path in MACHINERY:
        assert {name.split(".")[0] for name in imports.imported(path)} & {"mnist", scripts, "tests"} == set(), path.name


def test_what_knows_digits_takes_from_the_machinery_the_error_class_alone_and_knows_no_dvc_git_or_yaml() -> None:
    for path in DIGITS:
        names = imports.imported(path)
        assert {name for name in names if name.startswith("pipeline")} <= ERROR
        assert not any(name.startswith("mnist.commands") for name in names), path.name
        assert {name.split(".")[0] for name in names} & OF_THE_MACHINERY == set(), path.name


def test_no_stage_imports_a_command() -> None:
    for path in (ROOT / scripts).glob("*.py"):
        assert not any(name.startswith("mnist.commands") for name in imports.imported(path)), path.name


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_depends_on_its_script_and_exactly_the_code_of_mnist_that_it_imports(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    declared = {Path(path) for path in PIPELINE[stage]["deps"] if path.endswith(".py")}
    assert declared == imports.behind(PIPELINE[stage]["cmd"])


def test_every_section_of_the_parameters_belongs_to_one_stage() -> None:
    declared = [key for stage in PIPELINE.values() for key in stage["params"] if isinstance(key, str)]
    assert sorted(declared) == sorted(Settings.model_fields)


@pytest.mark.parametrize(
    ("stage", "lists"),
    [("train", ["numbers"]), ("evaluate", ["numbers"]), ("plot-predictions", ["drawing"])],
)
def test_the_libraries_that_decide_a_result_are_declared(stage: str, lists: list[str]) -> None:
    names = [f"project.optional-dependencies.{name}" for name in lists]
    assert {"pyproject.toml": names} in PIPELINE[stage]["params"]


def test_what_pyproject_names_is_pinned_the_same_in_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *(pin for group in project["optional-dependencies"].values() for pin in group)]
    installed = (ROOT / "requirements.txt").read_text("utf-8").lower().splitlines()
    assert [pin for pin in named if pin.lower() not in installed] == []
    assert [line for line in installed if not line.startswith("#") and "==" not in line] == []
