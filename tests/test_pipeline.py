"""The walls: what depends on what, and that `dvc.yaml` says so."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from mnist.commands.settings import Settings
from stages import __name__ as scripts
from tests.conftest import PIPELINE, ROOT

MACHINERY = sorted((ROOT / "pipeline").glob("*.py"))
DIGITS = [path for path in sorted((ROOT / "mnist").glob("*.py")) if path.name != "__main__.py"]
OF_THE_MACHINERY = {"dvc", "yaml", "ruamel", "subprocess", "tomllib", "typer"}


def imported(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def of_this_project(names: set[str]) -> set[Path]:
    """The modules among them that are files here."""
    files = {Path(*name.split(".")).with_suffix(".py") for name in names}
    return {path for path in files if (ROOT / path).is_file()}


def test_the_machinery_imports_nothing_of_what_runs_on_it() -> None:
    for path in MACHINERY:
        assert {name.split(".")[0] for name in imported(path)} & {"mnist", scripts, "tests"} == set(), path.name


def test_what_knows_digits_takes_from_the_machinery_the_error_class_alone_and_knows_no_dvc_git_or_yaml() -> None:
    for path in DIGITS:
        names = imported(path)
        assert {file for file in of_this_project(names) if file.parts[0] != "mnist"} <= {Path("pipeline/errors.py")}
        assert not any(name.startswith("mnist.commands") for name in names), path.name
        assert {name.split(".")[0] for name in names} & OF_THE_MACHINERY == set(), path.name


def test_no_stage_imports_a_command() -> None:
    for path in (ROOT / scripts).glob("*.py"):
        assert not any(name.startswith("mnist.commands") for name in imported(path)), path.name


def test_packages_hold_no_code_that_a_stage_would_have_to_declare() -> None:
    (docstring,) = ast.parse((ROOT / "mnist/__init__.py").read_text("utf-8")).body
    assert isinstance(docstring, ast.Expr)


def dependencies(script: Path) -> set[Path]:
    """A stage's script and the files of mnist/ that it imports, directly or not."""
    found: set[Path] = set()
    left = {script}
    while left:
        found |= left
        left = {file for path in left for file in of_this_project(imported(ROOT / path))} - found
        left = {file for file in left if file.parts[0] == "mnist"}
    return found


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_depends_on_its_script_and_exactly_the_code_of_mnist_that_it_imports(stage: str) -> None:
    module = re.fullmatch(r"python -m stages\.(\w+)", PIPELINE[stage]["cmd"])
    assert module
    declared = {Path(path) for path in PIPELINE[stage]["deps"] if path.endswith(".py")}
    assert declared == dependencies(Path(scripts, f"{module[1]}.py"))


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
