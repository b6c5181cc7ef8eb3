"""The schema of `params.yaml`. Nothing else reads that file."""

from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from mnist.console import InputError

FILE = Path("params.yaml")
SCALARS = (bool, int, float, bytes, date, type(None))
WANTED = {  # in place of pydantic's words
    "model_type": "a section with its keys below it",
    "string_too_short": "the name of a folder",
    "string_unicode": "text",
}
LARGEST_FILE = 100_000  # bytes: the YAML reader is pure Python and would chew for minutes on a file given by mistake

Download: TypeAlias = Literal[
    "mnist",
    "fashion-mnist",
    "kmnist",
    "qmnist",
    "emnist-balanced",
    "emnist-byclass",
    "emnist-bymerge",
    "emnist-digits",
    "emnist-letters",
    "emnist-mnist",
]
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """What every section has in common: exact types, no unknown keys, no change after reading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Dataset(Section):
    folder: Annotated[str, Field(min_length=1)]
    download: Download | None


class Normalise(Section):
    validation: Annotated[int, Field(ge=0)]
    seed: Seed
    mean: Annotated[float, Field(ge=0, le=1)] | Literal["auto"]
    std: Annotated[float, Field(gt=0, le=1)] | Literal["auto"]


class Train(Section):
    model: Literal["mlp", "cnn"]
    loss: Literal["cross_entropy", "nll", "mse"]
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: Annotated[float, Field(gt=0, le=1000)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1000)]
    schedule: Literal["constant", "one_cycle", "cosine"]
    shift: Annotated[int, Field(ge=0, le=100)]
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Size
    seed: Seed
    threads: Annotated[int, Field(ge=1, le=1024)]
    device: Literal["cpu", "cuda"]

    @model_validator(mode="after")
    def momentum_is_for_sgd(self) -> "Train":
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum is for sgd; {self.optimizer} has its own: set train.momentum to 0.0")
        return self


class Evaluate(Section):
    batch_size: Size


class Plot(Section):
    images: Annotated[int, Field(ge=1, le=100)]


class Params(Section):
    """All of `params.yaml`."""

    dataset: Dataset
    normalise: Normalise
    train: Train
    evaluate: Evaluate
    plot: Plot


def load(path: Path = FILE) -> Params:
    """Read and check `params.yaml`. Raises InputError, in one line, for whatever is wrong with it."""
    return check(parse(path), str(path))


def parse(path: Path) -> dict[str, Any]:
    """Read a YAML file's sections. Raises InputError, in one line, if it cannot be read or is not YAML."""
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise InputError(f"{path}: not a file; move it away, `git restore {path}` brings it back")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; `git restore {path}` brings it back") from error
    return parse_content(content, str(path))


def parse_content(content: bytes, place: str) -> dict[str, Any]:
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


def check(tree: dict[str, Any], place: str) -> Params:
    """Hold `tree` against the schema; `place` is the file to name in the InputError."""
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"{place}: {describe(error.errors())}") from error


def describe(errors: list[ErrorDetails]) -> str:
    """The first of pydantic's errors in one line, with a close match where there is one, and how many more."""
    order = {"extra_forbidden": 0, "missing": 2}  # a misspelt key explains a missing one
    first = min(errors, key=lambda error: order.get(error["type"], 1))
    key = first["loc"][:2]  # what follows are the members of a union
    name = ".".join(map(str, key))
    more = len({error["loc"][:2] for error in errors if error["type"] != "missing"} - {key})
    also = f" ({more} more after this)" if more else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown key{suggestion(str(key[-1]), allowed_keys(key[:-1]))}{also}"
    if first["type"] == "missing":
        return f"{name}: missing; every key is needed{also}"
    if first["type"] == "value_error":
        return f"{name}: {first['ctx']['error']}{also}"
    if first["type"] == "invalid_key":
        return f"{name}: a key should be a word{suggestion('', allowed_keys(key[:-1]))}{also}"
    here = [error for error in errors if error["loc"][:2] == key]
    wanted = " or ".join(WANTED.get(e["type"], e["msg"].removeprefix("Input should be ")) for e in here)
    given = first["input"]
    meant = suggestion(given, allowed_values(key), "") if isinstance(given, str) else ""
    return f"{name}: should be {wanted}, not {shown(given)}{meant}{also}"


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


def suggestion(word: str, choices: list[str], otherwise: str | None = None) -> str:
    """` — did you mean …?` when one of `choices` is close to `word`, else what the choices are."""
    close = get_close_matches(word, choices, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; the keys here are {', '.join(choices)}" if otherwise is None else otherwise


def allowed_keys(section: tuple[int | str, ...]) -> list[str]:
    """The keys of a section, or the sections when `section` is empty."""
    model: Any = Params.model_fields[str(section[0])].annotation if section else Params
    return list(model.model_fields)


def allowed_values(key: tuple[int | str, ...]) -> list[str]:
    """The words that a key accepts, if it accepts words."""
    if len(key) < 2:
        return []
    section: Any = Params.model_fields[str(key[0])].annotation
    return [str(word) for word in literals(section.model_fields[str(key[1])].annotation)]


def literals(annotation: Any) -> list[Any]:
    """The strings of all the Literal types within `annotation`."""
    return [word for arg in get_args(annotation) for word in ([arg] if isinstance(arg, str) else literals(arg))]
