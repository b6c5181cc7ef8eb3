"""How results are written and read: metrics as JSON for DVC, tables as CSV, of which history.csv is one."""

import csv
import io
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import InputError

HISTORY = Path("metrics/history.csv")


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    """Write metrics as JSON for DVC, numbers to six significant digits, what is None left out."""
    path.write_text(json.dumps(rounded(metrics), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def rounded(metrics: dict[str, Any]) -> dict[str, Any]:
    """The same metrics, nested ones too, with fewer digits: differences in the seventh are noise."""
    return {
        name: rounded(value)
        if isinstance(value, dict)
        else float(f"{value:z.6g}")
        if isinstance(value, float)
        else value
        for name, value in metrics.items()
        if value is not None
    }


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
        f"{path}, line {line}: {reason}; `dvc repro` recreates it, `dvc repro -f` even where DVC takes it for current "
        "(`python -m mnist verify` finds a damaged cache)"
    )


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


def of_training(history: list[Epoch], validation_images: int) -> dict[str, Any]:
    """The last epoch's metrics, and of how many validation images they are."""
    last = {name: getattr(history[-1], name) for name in Epoch._fields[2:]}
    return {"epochs": len(history), **last, "validation_images": validation_images or None}


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
