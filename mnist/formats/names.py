"""Names of files: which are pictures, and how one is printed."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp")  # of what counts in a folder


def printable(name: object) -> str:
    """A file's name in one line: what cannot be printed as Python writes it, also bytes that are no UTF-8."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(name))
