"""Time and memory by the size of the data set: python -m benchmarks.scale FOLDER MULTIPLE

Writes MNIST MULTIPLE times over into FOLDER as `normalise` would, trains on it and prints a JSON object: seconds an
image, from the first of its steps to the last, and the most anonymous memory (RssAnon) of the process, in MB.
"""

import dataclasses
import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from mnist import dataset, numerics
from mnist.commands import settings

STEPS = 15_000  # at each scale, so that noise has the same say in all
SAMPLED_EVERY = 500


def multiply(source: Path, target: Path, multiple: int) -> None:
    """The data set of `source` with the training and test images `multiple` times, in order, again and again."""
    target.mkdir(exist_ok=True)
    found = dataset.statistics(source)
    counts = {split: {name: multiple * n for name, n in classes.items()} for split, classes in found.counts.items()}
    for split in ("train", "test"):
        for what in ("images", "labels"):
            array = dataset.array(source / f"{split}_{what}.npy")
            shape = (multiple * len(array), *array.shape[1:])
            out = np.lib.format.open_memmap(target / f"{split}_{what}.npy", "w+", np.uint8, shape)
            for k in range(multiple):
                out[k * len(array) : (k + 1) * len(array)] = array
    statistics = dataclasses.asdict(dataclasses.replace(found, counts=counts))
    (target / "statistics.json").write_text(json.dumps(statistics))


def anonymous() -> float:
    """The process's anonymous memory, in MB."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024 / 1e6  # the kernel's kB are 1024 bytes


def main(folder: Path, multiple: int) -> None:
    chosen = settings.read().train.model_copy(update={"epochs": STEPS})  # more than it gets to
    numerics.pin(chosen.threads)
    from mnist import models, training
    from pipeline import resume

    multiply(dataset.FOLDER, folder, multiple)
    split = dataset.load("train", folder)
    model, _ = models.create(chosen, dataset.statistics(folder))
    most, step, first = 0.0, 0, 0.0

    def advance(_: int) -> None:
        nonlocal most, step, first
        step += 1
        first = first or time.perf_counter()
        if step % SAMPLED_EVERY == 0:
            most = max(most, anonymous())
        if step == STEPS:
            seconds = (time.perf_counter() - first) / (STEPS - 1) / chosen.batch_size
            print(json.dumps({"seconds": seconds, "anonymous": most}))
            sys.exit()

    training.train(model, chosen, split, None, resume.Checkpoint(None), advance=advance)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
