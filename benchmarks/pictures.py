"""Many small pictures in colour, by class: python -m benchmarks pictures

MNIST's own images, and COUNT in colour, are converted from PNG files by one process and by all cores. Then, in a
project of its own, the pipeline runs on the many, and once more with nothing to do, beside a project of DVC alone that
depends on the same folder.
"""

import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, in_turn, seconds
from benchmarks.pipeline import clone, measured, run
from mnist import idx
from mnist.formats import sources
from mnist.formats.parts import COLOUR, Options
from mnist.raw import IMAGES, LABELS
from pipeline.processes import cores

ROOT = Path(__file__).parents[1]
FEW, COUNT = 20_000, 200_000
INKS = ((255, 80, 80), (80, 255, 80), (80, 80, 255))
KEYS = {
    r"path: data/mnist .*": "path: {}",
    "handwriting: true": "handwriting: false",
    r"# channels: null": "channels: 3",
    "epochs: [0-9]+": "epochs: 1",
}


def figures(_: Path, folder: Path) -> list[Figure]:
    """The rows of the table."""
    data, every = folder / "png", cores()
    whole = {split: unpacked(split, folder) for split in IMAGES}
    for split, (images, labels) in whole.items():
        write(folder / "mnist" / split, images, labels, range(len(images)))
    count = sum(len(labels) for _, labels in whole.values())
    rates = {processes: convert(folder / "mnist", folder, processes)[0] for processes in (1, every)}
    write(data, *whole["train"], range(FEW), INKS)
    _, memory_of_few = convert(data, folder, 1)
    write(data, *whole["train"], range(FEW, COUNT), INKS)
    files = f"{COUNT:,} pictures in colour"
    reach = {1: "", every: "≥ 8000"}  # one row where there is one core
    return [
        *(
            Figure(f"MNIST as {count:,} PNG files, converted by {processes}", [rate], "images/s", reach[processes])
            for processes, rate in rates.items()
        ),
        Figure(f"{files}, converted by {every}", [convert(data, folder, every)[0]], "images/s"),
        Figure(
            f"memory for that, one process − for {FEW:,}", [convert(data, folder, 1)[1] - memory_of_few], "MB", "≤ 200",
            note=f"the mapped file of images has {3 * whole['train'][0][0].size * (COUNT - FEW) / 1e6:.0f} MB more",
        ),
        *piped(data, folder, files),
    ]  # fmt: skip


def unpacked(split: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's images and labels of a split; the files that they come from are left in a folder."""
    arrays = []
    for names, dimensions in ((IMAGES, 3), (LABELS, 1)):
        idx.unpack(ROOT / f"data/mnist/{names[split]}.gz", folder / names[split], dimensions)
        arrays.append(np.array(idx.read(folder / names[split], dimensions)))
    return arrays[0], arrays[1]


def write(folder: Path, images: np.ndarray, labels: np.ndarray, numbers: range, inks: tuple[Any, ...] = (255,)) -> None:
    """PNG files of these numbers by class: the images, again and again, in inks that take turns."""
    for label in range(10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
    for k in numbers:
        image, ink = images[k % len(images)], np.array(inks[k % len(inks)], np.uint16)
        inked = (image[..., None] if ink.ndim else image) * ink // 255
        Image.fromarray(inked.astype(np.uint8)).save(folder / f"{labels[k % len(labels)]}/{k:06}.png")


def convert(folder: Path, beside: Path, processes: int) -> tuple[float, float]:
    """Images a second and megabytes, of a process that does nothing else."""
    code = f"from benchmarks import pictures; pictures.converted({str(folder)!r}, {str(beside)!r}, {processes})"
    done, memory = measured(ROOT, sys.executable, "-c", f"if __name__ == '__main__': {code}")
    if done.returncode:
        raise SystemExit(f"{folder} is not converted: {done.stderr}")
    return float(done.stdout.splitlines()[-1]), memory


def converted(folder: str, beside: str, processes: int) -> None:
    """Convert a folder and print how many images a second that were."""
    target = Path(beside, "raw")
    target.mkdir()
    options = Options(channels=COLOUR, processes=processes)
    took = seconds(lambda: sources.copy(Path(folder), target, options=options))
    print(sum(len(idx.read(target / name, 1)) for name in LABELS.values()) / took)
    shutil.rmtree(target)


def piped(data: Path, folder: Path, files: str) -> list[Figure]:
    """The pipeline on a folder of pictures: from nothing, and with nothing to do, beside DVC alone."""
    project = clone(ROOT, folder / "pictures")
    text = (project / "params.yaml").read_text("utf-8")
    for old, new in KEYS.items():
        text = re.sub(old, new.format(data), text)
    (project / "params.yaml").write_text(text, "utf-8")
    alone = folder / "alone"
    alone.mkdir()
    run(alone, "git", "init", "-q")
    run(alone, "dvc", "init", "-q")
    (alone / "dvc.yaml").write_text(f"stages: {{one: {{cmd: 'true', deps: [{data}]}}}}")
    run(alone, "dvc", "config", "core.check_update", "false")
    run(alone, "dvc", "repro")
    start = time.perf_counter()
    run(project, "dvc", "repro")
    whole = time.perf_counter() - start
    ours, floor = in_turn([lambda: run(project, "dvc", "repro"), lambda: run(alone, "dvc", "repro")], 5)
    more = [a - b for a, b in zip(ours, floor, strict=True)]
    return [
        Figure(f"`dvc repro` on {files}, one epoch", [whole], "s"),
        Figure("the same with nothing to do", ours, "s"),
        Figure("the same − DVC alone on that folder", more, "s", "≤ 1.5"),
    ]
