"""history.csv: one row per epoch of training."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from mnist import results

FILE = Path("metrics/history.csv")


class Epoch(NamedTuple):
    """One pass through the training images; the losses are means. Without a validation split two of them are None."""

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None

    def __str__(self) -> str:
        line = f"epoch {self.epoch}: training loss {self.train_loss:z.4f}"
        if self.validation_loss is None:
            return line
        return f"{line}, validation loss {self.validation_loss:z.4f}, accuracy {self.validation_accuracy:.4f}"


def of_training(history: list[Epoch]) -> dict[str, Any]:
    """The last epoch's metrics."""
    return {"epochs": len(history), **{name: getattr(history[-1], name) for name in Epoch._fields[2:]}}


def write(history: Iterable[Epoch], path: Path) -> None:
    """Write history.csv; what is None stays empty."""
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(Epoch._fields)
        rows.writerows(history)


def read(path: Path = FILE, text: str | None = None) -> list[Epoch]:
    """Read history.csv, or `text`, its content. Raises InputError at the first line that is wrong."""
    history: list[Epoch] = []
    for line, row in results.table(path, list(Epoch._fields), text):
        try:
            values = [float(cell) if cell else None for cell in row]
            epoch = Epoch(int(row[0]), *values[1:])  # type: ignore[arg-type]
            if epoch.epoch != len(history) + 1 or None in values[:3]:
                raise ValueError(f"epoch {len(history) + 1} with its learning rate and loss belongs here")
            if not all(math.isfinite(value) for value in values if value is not None):
                raise ValueError("not finite")
        except ValueError as error:
            raise results.damaged(path, line, error) from error
        history.append(epoch)
    return history
