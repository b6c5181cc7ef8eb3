"""Measure what the README promises, and write it to benchmarks/results.md: python -m benchmarks [PART…]

Parts: loops, pipeline, comparing, serving, scale, processes, pictures; all of them without an argument. Three take
longer and are not among them: queue and sharing, six minutes each; and recipes [NAME…], half an hour, which writes the
README's table instead.
"""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from mnist import numerics

numerics.pin(threads=1)

from benchmarks import figures, loops, pictures, pipeline, processes, recipes, serving, sharing  # noqa: E402
from benchmarks.figures import Figure  # noqa: E402

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results.md"
SCALES = (1, 10, 100)
LARGEST = 6 << 30  # bytes on disk at the largest scale


def main(parts: list[str]) -> None:
    """Run the parts in a clone of the current commit, and print their table."""
    start = time.perf_counter()
    if pipeline.run(ROOT, "git", "status", "--porcelain", "*.py", "dvc.*", "params.yaml", "recipes"):
        raise SystemExit("there are changes that are not committed, and a clone is what is measured: commit them first")
    if parts[0] == "recipes":
        recipes.measure(parts[1:])
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        rows: list[Figure] = []
        project = pipeline.clone(ROOT, folder / "project")
        if "pipeline" in parts:
            rows += pipeline.from_nothing(ROOT, folder)
        pipeline.run(project, "dvc", "repro")
        if "pipeline" in parts:
            rows += pipeline.nothing_to_do(project, folder)
        if "comparing" in parts:
            rows += pipeline.comparing(project)
        if "serving" in parts:
            rows += serving.figures(project)
        if "queue" in parts:
            rows += pipeline.queue(project, folder)
        if "sharing" in parts:
            rows += sharing.figures(project, folder)
        os.chdir(project)
        if "loops" in parts:
            pipeline.run(project, "python", "-m", "mnist", "recipe", "article")
            pipeline.run(project, "dvc", "repro", "normalise")
            rows += loops.figures()
        if "scale" in parts:
            rows += scale(project, folder)
        if "processes" in parts:
            rows += processes.figures(project, folder)
        os.chdir(ROOT)
        if "pictures" in parts:
            rows += pictures.figures(folder)
    text = figures.markdown(rows)
    print(text)
    if parts == PARTS:
        RESULTS.write_text(f"{heading(time.perf_counter() - start)}\n{text}", "utf-8")


def scale(project: Path, folder: Path) -> list[Figure]:
    """Time and memory at multiples of MNIST, of which each is written, measured and removed."""
    if (free := shutil.disk_usage(folder).free) < LARGEST:
        print(f"scale: left out, as {folder} has {free / 1e9:.1f} GB free, and {LARGEST / 1e9:.1f} are needed")
        return []
    pipeline.run(project, "python", "-m", "mnist", "recipe", "article")
    pipeline.run(project, "dvc", "repro", "normalise")
    found = {}
    for multiple in SCALES:
        printed = pipeline.run(project, "python", "-m", "benchmarks.scale", str(folder / "scaled"), str(multiple))
        found[multiple] = json.loads(printed)
        shutil.rmtree(folder / "scaled")
    small, large = found[SCALES[0]], found[SCALES[-1]]
    return [
        *(Figure(f"an image at {k}×", [1e6 * found[k]["seconds"]], "µs", note=f"{k * 60_000:,} images")
          for k in SCALES),
        *(Figure(f"anonymous memory at {k}×", [found[k]["anonymous"]], "MB") for k in SCALES),
        Figure("an image at 100× ÷ at 1×", [large["seconds"] / small["seconds"]], "", "≤ 1.15", "1.0"),
        Figure(
            "anonymous memory at 100× − at 1×", [large["anonymous"] - small["anonymous"]], "MB", "≤ 100", "0",
            f"a permutation takes {8 * 60_000 * (SCALES[-1] - 1) / 1e6:.2f} MB more",
        ),
    ]  # fmt: skip


def heading(seconds: float) -> str:
    """Where, with what and in what time the figures were taken."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "numpy", "dvc"))
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (
        f"# Measured by `make bench` on {dt.datetime.now(tz=dt.UTC).date()}\n\n"
        f"{os.cpu_count()} cores of {cpu[1] if cpu else platform.processor()}, Python {platform.python_version()}, "
        f"{versions}; {seconds / 60:.0f} minutes. "
        "Sides of a ratio take turns; machines are noisy, ratios less so than seconds. "
        f"No process took more than {memory * 1024 / 1e9:.1f} GB, mapped files included. "
        f"Rows with {figures.MISSED} do not reach what they should.\n"
    )


PARTS = ["loops", "pipeline", "comparing", "serving", "scale", "processes", "pictures"]

if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
