"""What recipes reach, as means over seeds: python -m benchmarks recipes [NAME…], in half an hour for all of them.

Trains each recipe with SEEDS seeds, one run at a time, writes what each run came to into RUNS, and means and standard
deviations into README.md. A name measures that recipe alone, and leaves the others as they are.
"""

import csv
import json
import re
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks import pipeline

ROOT = Path(__file__).parents[1]
RUNS, README = ROOT / "benchmarks/recipes.csv", ROOT / "README.md"
NAMES = ["default", "article", "mlp", "cnn", "best"]
SEEDS = 5


class Run(NamedTuple):
    """One training: its accuracy on the test images, seconds on the clock and of all processors, and its weights."""

    recipe: str
    seed: int
    accuracy: float
    seconds: float
    processor_seconds: float
    fingerprint: str


def measure(names: list[str]) -> None:
    """Train recipes in a clone of the current commit, and write what they reach, after each run."""
    known = read()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        project = pipeline.clone(ROOT, Path(folder, "project"))
        for name in names or NAMES:
            pipeline.run(project, "python", "-m", "mnist", "recipe", name)
            pipeline.run(project, "dvc", "repro", "normalise")
            found: list[Run] = []
            for seed in range(SEEDS):
                printed = pipeline.run(project, "python", "-m", "benchmarks.recipe", name, str(seed))
                found.append(Run(**json.loads(printed)))
                print(*found[-1], flush=True)
                write([*(run for run in known if run.recipe != name), *found])
            known = read()
    README.write_text(table(README.read_text("utf-8"), known), "utf-8")


def read() -> list[Run]:
    """The runs that were measured."""
    with RUNS.open(newline="", encoding="utf-8") as lines:
        return [
            Run(
                row["recipe"], int(row["seed"]), float(row["accuracy"]), float(row["seconds"]),
                float(row["processor_seconds"]), row["fingerprint"],
            )
            for row in csv.DictReader(lines)
        ]  # fmt: skip


def write(runs: list[Run]) -> None:
    """Keep the runs, in the order of the README's table."""
    with RUNS.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(Run._fields)
        rows.writerows(sorted(runs, key=lambda run: (NAMES.index(run.recipe), run.seed)))


def table(readme: str, runs: list[Run]) -> str:
    """A text with a table of recipes, the last three cells of each row as the runs have it."""
    for name in dict.fromkeys(run.recipe for run in runs):
        cells = " | ".join(row([run for run in runs if run.recipe == name]))
        readme = re.sub(rf"^(\| `{name}` \|[^|]*\|).*$", rf"\1 {cells} |", readme, flags=re.MULTILINE)
    return readme


def row(runs: list[Run]) -> tuple[str, str, str]:
    """Mean and standard deviation of the accuracy in per cent, the number of seeds, and the time of a training."""
    accuracies = [100 * run.accuracy for run in runs]
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(runs) > 1 else ""
    seconds = statistics.fmean(run.seconds for run in runs)
    time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
    return f"{statistics.fmean(accuracies):.2f}{spread}", str(len(runs)), time
