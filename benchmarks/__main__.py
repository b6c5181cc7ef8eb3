"""Measure what the README promises, and write it to benchmarks/results.md: python -m benchmarks [PART…]

A part has a section of that file, and one that is measured alone leaves the others as they are. Without an argument,
all parts are measured but queue and sharing, which take six minutes each. `recipes [NAME…]`, half an hour, writes the
README's table instead.
"""

import datetime as dt
import importlib.metadata
import json
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mnist import numerics

numerics.pin(threads=1)

from benchmarks import figures, loops, pictures, pipeline, processes, recipes, serving, sharing  # noqa: E402
from benchmarks.figures import Figure  # noqa: E402
from pipeline.processes import cores  # noqa: E402

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results.md"
SCALES = (1, 10, 100)
TURNS = 3
LARGEST = 6 << 30  # bytes on disk at the largest scale


def main(names: list[str]) -> None:
    """Run these parts in a clone of the current commit, and keep what each of them measures."""
    if names[:1] == ["recipes"]:
        check_committed()
        recipes.measure(names[1:])
        return
    if unknown := [name for name in names if name not in PARTS]:
        raise SystemExit(f"error: {unknown[0]}: no part of the benchmark; the parts are recipes, {', '.join(PARTS)}")
    check_committed()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        project = pipeline.clone(ROOT, Path(folder, "project"))
        pipeline.run(project, "dvc", "repro")
        for name in names or [name for name in PARTS if name not in LONGER]:
            start = time.perf_counter()
            measured = figures.markdown(PARTS[name](project, Path(folder)))
            print(measured, flush=True)
            text = f"{heading(time.perf_counter() - start)}\n{measured}"
            RESULTS.write_text(placed(RESULTS.read_text("utf-8"), name, text), "utf-8")


def check_committed() -> None:
    """Exit if a clone would not have the working tree's code and parameters."""
    if pipeline.run(ROOT, "git", "status", "--porcelain", "*.py", "dvc.*", "params.yaml", "recipes"):
        raise SystemExit("there are changes that are not committed, and a clone is what is measured: commit them first")


def placed(results: str, name: str, text: str) -> str:
    """Results with another section of this name, the sections in the order of the parts."""
    first, *sections = results.split("\n## ")
    by_name = dict(section.split("\n\n", 1) for section in sections) | {name: text}
    return first + "".join(f"\n## {part}\n\n{by_name[part]}" for part in PARTS if part in by_name)


def scale(project: Path, folder: Path) -> list[Figure]:
    """Time and memory at multiples of MNIST, which take turns: each is written, measured and removed."""
    if (free := shutil.disk_usage(folder).free) < LARGEST:
        print(f"scale: left out, as {folder} has {free / 1e9:.1f} GB free, and {LARGEST / 1e9:.1f} are needed")
        return []
    pipeline.run(project, "python", "-m", "mnist", "recipe", "article")
    pipeline.run(project, "dvc", "repro", "normalise")
    turns = [[scaled(project, folder / "scaled", multiple) for multiple in SCALES] for _ in range(TURNS)]
    sides = dict(zip(SCALES, zip(*turns, strict=True), strict=True))
    times = {multiple: [each["seconds"] for each in side] for multiple, side in sides.items()}
    memory = {multiple: [each["anonymous"] for each in side] for multiple, side in sides.items()}
    small, large = SCALES[0], SCALES[-1]
    return [
        *(Figure(f"an image at {k}×", [1e6 * each for each in times[k]], "µs", note=f"{k * 60_000:,} images")
          for k in SCALES),
        *(Figure(f"anonymous memory at {k}×", memory[k], "MB") for k in SCALES),
        Figure("an image at 100× ÷ at 1×", figures.ratios(times[large], times[small]), "", "≤ 1.15", "1.0"),
        Figure(
            "anonymous memory at 100× − at 1×", [a - b for a, b in zip(memory[large], memory[small], strict=True)],
            "MB", "≤ 100", "0", f"a permutation takes {8 * 60_000 * (large - 1) / 1e6:.2f} MB more",
        ),
    ]  # fmt: skip


def scaled(project: Path, folder: Path, multiple: int) -> dict[str, float]:
    """Time and memory at a multiple of MNIST, which is there only meanwhile."""
    found: dict[str, float] = json.loads(
        pipeline.run(project, "python", "-m", "benchmarks.scale", str(folder), str(multiple))
    )
    shutil.rmtree(folder)
    return found


def heading(seconds: float) -> str:
    """When, where, with what and in what time the figures of a part were taken."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "numpy", "dvc"))
    return (
        f"{dt.datetime.now(tz=dt.UTC).date()}, {cores()} cores of {cpu[1] if cpu else platform.processor()}, "
        f"Python {platform.python_version()}, {versions}; {seconds / 60:.1f} minutes.\n"
    )


PARTS: dict[str, Callable[[Path, Path], list[Figure]]] = {  # each of a project that has run, and a folder for more
    "pipeline": pipeline.figures,
    "comparing": pipeline.comparing,
    "serving": serving.figures,
    "queue": pipeline.queue,
    "sharing": sharing.figures,
    "loops": loops.figures,
    "scale": scale,
    "processes": processes.figures,
    "pictures": pictures.figures,
}
LONGER = {"queue", "sharing"}

if __name__ == "__main__":
    main(sys.argv[1:])
