"""Is everything fit to run? DVC deletes a stage's outputs before it can check anything; these checks run first."""

import json
from collections.abc import Iterator
from pathlib import Path

from mnist import idx, raw, sources, splits
from mnist.commands import settings
from pipeline import definition, files, params, pins, verify, yaml12
from pipeline.errors import InputError

RUNNING = Path(".dvc/tmp/rwlock")  # where DVC notes what is being read and written, and by which process


def check() -> None:
    """Look for mistakes in params.yaml, the data folder and the cache before `dvc repro` deletes any output.

    Example: python -m mnist check && dvc repro
    """
    for line in findings():
        print(line)


def findings() -> Iterator[str]:
    """Check what the stages would, change nothing, and say in one line each what is in order. Raises InputError."""
    folder = verify.cache()
    check_running()
    tree = yaml12.read(params.FILE)
    chosen = settings.check(tree)
    yield f"{params.FILE}: ok"
    for name, entry in definition.read().stages.items():
        definition.declared(name, entry, tree)
    if chosen.train.device == "cuda":
        from mnist import training  # seconds, for torch

        training.check_device(chosen.train.device)
    if chosen.dataset.download:
        if not Path(chosen.dataset.folder).is_dir():
            raise InputError(
                f"{params.FILE}: dataset.folder: {chosen.dataset.folder}: no such folder; DVC asks for it even where "
                "dataset.download is set: leave it at one that is there"
            )
        yield f"data: {chosen.dataset.download}, to be fetched"
    else:
        yield f"{chosen.dataset.folder}: {look(chosen):,} training images, ok"
    pins.check_project()
    yield "libraries: as pinned"
    needed = verify.needed(folder)
    present = sum(path.exists() for path in needed)
    yield f"cache: {present} of {len(needed)} objects" + "; `dvc repro` makes the others" * (present < len(needed))


def check_running() -> None:
    """Raise InputError if DVC would refuse its own notes: it writes them in place, so a kill may cut them off."""
    try:
        json.loads(RUNNING.read_bytes())
    except FileNotFoundError:
        return
    except ValueError as error:
        raise InputError(
            f"{RUNNING}: not whole, as when DVC was killed while it wrote it; `rm {RUNNING}` when no dvc is running"
        ) from error


def look(chosen: settings.Settings) -> int:
    """Unpack the data folder into a scratch folder, as `download` would; returns the number of training images."""
    with files.locked(files.TEMPORARY / "check.lock", "check"), files.scratch(Path("data/.check.partial")) as folder:
        sources.copy(Path(chosen.dataset.folder), folder)
        images = idx.read(folder / raw.IMAGES["train"], 3)
        splits.check_validation(chosen.normalise.validation, len(images))
        if chosen.normalise.std == "auto":
            splits.check_spread(splits.moments(images)[1])
        if chosen.train.model == "cnn":
            from mnist import models  # seconds, for torch

            models.check_size(*images.shape[1:])
    return len(images)
