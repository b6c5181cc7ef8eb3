"""Is everything fit to run? DVC deletes a stage's outputs before the stage can check anything; this is sooner."""

import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from mnist import idx, inputs, params, sources, splits, verify


def check() -> Iterator[str]:
    """Check what the first stages would, change nothing, and say in a line each what is well. Raises InputError."""
    chosen = params.load()
    yield f"{params.FILE}: ok"
    if chosen.train.device == "cuda":
        from mnist import training  # seconds, for torch

        training.check_device(chosen.train.device)
    if chosen.dataset.download:
        yield f"data: {chosen.dataset.download}, to be fetched"
    else:
        yield f"{chosen.dataset.folder}: {look(chosen):,} training images, ok"
    project = tomllib.loads(Path(inputs.PROJECT).read_text("utf-8"))["project"]
    for name, pins in {"dependencies": project["dependencies"], **project["optional-dependencies"]}.items():
        inputs.check_pins(f"{inputs.PROJECT}: {name}", pins)
    yield "libraries: as pinned"
    cache = verify.cache()
    needed = [cache / md5[:2] / md5[2:] for _, md5 in verify.outputs()]
    present = sum(path.exists() for path in needed)
    yield f"cache: {present} of {len(needed)} outputs" + "; `dvc repro` makes the others" * (present < len(needed))


def look(chosen: params.Params) -> int:
    """Unpack the data folder to nowhere, as `download` would; returns the number of training images."""
    Path("data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="data", prefix=".", suffix=".partial") as folder:
        sources.copy(Path(chosen.dataset.folder), Path(folder))
        count = len(idx.read(Path(folder) / sources.LABELS["train"], 1))
        splits.check_validation(chosen.normalise.validation, count)
    return count
