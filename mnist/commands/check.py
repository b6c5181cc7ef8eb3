"""Is everything fit to run? DVC deletes a stage's outputs before it can check anything; these checks run first."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnist import raw, splits
from mnist.commands import oddities, settings
from mnist.dataset import Array
from mnist.formats import sources
from pipeline import definition, files, git, imports, lock, params, pins, running, verify, yaml12
from pipeline.errors import InputError, command
from stages import download


def check() -> None:
    """Look for mistakes in params.yaml, the data folder and the cache before `dvc repro` deletes any output.

    Example: python -m mnist check && dvc repro
    """
    for line in findings():
        print(line)


def findings() -> Iterator[str]:
    """Check what the stages would, change nothing, and say in one line each what is in order. Raises InputError."""
    folder = verify.cache()
    running.writers()  # refuses damaged notes, as DVC would
    if empty := verify.unfinished(folder):
        raise InputError(
            f"{empty[0]}: empty, as when DVC was killed before it wrote what it knows of a run there, and `dvc repro` "
            f"fails on it; {command('rmdir', *empty)}"
        )
    tree = yaml12.read(params.FILE)
    chosen = settings.check(tree)
    yield f"{params.FILE}: ok"
    stages = definition.read().stages
    for name, entry in stages.items():
        definition.declared(name, entry, tree)
        imports.check(name, entry, imports.behind(entry.cmd))
    if chosen.train.start_from:
        from mnist import start  # seconds, for torch

        _, deps = definition.declared("train", definition.stage("train"), tree)
        definition.check_reads("train", deps, start.KEY, chosen.train.start_from)
        start.read(Path(chosen.train.start_from), chosen.train.model)
    if chosen.machine.processes > 1:
        from mnist import parts  # seconds, for torch

        parts.check(chosen.train.parts, chosen.machine.processes)
    if chosen.train.device == "cuda":
        from mnist import training  # seconds, for torch
        from pipeline import group

        training.check_device(chosen.train.device)
        group.check_gpus(chosen.train.device, chosen.machine.processes)
    if chosen.dataset.download:
        if not Path(chosen.dataset.path).exists():
            raise InputError(
                f"{params.FILE}: dataset.path: {chosen.dataset.path}: no such file or folder; DVC asks for it even "
                "where dataset.download is set: leave it at one that is there"
            )
        yield f"data: {chosen.dataset.download}, to be fetched"
    else:
        yield from look(chosen)
    for path in definition.given(stages, tree):
        if remedy := untracked(path):
            yield f"{path}: clones, `dvc exp run --temp` and `--queue` do not find it; {remedy}"
    pins.check_project()
    yield "libraries: as pinned"
    needed = verify.needed(folder)
    verify.check_graph()  # last, as DVC says less of what is wrong
    present = sum(path.exists() for path in needed)
    yield f"cache: {present} of {len(needed)} objects" + "; `dvc repro` makes the others" * (present < len(needed))


def untracked(name: str) -> str | None:
    """What to do so that the copies of the project that git and DVC make find a file or folder; None if they do."""
    path = Path(name)
    if path.is_absolute():
        return None
    if not path.resolve().is_relative_to(Path.cwd()):
        return "write its absolute path"
    with contextlib.suppress(InputError):  # where git cannot be asked, nothing is copied
        trackers = lock.trackers(path)
        if not git.run("ls-files", "--", *map(str, [path, *trackers])):
            tracked = next((each for each in trackers if each.is_file()), None)
            return f"commit {tracked}" if tracked else f"{command('dvc', 'add', path)}, or commit it"
    return None


def look(chosen: settings.Settings) -> Iterator[str]:
    """Convert the data set into a scratch folder, as `download` would, and say how many training images there are."""
    with files.locked(files.temporary() / "check.lock", "check"), files.scratch(Path("data/.check.partial")) as folder:
        found = sources.copy(Path(chosen.dataset.path), folder, options=download.options(chosen.dataset))
        every, labels = raw.arrays(folder)
        images = every["train"]
        splits.check_channels(images.shape[1:], mean=chosen.normalise.mean, std=chosen.normalise.std)
        if "validation" not in every:
            splits.check_validation(chosen.normalise.validation, len(images))
        if chosen.normalise.std == "auto":
            splits.check_spread(splits.moments(images)[1])
        check_training(chosen, labels, images.shape[1:])
        yield f"{chosen.dataset.path}: {len(images):,} training images, ok"
        if every.keys() == found.parts.keys():  # else its test images are some of its own
            yield from (line for line in oddities.repeated(found, every) if oddities.LEAKAGE in line)


def check_training(chosen: settings.Settings, labels: dict[str, Array], image_shape: tuple[int, ...]) -> None:
    """Raise InputError if what a training can be told beside its data does not fit the data."""
    if chosen.train.start_from:
        from mnist import start  # seconds, for torch

        start.read(Path(chosen.train.start_from), chosen.train.model, image_shape)
    part, index = splits.divided(labels, chosen.normalise.validation, chosen.normalise.seed)["train"]
    if chosen.train.model == "cnn":
        import torch  # seconds

        from mnist import models, parts

        height, width, *colours = image_shape
        channels = math.prod(colours)
        network = models.cnn(height, width, 2, channels)
        parts.check_passes(network, torch.zeros(1, channels, height, width), len(index), chosen.train)
    if chosen.train.class_weights:
        from mnist import losses

        counts = np.bincount(labels[part][index], minlength=int(labels[part].max()) + 1)
        losses.check_classes({str(k): int(count) for k, count in enumerate(counts)})
