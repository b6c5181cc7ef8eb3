"""From raw data to what training reads: a stratified split into training and validation images, and statistics."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from mnist import raw
from mnist.dataset import Array, Statistics
from pipeline.errors import InputError


def normalise(
    source: Path, folder: Path, validation: int, seed: int, mean: float | Literal["auto"], std: float | Literal["auto"]
) -> Statistics:
    """Split the data set of `source`, write each split's arrays and `statistics.json` into `folder`.

    A data set's own validation images are used as such; else so many of the training images are held out.
    `auto` stands for the mean or standard deviation of the training split alone, so nothing is learnt from the rest.
    Raises InputError if `validation` leaves nothing to train on.
    """
    description, images, labels = raw.load(source)
    splits = divided(labels, validation, seed)
    for split, (part, index) in splits.items():
        if len(index):
            gather(images[part], index, folder / f"{split}_images.npy")
            gather(labels[part], index, folder / f"{split}_labels.npy")
    fitted_mean, fitted_std = moments(np.load(folder / "train_images.npy", mmap_mode="r"))
    statistics = Statistics(
        name=description.name,
        classes=description.classes,
        handwriting=description.handwriting,
        image_shape=images["train"].shape[1:],
        mean=fitted_mean if mean == "auto" else mean,
        std=fitted_std if std == "auto" else std,
        counts={
            split: {
                name: int(count)
                for name, count in zip(
                    description.classes,
                    np.bincount(labels[part][index], minlength=len(description.classes)),
                    strict=True,
                )
            }
            for split, (part, index) in splits.items()
        },
    )
    check_spread(statistics.std)
    text = json.dumps(asdict(statistics), indent=2, ensure_ascii=False)
    (folder / "statistics.json").write_text(text + "\n", "utf-8")
    return statistics


def divided(labels: dict[str, Array], validation: int, seed: int) -> dict[str, tuple[str, Array]]:
    """For each split, the part of the raw data that it comes from, and which of its images it has."""
    whole = {part: np.arange(len(each)) for part, each in labels.items()}
    if "validation" in whole:
        return {split: (split, whole[split]) for split in ("train", "validation", "test")}
    check_validation(validation, len(labels["train"]))
    held_out = raw.stratified(labels["train"], validation, seed)
    return {
        "train": ("train", np.flatnonzero(~held_out)),
        "validation": ("train", np.flatnonzero(held_out)),
        "test": ("test", whole["test"]),
    }


def check_validation(validation: int, count: int) -> None:
    """Raise InputError if holding out so many of `count` images leaves none."""
    if validation >= count:
        raise InputError(
            f"params.yaml: normalise.validation: {validation:,} of {count:,} training images leaves none to train on; "
            "set it lower"
        )


def check_spread(std: float) -> None:
    """Raise InputError if pixels do not differ, so the standard deviation is 0."""
    if std == 0:
        raise InputError("normalise.std: auto: all training pixels are the same; set a number or fix the images")


def gather(array: Array, index: Array, path: Path) -> None:
    """Write `array[index]` as a .npy file, a chunk in memory at a time."""
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": (len(index), *array.shape[1:])}
    with path.open("wb") as out:  # writing to a mapped file, a full disk would end the process without a word
        np.lib.format.write_array_header_1_0(out, header)
        for chunk in raw.chunks(array, index):
            out.write(chunk.tobytes())


def moments(images: Array) -> tuple[float, float]:
    """Mean and standard deviation of pixels in 0…1, the same on every machine as they are computed in integers."""
    histogram = np.zeros(256, np.int64)
    for start in range(0, len(images), raw.CHUNK):
        histogram += np.bincount(images[start : start + raw.CHUNK].ravel(), minlength=256)
    count, total, squares = (sum(value**power * n for value, n in enumerate(histogram.tolist())) for power in range(3))
    return total / (255 * count), math.sqrt(count * squares - total**2) / (255 * count)
