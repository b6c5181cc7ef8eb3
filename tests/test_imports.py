"""Modules that a stage imports and `dvc.yaml` does not list: their edits would go unnoticed."""

import re
from pathlib import Path

import pytest

from pipeline import definition, imports
from pipeline.errors import InputError
from tests.conftest import Project, copy

SCRIPT = "from a import one\nimport pipeline.console\nimport json, numpy\n\ndef work():\n    from . import lazy\n"
PROJECT = {
    "scripts/__init__.py": '"""A name."""\nimport pipeline.interrupt\n',
    "scripts/work.py": SCRIPT,
    "scripts/lazy.py": "from b import sub\n",
    "a/__init__.py": "K = 1\n",
    "a/one.py": "import two.three as x\n",
    "two/__init__.py": "",
    "two/three.py": "import scripts.work\n",
    "b/__init__.py": '"""Another."""\n',
    "b/sub/__init__.py": "from b.sub import deep\n",
    "b/sub/deep.py": "",
    "b/other.py": "",
    "pipeline/console.py": "import b.other\n",
}
BEHIND = {"scripts/work.py", "scripts/lazy.py", "a/__init__.py", "a/one.py", "two/three.py", "b/sub/__init__.py",
          "b/sub/deep.py"}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for path, content in PROJECT.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(content)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_what_a_command_imports_is_found_wherever_it_says_so_and_less_the_machinery() -> None:
    assert {str(path) for path in imports.behind("python -m scripts.work --fast")} == BEHIND
    for command in ("python scripts/work.py", "make work", ["python -m scripts.work"], "python -m nothing"):
        assert imports.behind(command) == set()


@pytest.mark.usefixtures("folder")
def test_relative_imports_are_found() -> None:
    Path("b/sub/deep.py").write_text("from ..sub import more\nfrom .. import other\n")
    Path("b/sub/more.py").touch()
    assert {"b/sub/more.py", "b/other.py"} <= {str(path) for path in imports.behind("python -m b.sub.deep")}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = 1\ndef f(:\n", r"invalid syntax .*line 2\)"),
        ("x = '\0'", "source code .* null bytes"),
        ("from ..b import x", "beyond top-level package"),
    ],
)
def test_a_module_that_python_cannot_read_is_named(content: str, said: str) -> None:
    Path("a/one.py").write_text(content)
    with pytest.raises(InputError, match=rf"a/one\.py: .*{said}; fix it, or `git restore a/one\.py`"):
        imports.behind("python -m scripts.work")


@pytest.mark.parametrize("deps", [[], ["a/two.py"], ["a/one"], ["b"]])
def test_a_module_has_to_be_listed(deps: list[str]) -> None:
    with pytest.raises(
        InputError, match=r"dvc\.yaml: stages: work: imports a/one\.py, .*; add `- a/one\.py` to its deps"
    ):
        imports.check("work", definition.Stage(deps=deps), [Path("a/one.py")])


@pytest.mark.parametrize("deps", [["a/one.py"], ["a"], ["a/"], ["./a/one.py", "b"]])
def test_or_a_folder_that_it_is_in(deps: list[str]) -> None:
    imports.check("work", definition.Stage(deps=deps), [Path("a/one.py")])


def refused(project: Project, *command: str) -> str:
    """What a command that must fail says; its remedy is a line for evaluate's deps."""
    done = project.run(*command)
    assert done.returncode != 0
    line = next(line for line in done.stderr.splitlines() if line.startswith("error: dvc.yaml: "))
    assert "stages: evaluate: imports mnist/extra.py, whose edits would go unnoticed" in line
    added = re.findall("add `(.*)` to its deps", line)
    assert added == ["- mnist/extra.py"]
    return line


def with_one_more(template: Project, path: Path, statement: str) -> Project:
    """A project that has run, whose metrics.py then imports a module more."""
    project = copy(template, path)
    (project.path / "mnist/extra.py").write_text("K = 2\n")
    metrics = project.path / "mnist/metrics.py"
    metrics.write_text(metrics.read_text().replace("from mnist", f"{statement}\nfrom mnist", 1))
    return project


@pytest.mark.slow
def test_a_module_more_is_refused_until_it_is_listed_and_then_its_edits_count(
    template: Project, tmp_path: Path
) -> None:
    project = with_one_more(template, tmp_path / "project", "from mnist.extra import K")
    refused(project, "python", "-m", "mnist", "check")
    lock = (project.path / "dvc.lock").read_bytes()
    refused(project, "dvc", "repro")
    assert (project.path / "dvc.lock").read_bytes() == lock
    project.edit("      - mnist/metrics.py\n", "      - mnist/extra.py\n      - mnist/metrics.py\n", "dvc.yaml")
    project.mnist("check")
    assert project.repro()[0] == "evaluate"
    project.edit("K = 2", "K = 3", "mnist/extra.py")
    assert "evaluate" in project.succeed("dvc", "status")


@pytest.mark.slow
def test_a_module_that_no_import_statement_names_is_refused_at_the_end_of_the_stage(
    template: Project, tmp_path: Path
) -> None:
    statement = "import importlib\nK = importlib.import_module('mnist.extra').K"
    project = with_one_more(template, tmp_path / "project", statement)
    before = project.hashes()
    refused(project, "python", "-m", "stages.evaluate")
    assert project.hashes() == before
