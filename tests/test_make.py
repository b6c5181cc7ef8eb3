"""Set-up: what `make` says when it cannot and when it has, and what it does when there is nothing to do."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT, Project

BARE: str = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in Project.environment().items() if "MAKE" not in name}  # of a `make test`
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=PATIENCE)


def python_saying(folder: Path, version: str) -> Path:
    """A `python` whose version is what we say."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec python3 -c "import sys; sys.version_info = {version}; $2"\n')
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("kind", ["missing", "older"])
def test_a_python_that_will_not_do_gets_one_line_that_says_what_is_needed(folder: Path, kind: str) -> None:
    python = python_saying(folder, "(3, 10, 9)") if kind == "older" else folder / "no-such-python"
    done = make(folder, "install", f"PYTHON={python}")
    assert done.returncode != 0
    said, by_make = done.stderr.splitlines()
    assert said.startswith("error: Python 3.11 or newer with venv is needed")
    assert by_make.startswith("make: ***")
    assert not (folder / ".venv").exists()


def test_an_environment_that_is_up_to_date_is_left_alone(folder: Path) -> None:
    (folder / ".venv").mkdir()
    (folder / ".venv/.installed").touch()
    done = make(folder, "install")
    assert (done.returncode, done.stdout) == (0, "make: Nothing to be done for 'install'.\n")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_page_tells_to_make_is_a_target(page: str, folder: Path) -> None:
    named = re.findall(r"`make ([^`]+)`", (ROOT / page).read_text("utf-8"))
    assert named
    done = make(folder, "--dry-run", *named)
    assert done.returncode == 0, done.stderr


def test_docs_is_a_command_and_not_the_folder_of_that_name(folder: Path) -> None:
    (folder / "docs").mkdir()
    assert make(folder, "--dry-run", "docs").stdout.splitlines()[-1] == "python -m tests.docs"


def wheel(folder: Path, version: str) -> None:
    """A library for pip to install that brings all those of this environment along, and the command `dvc`."""
    name = f"everything-{version}"
    files = ["everything.pth", f"{name}.dist-info/METADATA", f"{name}.dist-info/WHEEL", f"{name}.dist-info/RECORD"]
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: everything\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": "[console_scripts]\ndvc = dvc.cli:main\n",
        "RECORD": "".join(f"{file},,\n" for file in files),
    }
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        archive.writestr("everything.pth", sysconfig.get_path("purelib"))
        for file, content in info.items():
            archive.writestr(f"{name}.dist-info/{file}", content)


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run([BARE, "-c", "import typer"], capture_output=True, check=False).returncode == 0,
    reason="the Python that this environment was made with has the libraries itself",
)
def test_make_installs_what_is_missing_or_of_another_version_as_the_messages_say(
    project: Project, tmp_path: Path
) -> None:
    """Without a network: pip finds in a folder what requirements.txt asks for."""
    system = {"PATH": f"{Path(BARE).parent}:/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    environment = {**system, "PATH": f"{project.path}/.venv/bin:{system['PATH']}", "PYTHON": BARE}
    for version in ("1", "2"):
        wheel(tmp_path, version)
    (project.path / "requirements.txt").write_text("everything==1\n")
    said = project.run(BARE, "-m", "mnist", "check", **system).stderr
    made, activated = re.findall("`(.*?)`", said)
    assert said == f"{BARE} lacks this project's libraries: run `make`, then `source .venv/bin/activate`\n"
    project.succeed("bash", "-ec", f"{made}; {activated}; python -m mnist check", **system, PYTHON=BARE)
    project.edit('"filelock', '"everything==2", "filelock', "pyproject.toml")
    (project.path / "requirements.txt").write_text("everything==2\n")
    os.utime(project.path / ".venv/.installed", (0, 0))  # older than requirements.txt, whatever the clock's ticks
    said = project.run("python", "-m", "mnist", "check", **environment).stderr
    assert "development: pins everything==2, but 1 is installed; run `make` to install what is pinned" in said
    project.succeed("bash", "-ec", *re.findall("`(.*?)`", said), **environment)
    assert "libraries: as pinned" in project.succeed("python", "-m", "mnist", "check", **environment)


@pytest.mark.slow
def test_make_ends_with_what_came_out_and_what_to_do_next(project: Project) -> None:
    (project.path / "metrics/evaluate.json").unlink()
    done = make(project.path, "--old-file=.venv/.installed")
    assert done.returncode == 0, done.stdout + done.stderr
    *_, before, accuracy, picture, following = done.stdout.splitlines()
    assert before == ""
    measured = json.loads((project.path / "metrics/evaluate.json").read_text("utf-8"))
    shown = [f"{measured[name]:.4f}" for name in ("accuracy", "accuracy_low", "accuracy_high")]
    assert re.findall(r"\d\.\d{4}", accuracy) == shown
    (path,) = re.findall(r"metrics/\S+\.png", picture)
    assert (project.path / path).is_file()
    assert [
        words for words in ("source .venv/bin/activate", "params.yaml", "dvc repro") if words not in following
    ] == []
