"""What a person should look at before training on a data set: it may be meant, and often is not."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist.formats.names import printable

if TYPE_CHECKING:
    from mnist.formats.parts import Found

Arrays = dict[str, Any]  # by split
SHOWN = 3  # cases of each kind
NAMES = {"train": "training"}
DARK = 64  # shades of 255 below which all pixels are when they count from 0 to 16, say
LEAKAGE = "images too: leakage"


def of(found: "Found", images: Arrays, labels: Arrays) -> list[str]:
    """A line for each kind of oddity of the images, uint8 (n, …), and labels of all splits."""
    return [*of_labels(found, labels), *of_images(found, images)]


def of_labels(found: "Found", labels: Arrays) -> Iterator[str]:
    """Labels that do not count from 0, and classes of one image."""
    if lowest := min(int(each.min()) for each in labels.values()):
        yield f"labels count from {lowest}; add `first_label: {lowest}` to dataset in params.yaml"
    names = found.classes or [str(k) for k in range(256)]
    for split, each in labels.items():
        for label in np.flatnonzero(np.bincount(each) == 1):
            only = int(np.flatnonzero(each == label)[0])
            yield f"{split}: class {names[label]} has one image: {found.parts[split].name(only)}"


def of_images(found: "Found", images: Arrays) -> Iterator[str]:
    """Images that are dark, blank, there twice, or in two splits."""
    if (brightest := max(int(each.max()) for each in images.values())) < DARK:
        yield f"no pixel is brighter than {brightest} of 255; set normalise.mean and normalise.std to auto"
    for split, each in images.items():
        blank = [found.parts[split].name(int(k)) for k in np.flatnonzero(is_blank(each))]
        yield from several(blank, f"{split}: blank images")
    yield from repeated(found, images)


def repeated(found: "Found", images: Arrays) -> Iterator[str]:
    """Images, not blank, that are there twice, and those that are in two splits."""
    seen: dict[bytes, tuple[str, int]] = {}
    for split, each in images.items():
        pairs: dict[str, list[str]] = {}  # by the split of the other one
        for k in np.flatnonzero(~is_blank(each)).tolist():
            digest = hashlib.blake2b(each[k].tobytes(), digest_size=16).digest()
            first = seen.setdefault(digest, (split, k))
            if first != (split, k):
                pair = f"{found.parts[split].name(k)} is {found.parts[first[0]].name(first[1])}"
                pairs.setdefault(first[0], []).append(pair)
        yield from several(pairs.pop(split, []), f"{split}: images that are there twice")
        for other, leaked in pairs.items():
            yield from several(leaked, f"{split}: images that are among the {NAMES.get(other, other)} {LEAKAGE}")


def is_blank(images: Any) -> Any:
    """Which images are of one shade: bool (n,)."""
    from mnist.raw import chunks

    rows = images.reshape(len(images), -1)
    return np.concatenate([(chunk == chunk[:, :1]).all(1) for chunk in chunks(rows, np.arange(len(rows)))])


def several(cases: list[str], what: str) -> Iterator[str]:
    """A line on some cases, if there are any."""
    if cases:
        yield f"{what}: {len(cases):,}: {', '.join(map(printable, cases[:SHOWN]))}" + " …" * (len(cases) > SHOWN)
