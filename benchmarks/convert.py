"""Pictures by class: python -m benchmarks.convert FOLDER [COUNT]

Writes COUNT PNG files (70,000) by class into FOLDER, converts them with one process and with all cores, and prints
images per second and the most memory. Then, in a project of its own, what `dvc repro` takes with nothing to do, beside
a project of DVC alone that depends on the same folder. Several minutes.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import in_turn
from benchmarks.pipeline import clone, run
from mnist import idx
from mnist.formats import sources
from mnist.formats.parts import Options
from mnist.raw import IMAGES, LABELS

ROOT = Path(__file__).parents[1]


def write(folder: Path, count: int) -> None:
    """So many PNG files by class: MNIST's training images, again and again."""
    folder.with_name("idx").mkdir(parents=True, exist_ok=True)
    arrays = []
    for name, dimensions in ((IMAGES["train"], 3), (LABELS["train"], 1)):
        idx.unpack(ROOT / f"data/mnist/{name}.gz", folder.with_name("idx") / name, dimensions)
        arrays.append(np.array(idx.read(folder.with_name("idx") / name, dimensions)))
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
    for k in range(count):
        image, label = (array[k % len(array)] for array in arrays)
        Image.fromarray(image).save(folder / f"{label}/{k:06}.png")


def convert(folder: Path, processes: int) -> tuple[float, float]:
    """Images a second and megabytes, of a process that does nothing else."""
    code = f"from benchmarks import convert; convert.measured({str(folder)!r}, {processes})"
    done = subprocess.run([sys.executable, "-c", f"if __name__ == '__main__': {code}"], cwd=ROOT, check=True,
                          capture_output=True, text=True)  # fmt: skip
    rate, memory = map(float, re.findall(r"[\d.]+", done.stdout.splitlines()[-1]))
    return rate, memory


def measured(folder: str, processes: int) -> None:
    """Convert a folder and print what it took."""
    target = Path(folder).with_name(f"raw{processes}")
    target.mkdir()
    start = time.perf_counter()
    sources.copy(Path(folder), target, options=Options(processes=processes))
    seconds = time.perf_counter() - start
    count = sum(len(idx.read(target / name, 1)) for name in LABELS.values())
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(count / seconds, most * 1024 / 1e6)
    shutil.rmtree(target)


def nothing_to_do(data: Path, folder: Path) -> tuple[float, float]:
    """Median seconds of `dvc repro` with nothing to do: of the pipeline on a folder of data, and of DVC alone."""
    project = clone(ROOT, folder / "project")
    text = (project / "params.yaml").read_text("utf-8").replace("path: data/mnist ", f"path: {data} ")
    (project / "params.yaml").write_text(re.sub("epochs: [0-9]+", "epochs: 1", text), "utf-8")
    alone = folder / "alone"
    alone.mkdir()
    run(alone, "git", "init", "-q")
    run(alone, "dvc", "init", "-q")
    (alone / "dvc.yaml").write_text(f"stages: {{one: {{cmd: 'true', deps: [{data}]}}}}")
    for each in (project, alone):
        run(each, "dvc", "config", "core.analytics", "false")
        run(each, "dvc", "repro")
    ours, floor = in_turn([lambda: run(project, "dvc", "repro"), lambda: run(alone, "dvc", "repro")], 5)
    return sorted(ours)[2], sorted(floor)[2]


def main(folder: Path, count: int) -> None:
    data = folder / "png"
    write(data, count)
    for processes in sorted({1, len(os.sched_getaffinity(0))}):
        rate, memory = convert(data, processes)
        print(f"{count:,} PNG files, {processes} processes: {rate:,.0f} images/s, {memory:.0f} MB")
    ours, floor = nothing_to_do(data, folder)
    print(f"`dvc repro` with nothing to do: {ours:.2f} s; of DVC alone on that folder: {floor:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 70_000)
