"""dvc.yaml against the code: each stage declares the project's files that it imports, no more and no fewer."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mnist import params
from tests.conftest import ROOT

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


def imported(path: Path) -> set[Path]:
    """The files of this project that a module imports anywhere in it, the packages around them included."""
    candidates = {path.parent / "__init__.py"}
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        candidates |= {Path(*name.split(".")).with_suffix(".py") for name in names}
    return {candidate for candidate in candidates if (ROOT / candidate).is_file()}


def closure(path: Path) -> set[Path]:
    """A module and everything of this project that it imports, directly or not."""
    found: set[Path] = set()
    left = {path}
    while left:
        found |= left
        left = set().union(*map(imported, left)) - found
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_code_it_imports(stage: str) -> None:
    module = re.fullmatch(r"python -m stages\.(\w+)", STAGES[stage]["cmd"])
    assert module, STAGES[stage]["cmd"]
    declared = {path for path in STAGES[stage]["deps"] if path.endswith(".py")}
    assert declared == {path.as_posix() for path in closure(Path("stages", f"{module[1]}.py"))}


def test_every_section_of_the_parameters_belongs_to_one_stage() -> None:
    declared = [key for stage in STAGES.values() for key in stage["params"] if isinstance(key, str)]
    assert sorted(declared) == sorted(params.Params.model_fields)


@pytest.mark.parametrize(
    ("stage", "lists"),
    [("train", ["numbers"]), ("evaluate", ["numbers", "evaluation"]), ("plot-predictions", ["drawing"])],
)
def test_the_libraries_that_decide_a_result_are_declared(stage: str, lists: list[str]) -> None:
    names = [f"project.optional-dependencies.{name}" for name in lists]
    assert {"pyproject.toml": names} in STAGES[stage]["params"]


def test_what_pyproject_names_is_pinned_the_same_in_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *(pin for group in project["optional-dependencies"].values() for pin in group)]
    installed = (ROOT / "requirements.txt").read_text("utf-8").lower().splitlines()
    assert [pin for pin in named if pin.lower() not in installed] == []
    assert [line for line in installed if not line.startswith("#") and "==" not in line] == []
