"""YAML as DVC reads it: by the rules of YAML 1.2, so that a stage works with the values that DVC shows.

DVC uses ruamel.yaml on an older libyaml. PyYAML's loader, on a newer one, takes less time, but follows YAML 1.1, where
`on` is true and `1:30` is 90. Here it resolves scalars as ruamel.yaml does, and refuses what the two do not read alike.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InputError, command

LARGEST_FILE = 10_000_000  # bytes; a device given for a file by mistake would not end
DEEPEST = 100  # collections in one another; PyYAML's C code crashes at some ten thousand
MARKER = re.compile(rb"^(<{7}|\|{7}|={7}|>{7})(?=[ \r\n]|\Z)", re.MULTILINE)
TAG = "tag:yaml.org,2002:"


class ConflictError(InputError):
    """A file is as git leaves it when a merge cannot decide."""


class Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """PyYAML's safe loader with the scalars of YAML 1.2; a key that comes twice is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 – PyYAML's own name and type
    yaml_constructors = {  # noqa: RUF012
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag in {None, *(TAG + kind for kind in ("null", "bool", "str", "seq", "map"))}
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; what `<<` merges into it may have the same keys."""
        seen = set()
        for key, _ in node.value:
            scalar = isinstance(key, yaml.ScalarNode) and key.tag != f"{TAG}merge"
            name = self.construct_object(key) if scalar else (key.tag, str(key.value))
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f'duplicate key "{key.value}"', key.start_mark)
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def integer(_: Loader, node: yaml.ScalarNode) -> int:
    """`10`, `010`, `1_000`, `0x1f`, `0o17`, `0b101`."""
    digits = node.value.replace("_", "")
    return int(digits, {"0b": 2, "0o": 8, "0x": 16}.get(digits.lstrip("+-")[:2], 10))


def number(_: Loader, node: yaml.ScalarNode) -> float:
    """`1.5`, `1e5`, `1_0.5`, `-.inf`, `.nan`."""
    return float(re.sub(r"\.(inf|nan)", r"\1", node.value.replace("_", "").lower()))


def refused(_: Loader, node: yaml.ScalarNode) -> None:
    """Dates, and `=`: libraries differ in what they make of them, and no parameter is one."""
    raise yaml.constructor.ConstructorError(None, None, f"{node.value} is a word of YAML's; quote it", node.start_mark)


for kind, constructor, pattern, first in (
    ("null", None, r"~|null|Null|NULL|", "~nN"),
    ("bool", None, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", integer, r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9_]+)", "-+0123456789"),
    (
        "float",
        number,
        r"[-+]?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|[-+]?\.[0-9_]+([eE][-+][0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("timestamp", refused, r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", "0123456789"),
    ("value", refused, "=", "="),
    ("merge", None, "<<", "<"),
):
    Loader.add_implicit_resolver(TAG + kind, re.compile(f"^(?:{pattern})$"), [*first, *[""] * (kind == "null")])
    if constructor:
        Loader.add_constructor(TAG + kind, constructor)


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file's sections. Raises InputError, in one line, if it cannot be read or is not YAML."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise InputError(f"{path}: not a file; move it away, {command('git', 'restore', path)} brings it back")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; {command('git', 'restore', path)} brings it back"
        ) from error
    return parse(content, path)


def parse(content: bytes, place: object) -> dict[str, Any]:
    """Parse the sections of a YAML file; `place` is what to name in an InputError."""
    if len(content) > LARGEST_FILE:
        raise InputError(f"{place}: more than the {LARGEST_FILE:,} bytes allowed; is it the right file?")
    check_merged(content, place)
    try:
        text = content.decode("utf-8-sig")
        check_events(text)
        tree = yaml.load(text, Loader)
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{place}{where}: not valid YAML: {error.problem or error.context}; fix that line") from error
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{place}: not valid YAML: {type(error).__name__}: {str(error)[:200]}; fix it") from error
    if not isinstance(tree, dict):
        found = "is empty" if tree is None else f"holds a {type(tree).__name__}"
        raise InputError(
            f"{place}: {found} where sections are expected; {command('git', 'restore', place)} brings them back"
        )
    return tree


def check_merged(content: bytes, place: object) -> None:
    """Raise ConflictError if a file of settings, YAML or another, has the lines by which git marks a conflict."""
    if found := MARKER.search(content):
        line = content.count(b"\n", 0, found.start()) + 1
        raise ConflictError(
            f"{place}, line {line}: a merge conflict; leave there what the file should say, without <<<<<<<, ======= "
            "and >>>>>>>, then `git add` it"
        )


def check_events(text: str) -> None:
    """Raise YAMLError for what DVC would read by other rules, or what would crash the loader."""
    depth = flow = 0  # of collections in one another; of those in brackets
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth, flow = depth + 1, flow + bool(event.flow_style)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth, flow = depth - 1, max(0, flow - 1)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels", problem_mark=event.start_mark)
        if flow and isinstance(event, yaml.ScalarEvent) and not event.style and set(":?") & set(event.value):
            raise yaml.MarkedYAMLError(problem=f"{event.value}: in brackets, quote it", problem_mark=event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise yaml.MarkedYAMLError(problem="YAML 1.2 is expected", problem_mark=event.start_mark)
