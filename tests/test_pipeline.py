"""The walls: what depends on what, and that `dvc.yaml` says so."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from dvc_data.hashfile.meta import Meta

from mnist.commands.settings import Settings
from pipeline import definition, imports
from stages import __name__ as scripts
from tests.conftest import PIPELINE, ROOT

MACHINERY = sorted((ROOT / "pipeline").rglob("*.py"))
COMMANDS = [ROOT / "mnist/__main__.py", *sorted((ROOT / "mnist/commands").rglob("*.py"))]
DIGITS = [path for path in sorted((ROOT / "mnist").rglob("*.py")) if path not in COMMANDS]
STAGES = sorted((ROOT / scripts).rglob("*.py"))
# a list of what is allowed: what knows DVC, git or YAML has many names
LIBRARIES = {"PIL", "matplotlib", "numpy", "pydantic", "safetensors", "scipy", "torch", "torchvision"}
OF_THE_MACHINERY = {"importlib", "runpy", "subprocess", "tomllib"}
# a library that decides results, and the list of pyproject.toml that a stage then names
DECIDING = {"torch": "numbers", "safetensors": "numbers", "matplotlib": "drawing", "PIL": "pictures"}


def roots(path: Path) -> set[str]:
    """The packages that a file imports from."""
    return {name.split(".")[0] for name in imports.imported(path)}


def test_the_walls_are_around_something() -> None:
    for files in (MACHINERY, COMMANDS, DIGITS, STAGES):
        assert len(files) > len(PIPELINE)


def test_the_machinery_imports_nothing_of_what_runs_on_it() -> None:
    for path in MACHINERY:
        assert roots(path) & {"mnist", scripts, "tests"} == set(), path.name


def test_what_knows_digits_takes_from_the_machinery_the_error_class_alone_and_knows_no_dvc_git_or_yaml() -> None:
    for path in DIGITS:
        names = imports.imported(path)
        machinery = {name for name in names if name.startswith("pipeline")}
        assert machinery <= {"pipeline.errors", "pipeline.errors.InputError"}, path.name
        assert not any(name.startswith("mnist.commands") for name in names), path.name
        assert roots(path) - sys.stdlib_module_names <= {"mnist", "pipeline", *LIBRARIES}, path.name
        assert roots(path) & OF_THE_MACHINERY == set(), path.name


def test_a_stage_imports_the_two_packages_alone_no_other_stage_and_no_command() -> None:
    for path in STAGES:
        assert roots(path) - sys.stdlib_module_names <= {"mnist", "pipeline", "pydantic"}, path.name
        assert not any(name.startswith("mnist.commands") for name in imports.imported(path)), path.name


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_depends_on_its_script_and_exactly_the_code_of_mnist_that_it_imports(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    code = [Path(path) for path in PIPELINE[stage]["deps"] if definition.is_code(path)]
    declared = {file for path in code for file in (path.rglob("*.py") if path.is_dir() else [path])}
    assert {file for file in declared if imports.counts(file)} == imports.behind(PIPELINE[stage]["cmd"])


def test_every_section_of_the_parameters_belongs_to_one_stage_but_for_the_machine() -> None:
    declared = [key for stage in PIPELINE.values() for key in stage["params"] if isinstance(key, str)]
    assert sorted([*declared, "machine"]) == sorted(Settings.model_fields)


def test_no_key_has_a_name_that_dvcs_run_cache_leaves_out() -> None:
    """With other values of such a key, it brings the results of those before (dvc/stage/cache.py)."""
    schema = Settings.model_json_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part["properties"]}
    assert {"dataset", "image_size", "learning_rate"} <= keys
    assert not keys & {Meta.PARAM_SIZE, Meta.PARAM_NFILES}


@pytest.mark.parametrize("stage", PIPELINE)
def test_the_libraries_that_decide_a_result_are_declared(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    used = {name for path in imports.behind(PIPELINE[stage]["cmd"]) for name in roots(path)}
    lists = {DECIDING[name] for name in used & DECIDING.keys()}
    declared = [given for given in PIPELINE[stage]["params"] if not isinstance(given, str)]
    assert declared == [{"pyproject.toml": [f"project.optional-dependencies.{name}"]} for name in lists]


def test_what_pyproject_names_is_pinned_the_same_in_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [*project["dependencies"], *(pin for group in project["optional-dependencies"].values() for pin in group)]
    installed = (ROOT / "requirements.txt").read_text("utf-8").lower().splitlines()
    without_extras = [re.sub(r"\[.*\]", "", pin.lower()) for pin in named]
    assert [pin for pin in without_extras if pin not in installed] == []
    assert [line for line in installed if not line.startswith("#") and "==" not in line] == []
