"""predictions.csv: one row per test image, with what the model says of it."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist import results
from mnist.dataset import Array
from pipeline.errors import InputError

FILE = Path("metrics/predictions.csv")


@dataclass(frozen=True)
class Predictions:
    """What a model says of n images: `actual` and `predicted`, class numbers (n,); `probabilities`, float32 (n, c)."""

    classes: list[str]
    actual: Array
    predicted: Array
    probabilities: Array


def header(classes: list[str]) -> list[str]:
    """The columns of the table."""
    return ["index", "actual", "predicted", *(f"p{k}" for k in range(len(classes)))]


def write(predictions: Predictions, path: Path) -> None:
    """Write predictions.csv; the shortest digits that read back as the same float32."""
    names = predictions.classes
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(header(names))
        for index, (actual, predicted) in enumerate(zip(predictions.actual, predictions.predicted, strict=True)):
            rows.writerow([index, names[actual], names[predicted], *predictions.probabilities[index].astype(str)])


def read(classes: list[str], path: Path = FILE, text: str | None = None) -> Predictions:
    """Read predictions.csv of a data set with these classes, or `text`, if its content was read already.

    Raises InputError at the first line that is wrong.
    """
    number = {name: k for k, name in enumerate(classes)}
    actual: list[int] = []
    predicted: list[int] = []
    probabilities: list[list[float]] = []
    for line, row in results.table(path, header(classes), text):
        try:
            if int(row[0]) != len(actual):
                raise ValueError(f"image {len(actual)} belongs here")
            actual.append(number[row[1]])
            predicted.append(number[row[2]])
            chances = [float(cell) for cell in row[3:]]
            if not all(0 <= chance <= 1 for chance in chances) or abs(sum(chances) - 1) > 1e-3:
                raise ValueError("probabilities are from 0 to 1 and sum to 1")
            probabilities.append(chances)
        except KeyError as error:
            raise results.damaged(path, line, f"there is no class {error}") from error
        except ValueError as error:
            raise results.damaged(path, line, error) from error
    found = Predictions(classes, np.array(actual), np.array(predicted), np.array(probabilities, np.float32))
    unlike = np.flatnonzero(found.predicted != found.probabilities.argmax(1))
    if len(unlike):
        raise results.damaged(path, int(unlike[0]) + 2, "what is predicted is not the likeliest class")
    return found


def check_same_images(predictions: Predictions, labels: Array) -> None:
    """Raise InputError if the predictions are not of the images with these labels."""
    if not np.array_equal(predictions.actual, labels):
        raise InputError(f"{FILE}: is not of the test images at hand; `dvc repro -fs evaluate` recreates it")


def image_losses(predictions: Predictions) -> Array:
    """Cross-entropy of each image, in nats (n,); a probability that float32 rounds to 0 counts as its smallest."""
    chances = predictions.probabilities[np.arange(len(predictions.actual)), predictions.actual].astype(np.float64)
    return -np.log(np.maximum(chances, np.finfo(np.float32).tiny)) + 0.0  # without it, certainty would cost -0.0


def confusion_matrix(predictions: Predictions) -> Array:
    """How many images of each class (row) were taken for which (column); int (c, c)."""
    counts = np.zeros([len(predictions.classes)] * 2, int)
    np.add.at(counts, (predictions.actual, predictions.predicted), 1)
    return counts


def calibration_bins(predictions: Predictions, bins: int = 15) -> tuple[Array, Array, Array]:
    """Images, mean confidence and accuracy of those whose top probability falls into each of equally wide bins (k,).

    Bins without images are left out.
    """
    confidence = predictions.probabilities.max(1).astype(np.float64)
    correct = predictions.actual == predictions.predicted
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    used = count > 0
    return (
        count[used],
        np.bincount(bin_of, confidence, bins)[used] / count[used],
        np.bincount(bin_of, correct, bins)[used] / count[used],
    )


def wilson(share: Array, n: Array) -> tuple[Array, Array]:
    """The 95 % interval of Wilson (1927) around each share of n images: its lower and its upper ends."""
    z2_n = 1.959963984540054**2 / n  # the normal distribution's 97.5 % quantile
    middle, half = share + z2_n / 2, np.sqrt(z2_n * (share * (1 - share) + z2_n / 4))
    return (middle - half) / (1 + z2_n), (middle + half) / (1 + z2_n)
