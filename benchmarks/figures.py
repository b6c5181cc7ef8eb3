"""How figures are taken and shown: sides that are compared take turns, and each comes with its spread."""

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A row of the table: the measured values, what is to be reached, and what is aimed at."""

    what: str
    values: list[float]
    unit: str
    reach: str = ""
    aim: str = ""
    note: str = ""

    def cells(self) -> list[str]:
        """The row as text: median, smallest to largest."""
        digits = 0 if min(self.values) >= 100 else 2 if min(self.values) >= 0.1 else 4
        middle = f"{statistics.median(self.values):,.{digits}f} {self.unit}".strip()
        spread = f"{min(self.values):,.{digits}f}–{max(self.values):,.{digits}f}" if len(self.values) > 1 else ""
        reach = f"{self.reach}, {MISSED}" if self.missed else self.reach
        return [self.what, middle, spread, str(len(self.values)), reach, self.aim, self.note]

    @property
    def missed(self) -> bool:
        """Whether the median is on the wrong side of what is to be reached, such as `≤ 2.5` or `≥ 99.0 %`."""
        bound = re.match(r"([≤≥]) ([\d.]+)", self.reach)
        if not bound:
            return False
        middle, limit = statistics.median(self.values), float(bound[2])
        return middle > limit if bound[1] == "≤" else middle < limit


MISSED = "**missed**"
HEADER = ["what", "median", "from–to", "n", "reach", "aim", "note"]


def seconds(function: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def in_turn(sides: list[Callable[[], object]], repetitions: int) -> list[list[float]]:
    """Seconds of each side, one after the other, again and again, so that a noisy moment meets all of them."""
    times = [[seconds(side) for side in sides] for _ in range(repetitions)]
    return [list(column) for column in zip(*times, strict=True)]


def ratios(above: list[float], below: list[float]) -> list[float]:
    """The ratio of each turn."""
    return [a / b for a, b in zip(above, below, strict=True)]


def markdown(rows: list[Figure]) -> str:
    """The figures as a Markdown table; what is missed of what is to be reached is marked."""
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
