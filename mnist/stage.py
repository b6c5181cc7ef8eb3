"""What every run of a stage shares: checked parameters, inputs that hold still, outputs complete or absent."""

import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil

from mnist import STARTED, console, inputs, params
from mnist.console import InputError

TEMPORARY = Path(".dvc/tmp")  # of this checkout alone; git ignores it


class Run:
    """One run of a stage: its parameters, the name of its inputs, and where it puts its outputs meanwhile."""

    def __init__(self, checked: params.Params, key: str) -> None:
        self.params = checked
        self.key = key
        self.outputs: dict[Path, Path] = {}

    def output(self, path: str) -> Path:
        """Where to write the file or folder `path` for now; it gets its name when the stage has succeeded."""
        target = Path(path)
        aside = target.with_name(f".{target.name}.partial")
        target.parent.mkdir(parents=True, exist_ok=True)
        remove(aside)  # left by a run that was killed
        self.outputs[target] = aside
        return aside

    def folder(self, path: str) -> Path:
        """The same for a folder, made empty."""
        aside = self.output(path)
        aside.mkdir()
        return aside

    def flush(self) -> None:
        """Wait until all outputs are on the disk."""
        for aside in self.outputs.values():
            for file in [aside, *aside.rglob("*")]:
                flush(file)

    def publish(self) -> None:
        """Give all outputs their names."""
        for target, aside in self.outputs.items():
            if aside.is_dir():  # a folder cannot be renamed over another
                remove(target)
            aside.replace(target)
            flush(target.parent)

    def discard(self) -> None:
        """Leave nothing half-written behind."""
        for aside in self.outputs.values():
            remove(aside)


@contextlib.contextmanager
def run(name: str) -> Iterator[Run]:
    """Run the stage `name` of dvc.yaml.

    Modules that decide the result are best imported inside: what is imported is then what was noted.
    Raises InputError if parameters, inputs or versions are wrong, or inputs change before the end.
    """
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        end_with_dvc(os.environ["DVC_STAGE"])
    # DVC's own lock does not cover a stage that is run by hand
    with locked(TEMPORARY / f"{name}.lock", name):
        tree = params.parse(params.FILE)
        checked = params.check(tree, str(params.FILE))
        before = inputs.note(name, tree)
        inputs.check_installed(before)
        refuse(name, before.code_written_since(STARTED))
        this = Run(checked, before.key)
        try:
            yield this
            this.flush()
            refuse(name, before.changed(inputs.note(name, params.parse(params.FILE))))
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


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file; it goes with the process, however that ends. A second process waits."""
    path.parent.mkdir(exist_ok=True)
    while True:
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{what}: another process is at it; waiting for it to end", file=sys.stderr, flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # else its last holder has removed it
                yield
                return


def main(command: Callable[[], None]) -> NoReturn:
    """Run a stage's script: `command` with `--help`, errors in one line."""
    app = console.application()
    app.command()(command)
    console.main(app)


def end_with_dvc(name: str) -> None:
    """End this process when the DVC that runs it as its stage `name` ends.

    Killing dvc leaves its stage running, and the next `dvc repro` would start another beside it. The kernel's own
    PR_SET_PDEATHSIG does not do: the parent may be a shell, which stays.
    Raises InputError if DVC has ended already.
    """
    try:
        dvc = started_by(name)
        ended = os.pidfd_open(dvc.pid)
    except psutil.AccessDenied:
        return  # a system that lets nobody look at processes; the lock must do
    except (psutil.NoSuchProcess, ProcessLookupError) as error:
        raise InputError(f"{name}: the dvc that started it has ended, so it ends too; run dvc repro again") from error

    def wait() -> None:
        select.select([ended], [], [])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def started_by(name: str) -> psutil.Process:
    """The DVC that has started this process as its stage. Raises NoSuchProcess if it has left its child to another."""
    for process in psutil.Process().parents():
        # DVC tells the stage's name to the shell that it starts, and through it to us, but not to itself
        if process.pid == 1 or process.environ().get("DVC_STAGE") != name:
            if re.search("python|dvc", "".join(process.cmdline()[:1])):
                return process
            break
    raise psutil.NoSuchProcess(os.getppid())


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """An empty folder for the while; what a run that was killed has left of it goes first."""
    remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        remove(path)


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its mode stays, and a link stays a link."""
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.name}.partial")
    try:
        aside.write_bytes(content)
        if target.exists():
            shutil.copymode(target, aside)
        aside.replace(target)
    finally:
        remove(aside)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
