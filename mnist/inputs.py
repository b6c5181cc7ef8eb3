"""What a stage's result depends on, as `dvc.yaml` declares it, held still while the stage runs.

DVC hashes dependencies and parameters after a command has ended, so an edit made meanwhile would be recorded with a
result that it did not produce, and served from the cache ever after (treeverse/dvc #11058). Hence a stage notes its
inputs before it does anything, compares when it is done, and fails before DVC can record what is not true.
"""

import hashlib
import importlib.metadata
import itertools
import json
import os
import re
import time
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import BaseModel, ValidationError

from mnist import params
from mnist.console import InputError

PIPELINE = Path("dvc.yaml")
PROJECT = "pyproject.toml"
TICK = 20_000_000  # ns, and to spare


class Version(NamedTuple):
    """A file at one moment: its content, and when it was last written, in ns."""

    sha256: str
    modified: int


class Inputs(NamedTuple):
    """A stage's declared inputs at one moment: parameters by file and key, files by path."""

    values: dict[str, Any]
    files: dict[str, Version]

    @property
    def key(self) -> str:
        """A name for the values and contents: 64 hexadecimal digits, the same in every folder and clone."""
        content = [self.values, {path: version.sha256 for path, version in self.files.items()}]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def changed(self, later: "Inputs") -> list[str]:
        """What differs later; a file that was written to counts even if its content is back to what it was."""
        names = [*self.values, *self.files, *later.values, *later.files]
        before, after = (
            {**{name: json.dumps(value) for name, value in inputs.values.items()}, **inputs.files}
            for inputs in (self, later)
        )
        return [name for name in dict.fromkeys(names) if before.get(name) != after.get(name)]

    def code_written_since(self, moment: int) -> list[str]:
        """The modules written to since a moment, in ns, or up to a tick of the clock that files' times are taken by."""
        now = time.time_ns()
        return [
            path
            for path, version in self.files.items()
            if path.endswith(".py") and moment - TICK < version.modified <= now
        ]


class Stage(BaseModel):
    """What a stage of `dvc.yaml` declares. An entry of `params` is a key of params.yaml, or keys of another file."""

    deps: list[str] = []
    params: list[str | dict[str, list[str] | None]] = []
    outs: list[str | dict[str, Any]] = []


class Pipeline(BaseModel):
    """The part of `dvc.yaml` that matters here."""

    stages: dict[str, Stage]


def note(stage: str, tree: dict[str, Any]) -> Inputs:
    """Take down what `dvc.yaml` declares for `stage`, given the content of params.yaml. Raises InputError."""
    values, deps = declared(stage, lookup(pipeline().stages, stage, f"{PIPELINE}: stages"), tree)
    return Inputs(values, {name: version for path in deps for name, version in versions(Path(path))})


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
    outs = [name for out in entry.outs for name in (out if isinstance(out, dict) else [out])]
    for path, out in itertools.product(deps, outs):
        if overlap(path, out):
            raise InputError(f"{path}: holds or lies in {out}, which the stage {stage} replaces; choose another folder")
    return values, deps


def pipeline() -> Pipeline:
    """What `dvc.yaml` says of the stages. Raises InputError if DVC could not use it either."""
    try:
        return Pipeline.model_validate(params.parse(PIPELINE))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{PIPELINE}: {'.'.join(map(str, first['loc']))}: {first['msg']}; `git restore {PIPELINE}` brings it back"
        ) from error


def overlap(path: str, other: str) -> bool:
    """Whether one of two paths is the other or lies in it."""
    if "\0" in path:
        return False
    ours, theirs = (Path(os.path.realpath(name)) for name in (path, other))
    return ours in (theirs, *theirs.parents) or theirs in ours.parents


def content(path: str) -> dict[str, Any]:
    """The content of a file of parameters beside params.yaml."""
    return toml(path) if path.endswith(".toml") else params.parse(Path(path))


def toml(path: str) -> dict[str, Any]:
    """The content of a TOML file."""
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; `git restore {path}` brings it back") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}; mend it, or `git restore {path}`") from error


def lookup(tree: Any, key: str, place: str) -> Any:
    """The value at a dotted key."""
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            raise InputError(f"{place}: {key}: missing, and dvc.yaml refers to it; put it back")
        tree = tree[part]
    return tree


def versions(path: Path) -> list[tuple[str, Version]]:
    """A file, or every file below a folder, by name."""
    if not path.exists():
        raise InputError(f"{path}: missing, and dvc.yaml says that this stage reads it; `dvc repro` or git brings it")
    if not path.is_dir() and not path.is_file():
        raise InputError(
            f"{path}: neither a file nor a folder; move it away, `dvc repro` or git brings what belongs there"
        )
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [(file.as_posix(), version(file)) for file in files]


def version(path: Path) -> Version:
    """The present version of a file."""
    with path.open("rb") as stream:
        return Version(hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_mtime_ns)


def check_installed(inputs: Inputs) -> None:
    """Raise InputError if a library is not installed in the version that the declared parameters pin."""
    for place, pins in inputs.values.items():
        check_pins(place, pins if place.startswith(PROJECT) else [])


def check_pins(place: str, pins: Any) -> None:
    """Raise InputError, naming `place`, if what is installed is not what `pins` ask for."""
    if not isinstance(pins, list):
        raise InputError(f"{place}: should be a list of what to install, not a {type(pins).__name__}; mend it")
    for pin in pins:
        try:
            requirement = Requirement(str(pin))
        except InvalidRequirement as error:
            raise InputError(f"{place}: {pin}: not a requirement as pip takes it; mend it") from error
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            installed = "nothing of it"
        if installed == "nothing of it" or not requirement.specifier.contains(installed, prereleases=True):
            raise InputError(f"{place}: pins {pin}, but {installed} is installed; run `make` to install what is pinned")
