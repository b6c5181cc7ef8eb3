"""What `dvc.yaml` defines: each stage's dependencies, parameters and outputs."""

import itertools
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline import params, yaml12
from pipeline.errors import InputError, command, suggestion

FILE = Path("dvc.yaml")
MISSING = object()


class Stage(BaseModel):
    """What a stage of `dvc.yaml` declares. An entry of `params` is a key of params.yaml, or keys of another file.

    What is not known here (`foreach`, `wdir`, `vars`) is refused: dependencies behind it would be overlooked.
    """

    model_config = ConfigDict(extra="forbid")

    cmd: str | list[str] = ""
    deps: list[str] = []
    params: list[str | dict[str, list[str] | None]] = []
    outs: list[str | dict[str, Any]] = []
    metrics: list[str | dict[str, Any]] = []
    plots: list[str | dict[str, Any]] = []
    frozen: bool = False
    always_changed: bool = False
    desc: str = ""
    meta: Any = None


class Pipeline(BaseModel):
    """The part of `dvc.yaml` that matters here."""

    stages: dict[str, Stage]


def declared(stage: str, entry: Stage, tree: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The parameters by file and key, and the paths, that a stage's entry of `dvc.yaml` says it depends on.

    Raises InputError for what is not there, and for a dependency that the stage would itself replace.
    """
    values: dict[str, Any] = {}
    for given in entry.params:
        # a plain entry is a key of params.yaml, another one {file: keys}, or {file: null} for all of it
        for path, keys in (given if isinstance(given, dict) else {str(params.FILE): [given]}).items():
            source = tree if path == str(params.FILE) else content(path)
            found = params.flat({key: lookup(source, key, path) for key in keys or source})
            values |= {f"{path}: {key}": value for key, value in found.items()}
    deps = [
        re.sub(r"\$\{([\w.]+)\}", lambda match: str(lookup(tree, match[1], str(params.FILE))), path)
        for path in entry.deps
    ]
    for path, out in itertools.product(deps, outputs(entry)):
        if overlap(path, out):
            raise InputError(
                f"{path}: contains or lies inside {out}, which the stage {stage} replaces; choose another folder"
            )
    return values, deps


def check_reads(stage: str, deps: list[str], key: str, path: str) -> None:
    """Raise InputError if a path that a parameter names is not among a stage's dependencies, nor in one of them."""
    if not any(Path(path).is_relative_to(dep) for dep in deps):
        raise InputError(
            f"{FILE}: stages: {stage}: reads {path} ({key}), whose edits would go unnoticed; add `- {path}` to its deps"
        )


def outputs(entry: Stage) -> dict[str, Any]:
    """The outputs of a stage by path, with what its entry of `dvc.yaml` says of each."""
    return {
        name: options
        for out in (*entry.outs, *entry.metrics, *entry.plots)
        for name, options in (out if isinstance(out, dict) else {out: {}}).items()
    }


def behind(target: str) -> dict[str, Stage]:
    """A stage and those without which it could not run, in the order of `dvc.yaml`. Raises InputError."""
    stages = read().stages
    makers = {out: name for name, entry in stages.items() for out in outputs(entry)}
    found, left = set(), [target]
    while left:
        found.add(name := left.pop())
        left += [makers[dep] for dep in stage(name).deps if dep in makers]
    return {name: entry for name, entry in stages.items() if name in found}


def given(stages: dict[str, Stage], tree: dict[str, Any]) -> list[str]:
    """The paths of the data that stages begin with: dependencies that none of them makes, and that are no code."""
    made = {path for entry in stages.values() for path in outputs(entry)}
    deps = [dep for name, entry in stages.items() for dep in declared(name, entry, tree)[1]]
    return [dep for dep in dict.fromkeys(deps) if dep not in made and not is_code(dep)]


def read() -> Pipeline:
    """What `dvc.yaml` says of the stages. Raises InputError if DVC could not use it either."""
    try:
        return Pipeline.model_validate(yaml12.read(FILE))
    except ValidationError as error:
        raise InputError.invalid(FILE, error, f"`git restore {FILE}` brings it back") from error


def stage(name: str) -> Stage:
    """What `dvc.yaml` says of one stage. Raises InputError if it has none of that name."""
    found: Stage = lookup(read().stages, name, f"{FILE}: stages")
    return found


def is_code(path: str) -> bool:
    """Whether a dependency is code: a Python file, or a folder that belongs to one of the project's packages."""
    return path.endswith(".py") or Path(*Path(path).parts[:1], "__init__.py").is_file()


def overlap(path: str, other: str) -> bool:
    """Whether one of two paths is the other or lies in it."""
    if "\0" in path:
        return False
    ours, theirs = (Path(os.path.realpath(name)) for name in (path, other))
    return ours in (theirs, *theirs.parents) or theirs in ours.parents


def content(path: str) -> dict[str, Any]:
    """The content of a file of parameters, YAML or TOML."""
    if not path.endswith(".toml"):
        return yaml12.read(Path(path))
    try:
        return parse(Path(path).read_bytes(), path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; {command('git', 'restore', path)} brings it back"
        ) from error


def parse(content: bytes, path: str) -> dict[str, Any]:
    """What the content of a file of parameters, YAML or TOML, says."""
    try:
        return tomllib.loads(content.decode()) if path.endswith(".toml") else yaml12.parse(content, path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        yaml12.check_merged(content, path)
        raise InputError(f"{path}: not valid TOML: {error}; fix it, or {command('git', 'restore', path)}") from error


def find(tree: Any, key: str) -> Any:
    """The value at a dotted key; MISSING if there is none."""
    for part in key.split("."):
        tree = tree.get(part, MISSING) if isinstance(tree, dict) else MISSING
    return tree


def lookup(tree: Any, key: str, place: str) -> Any:
    """The value at a dotted key. Raises InputError, which names `place`, if there is none."""
    value = find(tree, key)
    if value is MISSING:
        beside = find(tree, key.rpartition(".")[0]) if "." in key else tree
        keys = suggestion(key.rpartition(".")[2], list(map(str, beside))) if isinstance(beside, dict) and beside else ""
        raise InputError(f"{place}: {key}: missing, and dvc.yaml refers to it; put it back, or edit dvc.yaml{keys}")
    return value
