"""What every run of a stage shares: checked parameters, inputs that hold still, outputs complete or absent."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

from pydantic import BaseModel

from pipeline import STARTED, console, definition, files, imports, inputs, launch, params, parent, pins, yaml12
from pipeline.errors import InputError

Section = TypeVar("Section", bound=BaseModel)


class Run(Generic[Section]):
    """One run of a stage: its section of params.yaml, its inputs, and where its outputs go meanwhile."""

    def __init__(self, name: str, section: Section, before: inputs.Inputs) -> None:
        self.name = name
        self.params = section
        self.before = before
        self.key = before.key
        self.outputs: dict[Path, Path] = {}
        self.shown: set[Path] = set()

    def output(self, path: str) -> Path:
        """Where to write the file or folder `path` for now; it gets its name when the stage has succeeded."""
        target = Path(path)
        partial = files.aside(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        files.remove(partial)  # left by a run that was killed
        self.outputs[target] = partial
        return partial

    def folder(self, path: str) -> Path:
        """Like `output`, for an empty folder."""
        partial = self.output(path)
        partial.mkdir()
        return partial

    def show(self, path: str, write: Callable[[Path], None]) -> None:
        """Have an output show what there is of it so far, for whoever watches; it goes if the stage fails.

        What lay there before, as when a stage is run by hand, stays until the stage has succeeded.
        """
        target = Path(path)
        if target in self.shown or not target.exists():
            partial = self.output(path)
            write(partial)
            self.shown.add(target)
            partial.replace(target)

    def check_reads(self, key: str, path: str) -> None:
        """Raise InputError if the file or folder that a parameter names is not among the stage's dependencies."""
        definition.check_reads(self.name, self.before.deps, key, path)

    def look(self) -> None:
        """Raise InputError if the inputs are no longer those that the stage began with; for a long one to end early.

        In milliseconds, as it trusts the timestamps of files; the look at the end reads them.
        """
        self.hold(self.before.files)

    def hold(self, known: dict[str, inputs.Version]) -> None:
        """Raise InputError if the inputs have changed; files that by their timestamps are `known` are not read."""
        try:
            changed = self.before.changed(inputs.note(self.name, yaml12.read(params.FILE), known))
        except InputError as error:  # as while somebody writes it
            changed = [str(error).partition(":")[0]]
        refuse(self.name, changed)

    def flush(self) -> None:
        """Wait until all outputs are on the disk."""
        for partial in self.outputs.values():
            for file in [partial, *partial.rglob("*")]:
                files.flush(file)

    def publish(self) -> None:
        """Give all outputs their names."""
        for target, partial in self.outputs.items():
            if partial.is_dir():  # a folder cannot be renamed over another
                files.remove(target)
            partial.replace(target)
            files.flush(target.parent)
        self.shown.clear()

    def discard(self) -> None:
        """Leave nothing half-written behind."""
        for path in (*self.outputs.values(), *self.shown):
            files.remove(path)


@contextlib.contextmanager
def run(name: str, section: str, schema: type[Section]) -> Iterator[Run[Section]]:
    """Run the stage `name` of dvc.yaml, whose section of params.yaml has a schema.

    Import the modules that decide the result inside the block, so that the code imported is the code recorded.
    Raises InputError if parameters, inputs or versions are wrong, or inputs change before the end.
    """
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        parent.end_with_dvc(os.environ["DVC_STAGE"])
    launch.follow()
    # DVC's own lock does not cover a stage that is run by hand
    with files.locked(files.temporary() / f"{name}.lock", name) if launch.holds() else contextlib.nullcontext():
        tree = yaml12.read(params.FILE)
        checked = params.check(tree, section, schema)
        before = inputs.note(name, tree, {})
        pins.check_values(before.values)
        refuse(name, before.code_written_since(STARTED))
        this = Run(name, checked, before)
        try:
            yield this
            this.flush()
            this.hold({})
            imports.check(name, definition.stage(name), imports.loaded())
            this.publish()
        except OSError as error:
            error.filename = error.filename or f"{name}, reading or writing"
            raise
        finally:
            this.discard()


def refuse(name: str, changed: list[str]) -> None:
    """Raise InputError if anything has changed."""
    if changed:
        raise InputError(
            f"{name}: {', '.join(changed[:3])}{' and more' * (len(changed) > 3)} changed while the stage ran, "
            "so its result is not kept; run dvc repro again"
        )


def main(command: Callable[[], None]) -> NoReturn:
    """Run a stage's script: `command` with `--help`, errors in one line."""
    app = console.application()
    app.command()(command)
    console.main(app)
