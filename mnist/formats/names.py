"""Names of files: which are pictures, and how one is printed."""

from collections.abc import Sequence

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp")  # of what counts in a folder
SHOWN = 3  # names of what is left out


def printable(name: object) -> str:
    """A file's name in one line: what cannot be printed as Python writes it, also bytes that are no UTF-8."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(name))


def left_out(names: Sequence[object], what: str) -> list[str]:
    """A note on what is there and is not used, if there is anything."""
    some = ", ".join(map(printable, names[:SHOWN])) + " …" * (len(names) > SHOWN)
    return [f"{len(names):,} {what} left out: {some}"] if names else []
