"""`dvc.lock`: what the stages were run with, and what came out. Nothing else reads that file."""

import functools
import hashlib
import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from pipeline import definition, git, params, yaml12
from pipeline.errors import InputError, command

FILE = Path("dvc.lock")


class Entry(BaseModel):
    """A dependency or output: the MD5 of a file, or of the listing of a folder, and how large that is."""

    path: str
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
    size: int = 0  # bytes
    nfiles: int = 0


class Output(BaseModel):
    """The part of an output in a `.dvc` file that matters here."""

    md5: str | None = None


class Stage(BaseModel):
    """One run of a stage; parameters by file."""

    cmd: str | list[str]
    deps: list[Entry] = []
    params: dict[str, dict[str, Any]] = {}
    outs: list[Entry] = []

    @property
    def values(self) -> dict[str, Any]:
        """The stage's parameters by file and key, as `definition.declared` has them."""
        return {
            f"{file}: {key}": value for file, keys in self.params.items() for key, value in params.flat(keys).items()
        }

    @property
    def key(self) -> str:
        """A hash of the stage's inputs."""
        return key(self.values, {dep.path: dep.md5 for dep in self.deps})


class Lock(BaseModel):
    """All of it."""

    version: Literal["2.0"] = Field(alias="schema")
    stages: dict[str, Stage]

    def outputs(self) -> dict[str, str]:
        """The MD5 of each output by its path."""
        return {out.path: out.md5 for stage in self.stages.values() for out in stage.outs}

    def behind(self, output: str) -> dict[str, Stage]:
        """The stages without which there would be no such output: the one that makes it, and those before that."""
        makers = {out.path: name for name, stage in self.stages.items() for out in stage.outs}
        found: dict[str, Stage] = {}
        left = [output]
        while left:
            name = makers.get(left.pop())
            if name and name not in found:
                found[name] = self.stages[name]
                left += [dep.path for dep in self.stages[name].deps]
        return found

    def given(self, output: str) -> dict[str, Entry]:
        """The dependencies of an output, direct or not, that no stage makes, by path: data and code."""
        made = self.outputs()
        deps = (dep for stage in self.behind(output).values() for dep in stage.deps)
        return {dep.path: dep for dep in deps if dep.path not in made}

    def mixed(self, output: str) -> list[str]:
        """What stages behind an output were run with that has been made again since, as before a frozen stage."""
        made = self.outputs()
        deps = (dep for stage in self.behind(output).values() for dep in stage.deps)
        return [dep.path for dep in deps if made.get(dep.path, dep.md5) != dep.md5]

    def code(self, output: str) -> dict[str, str]:
        """The MD5 of each Python file or folder of such that an output depends on, by path."""
        return {path: dep.md5 for path, dep in self.given(output).items() if definition.is_code(path)}

    def parameters(self, output: str) -> dict[str, Any]:
        """The values of params.yaml, by dotted key, that an output was made with."""
        values: dict[str, Any] = {}
        for stage in self.behind(output).values():
            values |= params.flat(stage.params.get(str(params.FILE), {}))
        return values

    def versions(self, output: str) -> str:
        """A hash of the code and of the pinned libraries that an output was made with; the same for the same."""
        stages = self.behind(output).values()
        pins = [{file: values for file, values in stage.params.items() if file != str(params.FILE)} for stage in stages]
        content = json.dumps([self.code(output), pins], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def inputs(self) -> dict[str, Any]:
        """What comes from outside of the pipeline: each stage's parameters, and dependencies that no stage makes."""
        made = self.outputs()
        return {
            name: (stage.cmd, stage.params, {dep.path: dep.md5 for dep in stage.deps if dep.path not in made})
            for name, stage in self.stages.items()
        }


Digest = functools.partial(hashlib.md5, usedforsecurity=False)


def key(values: dict[str, Any], deps: dict[str, str]) -> str:
    """A hash of what decides a stage's result, its parameters and the MD5 of each dependency: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([values, deps], sort_keys=True).encode()).hexdigest()


class Tracked(BaseModel):
    """A `.dvc` file: the one file or folder that DVC keeps for git. Without an MD5, DVC has not had it yet."""

    outs: Annotated[list[Output], Field(min_length=1)]


def digest(content: bytes) -> str:
    """The MD5 that DVC knows a file by."""
    return Digest(content).hexdigest()


def digest_of_folder(files: dict[str, str]) -> str:
    """The MD5 that DVC knows a folder by: of the listing of its files, given the MD5 of each."""
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return digest(json.dumps(listing, sort_keys=True).encode()) + ".dir"


def parse(content: bytes, place: object = FILE) -> Lock:
    """What a `dvc.lock` says; `place` is what to name in the InputError if it is damaged."""
    remedy = (
        f"`git checkout HEAD {FILE}`, or remove it if git has none: `dvc repro` then takes what was finished from the "
        "cache"
    )
    try:
        return Lock.model_validate(yaml12.parse(content, str(place)))
    except yaml12.ConflictError:
        raise
    except (InputError, ValidationError) as error:
        raise InputError(f"{place}: not whole, as when DVC was killed while it wrote it; {remedy}") from error


def trackers(path: Path) -> list[Path]:
    """The `.dvc` files by which DVC may track data: of themselves, or else of a folder that they lie in."""
    return [each.with_name(f"{each.name}.dvc") for each in [path, *path.parents] if each.name not in ("", "..")]


def parse_tracked(content: bytes, place: str) -> str | None:
    """The MD5 in a `.dvc` file. Raises InputError, which names `place`, if it is none."""
    try:
        return Tracked.model_validate(yaml12.parse(content, place)).outs[0].md5
    except ValidationError as error:
        raise InputError.invalid(place, error, f"{command('git', 'restore', place)} brings it back") from error


def read() -> Lock:
    """The workspace's lock; one without stages if there is none."""
    if not FILE.exists():
        return Lock(schema="2.0", stages={})
    try:
        return parse(FILE.read_bytes())
    except yaml12.ConflictError as error:
        raise InputError(f"{str(error).partition(';')[0]}; {merge()}") from error


def merge() -> str:
    """What ends a conflict in the workspace's lock: stages whose side is not taken come from the cache."""
    ours = next(git.contents([("HEAD", str(FILE))]))
    kept = git.run("ls-files", "--", *parse(ours, f"HEAD: {FILE}").outputs()).splitlines() if ours else []
    files = shlex.join([str(FILE), *dict.fromkeys(kept)])
    return f"take one side, and let DVC do the rest: `git checkout HEAD {FILE} && dvc repro && git add {files}`"
