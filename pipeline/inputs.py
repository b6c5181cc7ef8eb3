"""What a stage's result depends on, as `dvc.yaml` declares it, held still while the stage runs.

DVC hashes dependencies and parameters after a command has ended, so an edit made meanwhile would be recorded with a
result that it did not produce, and served from the cache ever after (treeverse/dvc #11058). Hence a stage notes its
inputs before it does anything, compares when it is done, and fails before DVC can record what is not true.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import definition, git, lock, verify
from pipeline.errors import InputError, command

COMPILED = "__pycache__"  # what Python keeps of modules, which .dvcignore names
TICK = 20_000_000  # ns: the coarsest file timestamp we expect, with a margin


class Version(NamedTuple):
    """A file at one moment: its content, when it was last written, in ns, and which file of the disk it is."""

    md5: str  # as DVC has it, so that dvc.lock tells which run a key belongs to
    modified: int
    inode: int


class Inputs(NamedTuple):
    """A stage's declared inputs at one moment: parameters by file and key, dependencies, and their files by path."""

    values: dict[str, Any]
    deps: list[str]
    files: dict[str, Version]

    @property
    def digests(self) -> dict[str, str]:
        """The MD5 that DVC knows each dependency by."""
        return {path: self.digest(path) for path in self.deps}

    @property
    def key(self) -> str:
        """A hash of the values and contents, the same in every folder and clone, and as of what dvc.lock records."""
        return lock.key(self.values, self.digests)

    def digest(self, dep: str) -> str:
        """The MD5 that DVC knows a dependency by."""
        path = Path(dep).as_posix()
        if path in self.files:
            return self.files[path].md5
        within = {Path(name): version.md5 for name, version in self.files.items()}
        return lock.digest_of_folder(
            {name.relative_to(path).as_posix(): md5 for name, md5 in within.items() if name.is_relative_to(path)}
        )

    def changed(self, later: "Inputs") -> list[str]:
        """What differs later.

        A file that was written to counts even if its content is back to what it was, as does code that was replaced.
        Data that were replaced by equal data do not: another run of the stage that makes them may have done that.
        """
        values = dict.fromkeys([*self.values, *later.values])
        written = dict.fromkeys([*self.files, *later.files])
        return [name for name in values if json.dumps(self.values.get(name)) != json.dumps(later.values.get(name))] + [
            name for name in written if differs(name, self.files.get(name), later.files.get(name))
        ]

    def code_written_since(self, moment: int) -> list[str]:
        """Modules modified since `moment` (ns), less one timestamp tick."""
        now = time.time_ns()
        return [
            path
            for path, version in self.files.items()
            if path.endswith(".py") and moment - TICK < version.modified <= now
        ]


def differs(path: str, before: Version | None, later: Version | None) -> bool:
    """Whether a file is not what it was, or may have been something else meanwhile."""
    if before is None or later is None or before.md5 != later.md5:
        return True
    return before.modified != later.modified and (path.endswith(".py") or before.inode == later.inode)


def note(stage: str, tree: dict[str, Any], known: dict[str, Version]) -> Inputs:
    """Record what `dvc.yaml` declares for `stage`, given the content of params.yaml. Raises InputError.

    Files that by their timestamps are still those of `known` are not read again.
    """
    values, deps = definition.declared(stage, definition.stage(stage), tree)
    return Inputs(values, deps, {name: version for path in deps for name, version in versions(Path(path), known)})


def digests(paths: list[str]) -> dict[str, str]:
    """The MD5 by which DVC knows each file or folder, as it is now and a clone has it. Raises InputError.

    So of a folder in git what git has, and of others what .dvcignore does not name.
    """
    kept: dict[str, Version] = {}
    with verify.repository() as repo:
        for path in paths:
            found = dict(versions(Path(path), {}))
            listed = git.execute("ls-files", "-z", "--", path).stdout.decode().split("\0")
            names = found.keys() & listed or found.keys()
            kept |= {name: found[name] for name in names if not repo.dvcignore.is_ignored_file(name)}
    return Inputs({}, paths, kept).digests


def versions(path: Path, known: dict[str, Version]) -> list[tuple[str, Version]]:
    """A file, or every file below a folder, by name."""
    if not path.exists():
        tracker = next((each for each in lock.trackers(path) if each.is_file()), None)
        brings = command("dvc", "checkout", tracker) if tracker else "`dvc repro` or git"
        raise InputError(f"{path}: missing, and dvc.yaml says that this stage reads it; {brings} brings it")
    if not path.is_dir() and not path.is_file():
        raise InputError(
            f"{path}: neither a file nor a folder; {command('rm', path)}, then `dvc repro` or git brings what belongs "
            "there"
        )
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [
        (file.as_posix(), version(file, known.get(file.as_posix()))) for file in files if COMPILED not in file.parts
    ]


def version(path: Path, known: Version | None = None) -> Version:
    """The present version of a file."""
    with path.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        if known and (known.modified, known.inode) == (facts.st_mtime_ns, facts.st_ino):
            return known
        return Version(hashlib.file_digest(stream, lock.Digest).hexdigest(), facts.st_mtime_ns, facts.st_ino)
