"""`params.yaml`, section by section: each is held against a schema of its own, and refused in one line."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import InputError, suggestion

if TYPE_CHECKING:
    from ruamel.yaml import YAML

FILE = Path("params.yaml")
SCALARS = (bool, int, float, type(None))
WANTED = {  # in place of pydantic's words
    "model_type": "a section with its keys below it",
    "string_too_short": "the name of a file or folder",
    "list_type": "a list of numbers",
    "too_short": "a list of {min_length} numbers",
    "too_long": "a list of {max_length} numbers",
}
NULL = "tag:yaml.org,2002:null"  # written out as `null`, not as nothing
EXACT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Batch = Annotated[int, Field(ge=1, le=1_000_000)]

Schema = TypeVar("Schema", bound=BaseModel)


class Section(BaseModel):
    """What every section has in common: exact types, no unknown keys, no change after reading."""

    model_config = EXACT


def check(tree: dict[str, Any], section: str, schema: type[Schema], place: object = FILE) -> Schema:
    """Hold one section of `tree` against its schema; `place` is the file to name in the InputError."""
    if section not in tree:
        close = suggestion(section, [str(key) for key in tree], "; every section is needed")
        raise InputError(f"{place}: {section}: missing{close}")
    try:
        return schema.model_validate(tree[section])
    except ValidationError as error:
        raise InputError(f"{place}: {describe(section, error.errors(), schema)}") from error


def check_all(tree: dict[str, Any], schema: type[Schema], place: object = FILE) -> Schema:
    """Hold all of `tree` against a schema whose fields are the sections; one with a default may be missing.

    Raises InputError.
    """
    sections: dict[str, Any] = {name: field.annotation for name, field in schema.model_fields.items()}
    for section in tree:
        if not isinstance(section, str):
            raise InputError(f"{place}: {shown(section)}: a key should be a word{suggestion('', list(sections))}")
        if section not in sections:
            raise InputError(f"{place}: {section}: unknown key{suggestion(section, list(sections))}")
    needed = {name for name, field in schema.model_fields.items() if field.is_required()}
    return schema(
        **{name: check(tree, name, each, place) for name, each in sections.items() if name in needed | tree.keys()}
    )


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def edited(content: str, values: dict[str, Any], source: object) -> bytes:
    """The content of a params.yaml with other values, by dotted key; comments and all the rest stay.

    Raises InputError, which names `source`, where the values come from, if there is no such section.
    """
    editor = new_editor()
    tree = editor.load(content)
    for key, value in values.items():
        section, _, name = key.partition(".")
        if section not in tree or not name:
            raise InputError(f"{source}: {section}: not a section of {FILE} with keys below it; fix it")
        tree[section][name] = value
    return written(tree, editor).encode()


def new_editor() -> "YAML":
    """What reads a params.yaml with its comments, and writes it."""
    from ruamel.yaml import YAML  # takes a moment

    found = YAML()
    found.preserve_quotes = True
    found.width = 1000
    found.representer.add_representer(type(None), lambda self, _: self.represent_scalar(NULL, "null"))
    return found


def written(tree: dict[str, Any], editor: "YAML") -> str:
    """Sections as the text of a params.yaml."""
    text = io.StringIO()
    editor.dump(tree, text)
    return text.getvalue()


def describe(section: str, errors: list[ErrorDetails], schema: type[BaseModel]) -> str:
    """The first of pydantic's errors in one line, with a close match where there is one, and how many more."""
    order = {"extra_forbidden": 0, "missing": 2}  # a misspelt key explains a missing one
    first = min(errors, key=lambda error: order.get(error["type"], 1))
    key = first["loc"][:1]  # what follows are the members of a union
    name = ".".join([section, *map(str, key)])
    more = len({error["loc"][:1] for error in errors if error["type"] != "missing"} - {key})
    also = f" ({more} more after this)" if more else ""
    keys = list(schema.model_fields)
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown key{suggestion(str(key[0]), keys)}{also}"
    if first["type"] == "missing":
        return f"{name}: missing; every key is needed{also}"
    if first["type"] == "value_error":
        return f"{name}: {first['ctx']['error']}{also}"
    if first["type"] == "invalid_key":
        return f"{name}: a key should be a word{suggestion('', keys)}{also}"
    here = [error for error in errors if error["loc"][:1] == key]
    wanted = " or ".join(dict.fromkeys(map(expected, here)))
    given = first["input"]
    words = literals(schema.model_fields[str(key[0])].annotation) if key else []
    meant = suggestion(given, words, "") if isinstance(given, str) else ""
    return f"{name}: should be {wanted}, not {shown(given)}{meant}{also}"


def expected(error: ErrorDetails) -> str:
    """What a value should be, by one of pydantic's errors."""
    ours = WANTED.get(error["type"])
    return ours.format(**error.get("ctx", {})) if ours else error["msg"].removeprefix("Input should be ")


def shown(value: Any) -> str:
    """A value in 40 characters; a collection by its kind, as aliases can make one of gigabytes from a few bytes."""
    if isinstance(value, str):
        value = value[:100]
    elif not isinstance(value, SCALARS):
        return f"a {type(value).__name__}"
    elif isinstance(value, int) and value.bit_length() > 100:
        return f"a number of {value.bit_length():,} bits"
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"


def literals(annotation: Any) -> list[str]:
    """The strings of all the Literal types within `annotation`."""
    return [word for arg in get_args(annotation) for word in ([arg] if isinstance(arg, str) else literals(arg))]
