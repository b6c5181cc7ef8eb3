"""YAML as DVC reads it: by the rules of YAML 1.2, so that a stage works with the values that DVC shows."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from pipeline.errors import InputError

LARGEST_FILE = 100_000  # bytes: the YAML reader is pure Python and would chew for minutes on a file given by mistake


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file's sections. Raises InputError, in one line, if it cannot be read or is not YAML."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise InputError(f"{path}: not a file; move it away, `git restore {path}` brings it back")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; `git restore {path}` brings it back") from error
    return parse(content, str(path))


def parse(content: bytes, place: str) -> dict[str, Any]:
    """Parse YAML as DVC does, by the rules of YAML 1.2, so that a stage works with the values that DVC shows.

    `place` is what to name in an InputError.
    """
    if len(content) > LARGEST_FILE:
        raise InputError(f"{place}: more than the {LARGEST_FILE:,} bytes allowed for parameters; is it the right file?")
    try:
        tree = YAML(typ="safe").load(content.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{place}{where}: not valid YAML: {error.problem or error.context}; mend that line") from error
    except Exception as error:  # on hostile input the library raises more than its own errors
        raise InputError(f"{place}: not valid YAML: {type(error).__name__}: {str(error)[:200]}; mend it") from error
    if not isinstance(tree, dict):
        found = "is empty" if tree is None else f"holds a {type(tree).__name__}"
        raise InputError(f"{place}: {found} where sections are expected; put them back, `git restore` has them")
    return tree


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
