"""What a stage's result depends on, as `dvc.yaml` declares it, held still while the stage runs.

DVC hashes dependencies and parameters after a command has ended, so an edit made meanwhile would be recorded with a
result that it did not produce, and served from the cache ever after (treeverse/dvc #11058). Hence a stage notes its
inputs before it does anything, compares when it is done, and fails before DVC can record what is not true.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import definition
from pipeline.errors import InputError

TICK = 20_000_000  # ns: the coarsest file timestamp we expect, with a margin


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
        """A hash of the values and contents: 64 hexadecimal digits, the same in every folder and clone."""
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
        """Modules modified since `moment` (ns), less one timestamp tick."""
        now = time.time_ns()
        return [
            path
            for path, version in self.files.items()
            if path.endswith(".py") and moment - TICK < version.modified <= now
        ]


def note(stage: str, tree: dict[str, Any]) -> Inputs:
    """Record what `dvc.yaml` declares for `stage`, given the content of params.yaml. Raises InputError."""
    entry = definition.lookup(definition.read().stages, stage, f"{definition.FILE}: stages")
    values, deps = definition.declared(stage, entry, tree)
    return Inputs(values, {name: version for path in deps for name, version in versions(Path(path))})


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
