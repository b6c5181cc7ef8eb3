"""One training by one process and by two: python -m benchmarks.processes FOLDER PARTS BATCH, alone or by torchrun

Trains `cnn` on the data set in FOLDER, a thread each, and prints a JSON object for each process: seconds a step, and
the most anonymous memory (RssAnon), in MB. `figures` sets that side by side.
"""

import json
import re
import statistics
import sys
import time
from pathlib import Path

from benchmarks.figures import Figure, ratios
from benchmarks.pipeline import run
from benchmarks.scale import anonymous, multiply
from mnist import dataset, numerics
from mnist.commands import settings

STEPS, WARM_UP = 130, 30
TURNS = 3
PARTS, BATCHES = 4, (128, 512)  # the recipe's own, and parts of that size
ALONE = ["python"]
TWO = ["torchrun", "--standalone", "--nproc-per-node", "2"]
LARGEST = 100  # times MNIST


class Enough(BaseException):
    """The steps that were to be timed are done."""


def figures(project: Path, folder: Path) -> list[Figure]:
    """The rows of the table, measured in a project whose data are normalised."""
    run(project, "python", "-m", "mnist", "recipe", "cnn")
    rows = [row for batch in BATCHES for row in steps(project, batch)]
    multiply(project / dataset.FOLDER, folder / "scaled", LARGEST)
    one, *several = (
        found["anonymous"]
        for start in (ALONE, TWO)
        for found in measured(project, folder / "scaled", PARTS, BATCHES[0], start)
    )
    return [
        *rows,
        Figure(f"anonymous memory of one of two at {LARGEST}× − of one alone", [max(several) - one], "MB", "≤ 50"),
    ]


def steps(project: Path, batch: int) -> list[Figure]:
    """How long a step takes: whole, and in parts by one process and by two."""
    sides = ((1, ALONE), (PARTS, ALONE), (PARTS, TWO))
    turns = [
        [measured(project, dataset.FOLDER, parts, batch, how)[0]["step"] for parts, how in sides] for _ in range(TURNS)
    ]
    whole, alone, two = ([1e3 * step for step in side] for side in zip(*turns, strict=True))
    what = f"`cnn`, {batch} images a step"
    return [
        Figure(f"{what}, whole", whole, "ms"),
        Figure(f"{what}, in {PARTS} parts by one process", alone, "ms"),
        Figure(f"{what}, in {PARTS} parts by two", two, "ms"),
        Figure(f"{what}: in {PARTS} parts ÷ whole, one process", ratios(alone, whole), "", "≤ 1.15"),
        Figure(f"{what}, in {PARTS} parts: throughput of 2 processes ÷ 1", ratios(alone, two), "", "≥ 1.7"),
    ]


def measured(project: Path, data: Path, parts: int, batch: int, start: list[str]) -> list[dict[str, float]]:
    """What each process says of a training."""
    printed = run(project, *start, "-m", "benchmarks.processes", str(data), str(parts), str(batch))
    return [json.loads(found) for found in re.findall("{.*?}", printed)]  # two may share a line


def main(folder: Path, parts: int, batch: int) -> None:
    more = {"parts": parts, "batch_size": batch, "epochs": STEPS}  # more epochs than it gets to
    chosen = settings.read().train.model_copy(update=more)
    numerics.pin(threads=1)
    from mnist import models, training
    from mnist.parts import ALONE
    from pipeline import group, resume

    moments: list[float] = []
    most = 0.0

    def advance(_: int) -> None:
        nonlocal most
        moments.append(time.perf_counter())
        most = max(most, anonymous()) if len(moments) % WARM_UP == 0 else most
        if len(moments) > STEPS:
            raise Enough

    with group.joined("train", {}, "cpu", 600) as peers:
        model, _ = models.create(chosen, dataset.statistics(folder))
        try:
            training.train(
                model, chosen, dataset.load("train", folder), None, resume.Checkpoint(None), advance=advance,
                group=peers or ALONE,
            )  # fmt: skip
        except Enough:
            steps = [later - one for one, later in zip(moments[WARM_UP:], moments[WARM_UP + 1 :], strict=False)]
    print(json.dumps({"step": statistics.mean(steps), "anonymous": most}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
