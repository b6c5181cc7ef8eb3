"""What a command's surroundings may do to it: a line at most, and never a traceback."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from pipeline import console
from tests.conftest import ROOT, Project

COMPARE = "python -m mnist compare HEAD HEAD"


CLOSED = "exec 3> >(true); wait $!"  # a pipe that nobody reads any more


def shell(project: Project, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return project.run("bash", "-c", f"set -o pipefail; {command}", **environment)


CARELESS = """
from pipeline import console
app = console.application()
@app.command()
def careless():
    from scipy import stats
    print(stats.ttest_ind([0.9, 0.9], [0.8, 0.82], equal_var=False).pvalue < 1)
console.main(app)
"""


@pytest.mark.parametrize("action", ["error", "error::RuntimeWarning", "default", "ignore"])
def test_a_warning_of_a_library_is_a_line_whatever_python_is_told(action: str, tmp_path: Path) -> None:
    done = Project(tmp_path).run("python", "-c", CARELESS, PYTHONWARNINGS=action, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    assert [line[:23] for line in done.stderr.splitlines()] == ["warning: Precision loss"] * (action != "ignore")


NATIVE = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except BaseException:
    os.abort()  # as C++ does on an exception that it does not expect
"""


def test_ctrl_c_amid_the_import_of_a_library_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "native.py").write_text(NATIVE)
    importing = CARELESS.replace("from scipy import stats", "import native")
    done = Project(tmp_path).run("python", "-c", importing, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("megabytes", "command", "says"),
    [
        *((500, command, r"too little is free for this \(lib") for command in ("stages.train", "mnist fingerprint")),
        *(  # where loading SciPy would never end
            (300, command, "less than 450 MB can be had")
            for command in ("stages.evaluate", "mnist compare", "mnist leaderboard", "mnist recipe")
        ),
    ],
)
def test_too_little_memory_is_a_line(megabytes: int, command: str, says: str, project: Project) -> None:
    done = shell(project, f"ulimit -v {megabytes}000 -t 60; exec python -m {command}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.match(f"error: memory: {says}", line), line
    assert line.endswith("; end other programs, or allow more (`ulimit -v` says how much)")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["compare", "leaderboard"])
def test_with_the_memory_that_is_asked_for_no_command_hangs(command: str, project: Project) -> None:
    done = shell(project, f"ulimit -v 485000 -t 60; exec python -m mnist {command}", OPENBLAS_NUM_THREADS="64")
    assert (done.returncode, done.stderr) == (0, "") or re.match("error: memory: .*\n$", done.stderr), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("python -m mnist recipe > /dev/full", "No space left on device; make room on the disk"),
        ("python -m mnist --help > /dev/full", "No space left on device; make room on the disk"),
        ("python -m stages.normalise > /dev/full", "No space left on device; make room on the disk"),
        (f"{CLOSED}; python -m stages.normalise >&3", "Broken pipe; let what reads it read to the end"),
        (f"{CLOSED}; python -m mnist leaderboard --json >&3", "Broken pipe; let what reads it read to the end"),
    ],
)
def test_an_output_that_takes_nothing_is_a_line(command: str, says: str, project: Project) -> None:
    before = project.hashes()
    done = shell(project, command)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f"{says}\n")
    assert done.stderr.count("\n") == 1
    assert project.hashes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONWARNINGS": "error"},
        {"PYTHONHASHSEED": "7", "PYTHONDEVMODE": "0"},
    ],
    ids=str,
)
def test_what_python_is_told_costs_no_answer(environment: dict[str, str], project: Project) -> None:
    done = shell(project, COMPARE, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "A and B are right on the same 300 images." in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_is_what_every_parser_takes_in_whatever_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    names = ["ü", "😀"]
    for name in names:
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(5):
            Image.new("L", (8, 8), 50 * k).save(tmp_path / "data" / name / f"{k}.png")
    command = ("python", "-m", "mnist", "look", "--json", "data")
    done = Project(tmp_path).run(*command, PYTHONIOENCODING=encoding, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["classes"]) == sorted(names)
    assert ("ü" in done.stdout) == (encoding == "utf-8")


def test_without_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with console.progress("training", 2000) as advance:
        advance(1000)
    monkeypatch.setattr(console, "QUIET", 0.0)
    with console.progress("training", 2000) as advance:
        advance(0)
        advance(1000)
        advance(1000)
    assert capsys.readouterr() == ("", "training: 0 of 2,000\ntraining: 1,000 of 2,000\n")
