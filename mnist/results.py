"""The two tables that a run leaves: history.csv, a row an epoch, and predictions.csv, a row a test image."""

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnist.console import InputError

HISTORY = Path("metrics/history.csv")
PREDICTIONS = Path("metrics/predictions.csv")

Array = np.ndarray[Any, np.dtype[Any]]


class Epoch(NamedTuple):
    """One pass through the training images; the losses are means. Without a validation split two of them are None."""

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None

    def __str__(self) -> str:
        line = f"epoch {self.epoch}: training loss {self.train_loss:.4f}"
        if self.validation_loss is None:
            return line
        return f"{line}, validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.4f}"


@dataclass(frozen=True)
class Predictions:
    """What a model says of n images: `actual` and `predicted`, class numbers (n,); `probabilities`, float32 (n, c)."""

    classes: list[str]
    actual: Array
    predicted: Array
    probabilities: Array


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    """Write metrics as JSON for DVC, numbers to six significant digits, what is None left out."""
    path.write_text(json.dumps(rounded(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def of_training(history: list[Epoch]) -> dict[str, Any]:
    """What the last epoch came to, as metrics."""
    return {"epochs": len(history), **{name: getattr(history[-1], name) for name in Epoch._fields[2:]}}


def rounded(metrics: dict[str, Any]) -> dict[str, Any]:
    """The same metrics, nested ones too, with fewer digits: what differs in the seventh is no news."""
    return {
        name: rounded(value)
        if isinstance(value, dict)
        else float(f"{value:.6g}")
        if isinstance(value, float)
        else value
        for name, value in metrics.items()
        if value is not None
    }


def write_history(history: Iterable[Epoch], path: Path) -> None:
    """Write history.csv; what is None stays empty."""
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(Epoch._fields)
        rows.writerows(history)


def read_history(path: Path = HISTORY, text: str | None = None) -> list[Epoch]:
    """Read history.csv, or `text`, its content. Raises InputError at the first line that is wrong."""
    history: list[Epoch] = []
    for line, row in table(path, list(Epoch._fields), text):
        try:
            values = [float(cell) if cell else None for cell in row]
            epoch = Epoch(int(row[0]), *values[1:])  # type: ignore[arg-type]
            if epoch.epoch != len(history) + 1 or None in values[:3]:
                raise ValueError(f"epoch {len(history) + 1} with its learning rate and loss belongs here")
            if not all(math.isfinite(value) for value in values if value is not None):
                raise ValueError("not finite")
        except ValueError as error:
            raise damaged(path, line, error) from error
        history.append(epoch)
    return history


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions.csv; the shortest digits that read back as the same float32."""
    names = predictions.classes
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["index", "actual", "predicted", *(f"p{k}" for k in range(len(names)))])
        for index, (actual, predicted) in enumerate(zip(predictions.actual, predictions.predicted, strict=True)):
            rows.writerow([index, names[actual], names[predicted], *predictions.probabilities[index].astype(str)])


def read_predictions(classes: list[str], path: Path = PREDICTIONS, text: str | None = None) -> Predictions:
    """Read predictions.csv of a data set with these classes, or `text`, if its content was read already.

    Raises InputError at the first line that is wrong.
    """
    number = {name: k for k, name in enumerate(classes)}
    actual: list[int] = []
    predicted: list[int] = []
    probabilities: list[list[float]] = []
    for line, row in table(path, ["index", "actual", "predicted", *(f"p{k}" for k in range(len(classes)))], text):
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
            raise damaged(path, line, f"there is no class {error}") from error
        except ValueError as error:
            raise damaged(path, line, error) from error
    found = Predictions(classes, np.array(actual), np.array(predicted), np.array(probabilities, np.float32))
    unlike = np.flatnonzero(found.predicted != found.probabilities.argmax(1))
    if len(unlike):
        raise damaged(path, int(unlike[0]) + 2, "what is predicted is not the likeliest class")
    return found


def check_same_images(predictions: Predictions, labels: Array) -> None:
    """Raise InputError if the predictions are not of the images with these labels."""
    if not np.array_equal(predictions.actual, labels):
        raise InputError(f"{PREDICTIONS}: is not of the test images at hand; `dvc repro` writes it anew")


def image_losses(predictions: Predictions) -> Array:
    """Cross-entropy of each image, in nats (n,); a probability that float32 rounds to 0 counts as its smallest."""
    chances = predictions.probabilities[np.arange(len(predictions.actual)), predictions.actual].astype(np.float64)
    return -np.log(np.maximum(chances, np.finfo(np.float32).tiny))


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


def table(path: Path, header: list[str], text: str | None = None) -> Iterable[tuple[int, list[str]]]:
    """The rows of a CSV file, or of `text`, below the header, with their line numbers; at least one."""
    line = 0
    try:
        with path.open(newline="", encoding="utf-8") if text is None else io.StringIO(text, newline="") as lines:
            reader = csv.reader(lines, strict=True)
            if next(reader, None) != header:
                raise damaged(path, 1, f"the header should be {','.join(header)}")
            for row in reader:
                line = reader.line_num
                if len(row) != len(header):
                    raise damaged(path, line, f"{len(row)} cells where {len(header)} belong")
                yield line, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damaged(path, line + 1, error) from error
    if not line:
        raise damaged(path, 2, "no rows")


def damaged(path: Path, line: int, reason: object) -> InputError:
    """The error for a table that is not as it was written."""
    return InputError(
        f"{path}, line {line}: {reason}; `dvc repro` writes it anew (`python -m mnist verify` finds a damaged cache)"
    )
