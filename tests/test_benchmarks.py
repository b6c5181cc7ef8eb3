"""The benchmark's table says of each row what it is, and which of them miss what they should reach."""

import psutil
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import figures, scale
from benchmarks.figures import Figure
from tests.conftest import ROOT


def table(text: str) -> dict[str, list[str]]:
    """The cells of each row of a Markdown table after its first, which is the key."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if "|" in line]
    return {name: cells for name, *cells in rows[2:]}


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


def test_memory_is_in_the_megabytes_that_its_parts_are_in() -> None:
    memory = psutil.Process().memory_info()
    assert scale.anonymous() == pytest.approx((memory.rss - memory.shared) / 1e6, rel=0.01)


def test_the_heading_says_what_the_mark_means() -> None:
    assert figures.MISSED in benchmarks.heading(60)
