"""CSV: a row for each image, its label and its pixels; with a header, as Kaggle has it, or without."""

import contextlib
import gzip
import itertools
import os
import re
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from mnist.dataset import Array
from mnist.formats.parts import Batch, Found, Options, shape_of, size, streamed
from mnist.idx import GZIP, LARGEST_SIDE
from pipeline.errors import InputError

LABEL = ("label", "class", "target", "y")  # how a header may call it
DELIMITERS = b",;\t"
LONGEST = 1 << 24  # bytes of a line
ENDINGS = (".csv", ".csv.gz", ".tsv")
SPLITS = {"train": ("train",), "validation": ("val",), "test": ("test", "t10k")}


class Layout(NamedTuple):
    """How the rows of a file are made."""

    header: bool
    delimiter: bytes
    cells: int
    label: int  # which of them


def split_of(path: Path) -> str | None:
    """The split that a file's name says it is."""
    words = path.name.lower()
    return next((split for split, names in SPLITS.items() if any(name in words for name in names)), None)


def data_set(files: list[Path]) -> Found:
    """The data set of one file, or of one for each split. Raises InputError if it is not known which is which."""
    notes, parts = [], {}
    of = {split_of(path) or "train": path for path in files} if len(files) > 1 else {"train": files[0]}
    if len(of) < len(files) or "train" not in of:
        names = ", ".join(path.name for path in files)
        raise InputError(
            f"{files[0].parent}: holds {names}, and not one for each of train, test; set dataset.path to one of them"
        )
    for split in SPLITS:
        if split in of:
            found = layout(of[split])
            if found is None and split == "test":  # as in Kaggle's competition
                notes.append(f"{of[split]}: no column called {' or '.join(LABEL)}, so it is left out")
                continue
            if found is None:
                raise InputError(f"{of[split]}: no column called {' or '.join(LABEL)} in its header; name it so")
            if not found.header and found.label:
                notes.append(f"{of[split]}: the first cell is the same in all rows, so the last is taken for the label")
            if not ended(of[split]):
                notes.append(f"{of[split]}: its last line has no end; if it was cut off there, fetch it again")
            parts[split] = streamed(partial(batches, of[split], found), partial(called, of[split], found))
    return Found("CSV", parts, None, notes)


def ended(path: Path) -> bool:
    """Whether a file's last line has an end; a packed one that is cut off shows it otherwise."""
    with path.open("rb") as file:
        start = file.read(len(GZIP))
        file.seek(-1, os.SEEK_END)
        return start == GZIP or file.read() == b"\n"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, through gzip if it is that, after a byte order mark."""
    with path.open("rb") as file:
        start = file.read(2)
    opener: Any = gzip.open if start == GZIP else open
    try:
        with opener(path, "rb") as stream:
            if stream.read(3) != b"\xef\xbb\xbf":
                stream.seek(0)
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged or cut off gzip ({error}); fetch it again") from error


def lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends and quotes; empty ones at its end are none."""
    number = empty = 0
    while line := stream.readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise InputError(f"{path}: line {number:,} is longer than {LONGEST:,} bytes; is it the right file?")
        line = line.rstrip(b"\r\n").replace(b'"', b"")
        if not line:
            empty = empty or number
        elif empty:
            raise InputError(f"{path}: line {empty:,} is empty; remove it")
        else:
            yield line


def layout(path: Path) -> Layout | None:
    """How a file's rows are made; None if it has a header that names no label."""
    with opened(path) as stream:
        first = next(lines(stream, path), b"")
    if not first:
        raise InputError(f"{path}: an empty file; fetch it again")
    if b"\0" in first:
        raise InputError(f"{path}: not text in ASCII or UTF-8; save it as UTF-8")
    delimiter = max((DELIMITERS[k : k + 1] for k in range(len(DELIMITERS))), key=first.count)
    cells = first.split(delimiter)
    if len(cells) < 2:
        raise InputError(f"{path}: line 1 has no cells with commas between them; is it the right file?")
    if cells == [b"%d" % k for k in range(len(cells))]:
        raise InputError(
            f"{path}: line 1 counts from 0 to {len(cells) - 1:,}, as a header of pandas does; save it "
            "without a header, or call the label's column label"
        )
    if all(is_number(cell) for cell in cells):
        return Layout(False, delimiter, len(cells), (len(cells) - 1) * is_last(path, delimiter))
    names = [cell.strip().lower().decode("utf-8", "replace") for cell in cells]
    labels = [k for k, name in enumerate(names) if name in LABEL]
    if len(labels) > 1:
        raise InputError(f"{path}: line 1 names {len(labels)} columns {' or '.join(LABEL)}; leave one")
    return Layout(True, delimiter, len(cells), labels[0]) if labels else None


def is_last(path: Path, delimiter: bytes) -> bool:
    """Whether the first cell is the same in all rows, and the last is not; reads on as long as the first is."""
    differ = False
    with opened(path) as stream:
        rows = lines(stream, path)
        first, *_, last = next(rows).split(delimiter)
        for row in rows:
            if not row.startswith(first + delimiter):
                return False
            differ |= not row.endswith(delimiter + last)
    return differ


def is_number(cell: bytes) -> bool:
    """Whether a cell holds a number."""
    with contextlib.suppress(ValueError):
        return float(cell) is not None
    return False


def batches(path: Path, found: Layout, options: Options) -> Iterator[Batch]:
    """The images and labels of a file's rows."""
    shape = shape_of(found.cells - 1, options, f"{path}: line 1")
    if max(shape) > LARGEST_SIDE:
        raise InputError(f"{path}: {size(shape)} pixels, where {LARGEST_SIDE} a side are possible; make them fewer")
    with opened(path) as stream:
        rows = itertools.islice(lines(stream, path), found.header, None)
        number = 1 + found.header
        while some := list(itertools.islice(rows, options.at_once(8 * found.cells))):  # of 64 bits
            table = numbers(some, found, path, number)
            number += len(some)
            pixels = np.delete(table, found.label, 1)
            if pixels.min() < 0 or pixels.max() > 255:
                row, column = np.argwhere((pixels < 0) | (pixels > 255))[0]
                cell = column + 1 + (column >= found.label)
                raise InputError(
                    f"{path}: line {number - len(some) + row:,}, cell {cell:,}: {pixels[row, column]} is no shade "
                    "from 0 to 255; fix it"
                )
            yield Batch(pixels.astype(np.uint8).reshape(-1, *shape), table[:, found.label])


def numbers(some: list[bytes], found: Layout, path: Path, number: int) -> Array:
    """The cells of some lines, the first of which has a number, as whole numbers."""
    for k, line in enumerate(some):
        if (cells := line.count(found.delimiter) + 1) != found.cells:
            raise InputError(
                f"{path}: line {number + k:,} has {cells:,} cells where line 1 has {found.cells:,}; fix it, or fetch "
                "the file again if that is its last"
            )
    with contextlib.suppress(ValueError):
        text = found.delimiter.join(some).decode("latin-1")
        table = np.fromstring(text, np.int64, sep=found.delimiter.decode())
        if table.size == len(some) * found.cells:
            return table.reshape(-1, found.cells)
    for k, line in enumerate(some):
        for column, cell in enumerate(line.split(found.delimiter)):
            if not re.fullmatch(rb"[ \t]*[+-]?\d+[ \t]*", cell):
                shown = ascii(cell[:20].decode("utf-8", "replace"))
                raise InputError(
                    f"{path}: line {number + k:,}, cell {column + 1:,}: {shown} is no whole number; fix it"
                )
    raise InputError(f"{path}: line {number:,} and after: not whole numbers; fix them")


def called(path: Path, found: Layout, k: int) -> str:
    """The line of the k-th image."""
    return f"{path}, line {k + 1 + found.header:,}"
