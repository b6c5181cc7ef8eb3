"""The benchmark's table says of each row what it is, and which of them miss what they should reach."""

import http.client
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import attacks, figures, pictures, pipeline, recipes, scale, serving
from benchmarks.figures import Figure
from mnist.commands import fingerprint
from tests.conftest import RECIPES, ROOT, Project, needs_recipe


def table(text: str) -> dict[str, list[str]]:
    """The cells of each row of Markdown tables after its first, which is the key."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if "|" in line]
    return {name: cells for name, *cells in rows if name not in ("what", "---")}


@pytest.mark.parametrize(
    ("values", "unit", "reach", "missed"),
    [
        ([2.51], "s", "≤ 2.5", True),
        ([2.5], "s", "≤ 2.5", False),
        ([1.0, 3.0, 9.0], "s", "≤ 2.5 s", True),
        ([1.0, 2.0, 9.0], "s", "≤ 2.5 s", False),
        ([7.99], "", "≥ 8", True),
        ([8.0, 8.5], "", "≥ 8", False),
        ([98.9, 99.0], "%", "≥ 99.0 %", True),
        ([99.1], "%", "≥ 99.0 %", False),
        ([1e9], "s", "", False),
    ],
)
def test_a_row_is_marked_if_its_median_misses_its_figure(
    values: list[float], unit: str, reach: str, missed: bool
) -> None:
    (cells,) = table(figures.markdown([Figure("made up", values, unit, reach, "≤ 0")])).values()
    assert cells[3] == (f"{reach}, **missed**" if missed else reach)


def test_what_was_measured_is_marked_where_it_misses() -> None:
    rows = table((ROOT / "benchmarks/results.md").read_text("utf-8"))
    assert len(rows) > 20
    for name, (median, _, _, reach, *_) in rows.items():
        value = float(median.split()[0].replace(",", ""))
        figure = Figure(name, [value], "", reach.removesuffix(f", {figures.MISSED}"))
        assert figure.missed == reach.endswith(figures.MISSED), name


def test_the_readme_has_the_means_of_the_runs_that_were_measured() -> None:
    readme = recipes.README.read_text("utf-8")
    assert recipes.table(readme, recipes.read()) == readme
    assert set(recipes.NAMES) == set(RECIPES)


MEASURED = sorted({run.recipe for run in recipes.read()})


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_recipe(name)) for name in MEASURED])
def test_what_was_measured_are_the_recipes_known_weights(name: str) -> None:
    (known,) = (row.fingerprint for row in fingerprint.known(ROOT / fingerprint.TABLE) if row.recipe == name)
    runs = [run for run in recipes.read() if run.recipe == name]
    assert [run.seed for run in runs] == list(range(len(runs)))
    assert runs[0].fingerprint == known, f"python -m benchmarks recipes {name}"
    assert len({run.fingerprint for run in runs}) == len(runs)


def test_a_row_of_the_table_is_a_mean_its_spread_and_its_seeds() -> None:
    runs = [recipes.Run("one", seed, accuracy, 200.0, 1.0, "") for seed, accuracy in enumerate((0.99, 0.98, 0.985))]
    text = "| `one` | what it is | 98 | 2 | 1 s |\n| `two` | what | 1 | 1 | 1 s |\n"
    assert recipes.table(text, runs) == text.replace("98 | 2 | 1 s", "98.50 ± 0.50 | 3 | 3.3 min", 1)
    assert recipes.row([recipes.Run("one", 0, 0.9, 7.4, 1.0, "")]) == ("90.00", "1", "7 s")


def test_memory_is_in_the_megabytes_that_its_parts_are_in() -> None:
    memory = psutil.Process().memory_info()
    assert scale.anonymous() == pytest.approx((memory.rss - memory.shared) / 1e6, rel=0.01)


def test_memory_of_a_command_is_not_that_of_the_process_that_starts_it(tmp_path: Path) -> None:
    large = b"x" * 500_000_000
    small, memory = pipeline.measured(tmp_path, "python", "-c", "print('said'); exit(3)")
    assert len(large) > 4e8
    assert (small.stdout.strip(), small.returncode) == ("said", 3)
    assert 1 < memory < 50


HOLDING = "data = b'x' * 200_000_000"
PARENT = f'import subprocess; subprocess.run(["python", "-c", "{HOLDING}"])'


@pytest.mark.parametrize("code", [HOLDING, PARENT])
def test_memory_of_a_command_is_that_of_its_largest_process(code: str, tmp_path: Path) -> None:
    done, memory = pipeline.measured(tmp_path, "python", "-c", code)
    assert (done.returncode, done.stdout) == (0, "")
    assert 200 < memory < 250


@pytest.mark.slow
def test_python_is_found_where_no_environment_is_active(template: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with serving.serving(template.path) as (_, port):
        assert port > 0
    status, (line,), _ = attacks.predicted(template.path, template.path / "none.png")
    assert status == 1
    assert line.startswith(f"error: {template.path}/none.png: no such file")


def test_requests_that_fail_are_counted_and_have_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = itertools.cycle([http.client.BadStatusLine(""), http.client.IncompleteRead(b""), OSError(), 500, 200])
    asked: list[object] = []

    def ask(*_: object) -> tuple[int, float]:
        asked.append(turn := next(turns))
        if isinstance(turn, Exception):
            raise turn
        return turn, 0.1

    clock = SimpleNamespace(perf_counter=lambda: len(asked), sleep=lambda _: None)  # a second is a request
    for name, value in {"ask": ask, "CLIENTS": 2, "SECONDS": 20, "time": clock}.items():
        monkeypatch.setattr(serving, name, value)
    times, failed, _ = serving.under_load(psutil.Process(), 0, [b""])
    assert len(asked) >= 20
    assert set(times) == {0.1}
    assert len(times) == asked.count(200) == len(asked) - failed


def test_a_new_project_reports_nothing(tmp_path: Path) -> None:
    code = "from dvc import analytics; print(analytics.is_enabled())"
    assert pipeline.run(tmp_path, "python", "-c", code) == "False\n"


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_pictures_are_converted_by_one_and_by_all_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up = {
        "cores": lambda: cores,
        "unpacked": lambda *_: (np.zeros(5), np.zeros(5)),
        "write": lambda *_: None,
        "convert": lambda _folder, _beside, processes: (9000.0 * processes, 50.0),
        "piped": lambda *_: [],
    }
    for name, function in made_up.items():
        monkeypatch.setattr(pictures, name, function)
    rows = [row for row in pictures.figures(Path(), Path()) if row.what.startswith("MNIST")]
    by = {row.what.rpartition(" ")[2]: (row.values, row.reach) for row in rows}
    assert by == {"1": ([9000.0], "")} | {str(cores): ([9000.0 * cores], "≥ 8000")}


def test_scales_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def run(_: Path, *command: str) -> str:
        if "benchmarks.scale" not in command:
            return ""
        asked.append(int(command[-1]))
        Path(command[-2]).mkdir()
        return json.dumps({"seconds": 1e-5 * len(asked), "anonymous": 300 + asked[-1]})

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(benchmarks, "LARGEST", 0)
    rows = {row.what: row.values for row in benchmarks.scale(tmp_path, tmp_path)}
    assert asked == 3 * [1, 10, 100]
    assert rows["an image at 10×"] == pytest.approx([20, 50, 80])
    assert rows["an image at 100× ÷ at 1×"] == pytest.approx([3, 6 / 4, 9 / 7])
    assert rows["anonymous memory at 100× − at 1×"] == [99, 99, 99]
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_measured_again_replaces_its_section_alone() -> None:
    results = benchmarks.RESULTS.read_text("utf-8")
    first, last = "| `dvc repro` | 1 s |\n", "| converted | 2 s |\n"
    once = benchmarks.placed("# Measured\n", "pictures", last)
    both = benchmarks.placed(once, "pipeline", first)
    assert both == f"# Measured\n\n## pipeline\n\n{first}\n## pictures\n\n{last}"
    assert benchmarks.placed(both, "pictures", last) == both
    assert benchmarks.placed(results, "other", "") == results, "what was measured has a section of each part"
    assert figures.MISSED in results.split("\n## ")[0], "it says what the mark means"


def test_a_part_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        SystemExit, match=r"^error: picture: no part of the benchmark; the parts are recipes, pipeline,"
    ):
        benchmarks.main(["picture"])
