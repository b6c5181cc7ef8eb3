"""How results are written and read: metrics as JSON for DVC, tables as CSV."""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.errors import InputError


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
