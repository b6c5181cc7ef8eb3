"""From raw data to what training reads: a stratified split into training and validation images, and statistics."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from mnist import raw
from mnist.dataset import Array, Numbers, Statistics, at_once
from pipeline.errors import InputError

CHANNELS = ("red", "green", "blue")


def normalise(
    source: Path,
    folder: Path,
    validation: int,
    seed: int,
    mean: Numbers | Literal["auto"],
    std: Numbers | Literal["auto"],
) -> Statistics:
    """Split the data set of `source`, write each split's arrays and `statistics.json` into `folder`.

    A data set's own validation images are used as such; else so many of the training images are held out.
    `auto` stands for the mean or standard deviation of the training split alone, so nothing is learnt from the rest.
    Of images in colour each channel has its own. Raises InputError if `validation` leaves nothing to train on.
    """
    description, images, labels = raw.load(source)
    check_channels(images["train"].shape[1:], mean=mean, std=std)
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
        mean=per_channel(mean, fitted_mean),
        std=per_channel(std, fitted_std),
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


def check_channels(shape: tuple[int, ...], **chosen: Numbers | str) -> None:
    """Raise InputError if a number for each channel is given for images, (height, width), that have one."""
    for name, value in chosen.items():
        if isinstance(value, list) and len(shape) == 2:
            raise InputError(
                f"params.yaml: normalise.{name}: a number for each channel, and the images are grey; set one number, "
                "or dataset.channels to 3"
            )


def per_channel(chosen: Numbers | Literal["auto"], fitted: Numbers) -> Numbers:
    """What a mean or standard deviation of params.yaml stands for: one number of grey images, three of colours."""
    if chosen == "auto":
        return fitted
    return [chosen] * len(fitted) if isinstance(fitted, list) and isinstance(chosen, float) else chosen


def check_spread(std: Numbers) -> None:
    """Raise InputError if pixels do not differ, so the standard deviation is 0."""
    if 0 in (each := std if isinstance(std, list) else [std]):
        where = f" in {CHANNELS[each.index(0)]}" if len(each) > 1 else ""
        raise InputError(
            f"normalise.std: auto: all training pixels are the same{where}; set a number or fix the images"
        )


def gather(array: Array, index: Array, path: Path) -> None:
    """Write `array[index]` as a .npy file, a chunk in memory at a time."""
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": (len(index), *array.shape[1:])}
    with path.open("wb") as out:  # writing to a mapped file, a full disk would end the process without a word
        np.lib.format.write_array_header_1_0(out, header)
        for chunk in raw.chunks(array, index):
            out.write(chunk.tobytes())


def moments(images: Array) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of pixels in 0…1, of colours by channel.

    The same on every machine as they are computed in integers.
    """
    channels = images.shape[3] if images.ndim == 4 else 1
    histograms = np.zeros((channels, 256), np.int64)
    rows = at_once(images[:1].nbytes)
    for start in range(0, len(images), rows):
        shades = images[start : start + rows].reshape(-1, channels)
        for k in range(channels):
            histograms[k] += np.bincount(shades[:, k], minlength=256)
    means, deviations = map(list, zip(*map(of_shades, histograms.tolist()), strict=True))
    return (means, deviations) if images.ndim == 4 else (means[0], deviations[0])


def of_shades(histogram: list[int]) -> tuple[float, float]:
    """Mean and standard deviation of one channel, from how many pixels have each of its 256 shades."""
    count, total, squares = (sum(value**power * n for value, n in enumerate(histogram)) for power in range(3))
    return total / (255 * count), math.sqrt(count * squares - total**2) / (255 * count)
