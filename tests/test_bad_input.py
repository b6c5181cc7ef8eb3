"""Whatever is wrong with an input: one line that names the place and the remedy, exit status 1 or 2, nothing harmed.

Each case harms a copy of a finished project, runs a command, and compares all files with what they were. Most run in
this process, through the very module that `python -m` runs; some run a second time as processes of their own. One in
three is in the fast part of the tests.
"""

# ruff: noqa: E501 – a row a case reads better than a screen a case

import ctypes
import hashlib
import os
import re
import shlex
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.cases import Case
from tests.cases.commands import COMMANDS, usage
from tests.cases.data_set import FOLDERS
from tests.cases.own_data import LOOKED_AT, OWN_DATA
from tests.cases.parameters import PARAMETERS
from tests.cases.results import RESULTS
from tests.cases.start import START
from tests.cases.versioned import VERSIONED
from tests.conftest import Project, run_inside

# git's and DVC's own; training's state, kept on purpose; Python's own
UNTOUCHED = {".git", "tmp", ".resume", "__pycache__"}


def identity(case: Case) -> str:
    """The name of a case among the tests."""
    return f"{case.command}: {case.name}"


def one_in(count: int, case: Case) -> bool:
    """Whether a case is among one in so many, chosen by its name alone."""
    return zlib.crc32(identity(case).encode()) % count == 0


CASES = [*PARAMETERS, *FOLDERS, *OWN_DATA, *RESULTS, *START, *VERSIONED, *COMMANDS, *usage()]
REPEATED = [case for case in CASES if one_in(48, case)]  # as real processes
REMEDIED = [case for case in CASES if case.remedy]
MARKED = [pytest.param(case, marks=() if one_in(3, case) else pytest.mark.slow) for case in CASES]


# what follows a semicolon: a command, a word of what to do, or the word that may be meant
REMEDY = re.compile(
    r"`[a-z]+( [^`]+)?`|\b(fix|fetch|set|put|move|remove|rename|choose|take|add|save|make|give|lower|quote|name|draw|cut|get|see|install"
    r"|leave|merge|unzip|gunzip|bunzip2|unxz)\b|did you mean|the keys here are|is it the right file|every (key|section) is needed"
)


def contents(root: Path) -> dict[str, str]:
    """Every file, folder and link of a project, but for what may change, with a digest of its content."""
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in UNTOUCHED]
        for name in {*folders, *names} - UNTOUCHED:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = digest(path)
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file, if it can be read; what else it is."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return "folder"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return "no access"


def check_refusal(case: Case, status: object, stderr: str) -> None:
    """Hold what a command has said against what it should have."""
    lines = stderr.splitlines()
    assert status == case.status, stderr
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: "), stderr
    assert len(lines[0]) < 6000, len(lines[0])
    assert re.search(case.says, lines[0]), stderr
    remedy = lines[0].partition("; ")[2]
    assert re.search(r"should be |\(see --help\)", lines[0]) or REMEDY.search(remedy), f"no remedy: {stderr}"
    assert all(f"`{command}`" in remedy for command in case.remedy), stderr


@pytest.mark.parametrize("case", LOOKED_AT, ids=identity)
def test_data_that_cannot_be_read_are_refused_in_one_line_by_look(case: Case, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    case.harm(tmp_path)
    before = contents(tmp_path)
    done = Project(tmp_path).inside(*shlex.split(case.command)[1:])
    check_refusal(case, done.returncode, done.stderr)
    assert contents(tmp_path) == before


@contextmanager
def without_privileges() -> Iterator[None]:
    """Let file permissions hold even for root: give up the two capabilities that override them, capabilities(7)."""
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)()  # linux/capability.h, version 3
    assert libc.capget(header, sets) == 0
    before = sets[0]  # the effective ones
    sets[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


@pytest.mark.parametrize("case", MARKED, ids=identity)
def test_bad_input_is_refused_in_one_line_and_nothing_is_harmed(
    case: Case, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.harm(project.path)
    monkeypatch.chdir(project.path)
    before = contents(project.path)
    with without_privileges() if "right to" in case.name else nullcontext():
        status = run_inside(case.command, monkeypatch)
    check_refusal(case, status, capsys.readouterr().err)
    assert contents(project.path) == before


@pytest.mark.slow
@pytest.mark.parametrize("case", REPEATED, ids=identity)
def test_bad_input_is_refused_by_a_real_process_too(case: Case, project: Project) -> None:
    case.harm(project.path)
    before = contents(project.path)
    done = project.run(sys.executable, "-m", *shlex.split(case.command))
    check_refusal(case, done.returncode, done.stderr)
    assert contents(project.path) == before


@pytest.mark.slow
@pytest.mark.parametrize("case", REMEDIED, ids=identity)
def test_the_remedy_that_is_named_is_one(
    case: Case, project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case.harm(project.path)
    monkeypatch.chdir(project.path)
    check_refusal(case, run_inside(case.command, monkeypatch), capsys.readouterr().err)
    for remedy in case.remedy:
        project.succeed("bash", "-c", remedy, **project.forking())  # zcat and rm: one goes on
    assert not run_inside(case.command, monkeypatch), capsys.readouterr().err


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(CASES) >= 120
    assert len(LOOKED_AT) + len(OWN_DATA) >= 80
    assert len({identity(case) for case in [*CASES, *LOOKED_AT]}) == len(CASES) + len(LOOKED_AT)


@pytest.mark.slow
def test_wrong_parameters_cost_no_result_even_without_the_check(project: Project) -> None:
    before = contents(project.path)
    project.edit("learning_rate: 0.003", "learning_rate: -1")
    assert project.run(sys.executable, "-m", "mnist", "check").returncode == 1
    done = project.run("dvc", "repro")
    assert done.returncode != 0
    assert "error: params.yaml: train.learning_rate: should be greater than 0, not -1" in done.stderr
    assert "Traceback" not in done.stderr
    project.succeed("git", "checkout", "-q", "params.yaml", "metrics")
    project.succeed("dvc", "checkout")  # dvc has removed the stage's outputs; its cache has them
    after = contents(project.path)
    assert {name: after.get(name) for name in before if not name.startswith(".dvc/tmp")} == {
        name: kept for name, kept in before.items() if not name.startswith(".dvc/tmp")
    }
