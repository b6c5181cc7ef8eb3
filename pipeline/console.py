"""What a person sees of a command: its errors in one line and its exit status."""

import atexit
import contextlib
import errno
import gc
import io
import json
import os
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from pipeline import MEMORY
from pipeline.errors import InputError, command

QUIET = 30.0  # seconds without a word, where there is no terminal
STOPS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
REMEDIES = {  # of what the system may refuse
    errno.EACCES: "see who owns it (ls -l) and give yourself access",
    errno.EPERM: "see who owns it (ls -l) and give yourself access",
    errno.EROFS: "work in a folder that can be written to",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EEXIST: "move away what lies there",
    errno.ENOTDIR: "a folder belongs there, move the file away",
    errno.EISDIR: "a file belongs there, move the folder away",
    errno.ENOENT: "put it back; git or `dvc checkout` may have it",
    errno.EPIPE: "let what reads it read to the end",
    errno.ENOMEM: MEMORY,
}
IMPORT = "<frozen importlib._bootstrap>"  # what Python's own frames of an import have for a file
# how libraries say that there is too little memory to load them, or to compute with, in errors of any kind
SHORT = re.compile("failed to map segment|(cannot|can't|not) allocate memory|without exception set", re.IGNORECASE)


class Stopped(BaseException):
    """One of the signals STOPS arrived; what is half-written is removed on the way out."""


def application(help: str | None = None) -> typer.Typer:
    """A typer application whose help is plain text."""
    return typer.Typer(
        help=help, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=False
    )


def main(app: typer.Typer) -> NoReturn:
    """Run `app` and exit: 0; 1 after one line on stderr; 2 after a line on the usage; 128 + the signal's number.

    Anything else is a bug and keeps its traceback.
    """
    # Importing torch leaves a million live objects. Not to scan them, nor again at exit, takes 0.45 s off 1.8.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    for number in STOPS:
        signal.signal(number, stop)
    warnings.showwarning = show_warning
    if any(action == "error" for action, *_ in warnings.filters):  # by PYTHONWARNINGS, for whom nothing here is meant
        warnings.simplefilter("default")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # not every terminal has ±; and a line that cannot be written is an error there and then
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        fail(str(error), 1)
    except TyperException as error:
        fail(f"{error.format_message()} (see --help)", error.exit_code)
    except Stopped as stopped:
        number = stopped.args[0]
        fail(STOPS[number], 128 + number)
    except (MemoryError, ImportError, RuntimeError, SystemError, OSError) as error:
        if isinstance(error, MemoryError) or SHORT.search(str(error)):
            fail(f"memory: too little is free for this ({str(error)[:100] or 'MemoryError'}); {MEMORY}", 1)
        if not isinstance(error, OSError):
            raise
        fail(f"{error.filename or 'input or output'}: {refused(error)}", 1)
    except SystemExit as done:
        if isinstance(done.__context__, BrokenPipeError):  # of which typer makes a silent exit
            fail(f"output: {done.__context__.strerror}; {REMEDIES[errno.EPIPE]}", 1)
        raise


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a library's warning in one line."""
    print("warning: " + " ".join(str(message).split()), file=sys.stderr)


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """Turn a signal into an exception; amid an import, where C++ may meet it and abort, into the end."""
    while frame:
        if frame.f_code.co_filename == IMPORT:
            complain(STOPS[signal.Signals(number)])
            os._exit(128 + number)
        frame = frame.f_back
    raise Stopped(number)


def fail(message: str, status: int) -> NoReturn:
    """End the program with one line on stderr."""
    complain(message)
    try:
        sys.stdout.flush()
    except OSError:  # which has been said; Python would try again at its end, and say so in lines of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def complain(message: str) -> None:
    """Say in one line on stderr what is wrong."""
    print("error: " + " ".join(message.split()), file=sys.stderr)


def refused(error: OSError) -> str:
    """What the system has refused, and what to do."""
    return f"{error.strerror or error}; {REMEDIES.get(error.errno or 0, 'fix it and run again')}"


def say(line: object) -> None:
    """Print a line at once, so that it can be watched through a pipe as well."""
    print(line, flush=True)


def as_json(found: object) -> str:
    """JSON to print; if stdout cannot have a letter of it, all that is not ASCII is escaped, which any parser takes."""
    text = json.dumps(found, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(found, indent=2)
    return text


@contextlib.contextmanager
def progress(label: str, total: int, *, of_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, or a line now and then: call what it yields with how much of `total` was done since."""
    if not sys.stderr.isatty():
        yield now_and_then(label, total)
        return
    from rich import progress
    from rich.console import Console

    speed: list[progress.ProgressColumn] = [progress.TransferSpeedColumn()] if of_bytes else []
    with progress.Progress(
        *progress.Progress.get_default_columns(),
        *speed,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # else what goes to a file would be drawn above the bar instead
    ) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)


def now_and_then(label: str, total: int) -> Callable[[int], None]:
    """What says how far something is after each QUIET seconds that it takes."""
    done, said = 0, time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, said
        done += more
        if done < total and time.monotonic() - said >= QUIET:
            said = time.monotonic()
            print(f"{label}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return advance


def writable(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before the work for it is done; a callback for an option."""
    if path is None:
        return None
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder")
    if path.exists() and not path.is_file():  # which a file would take the place of
        raise typer.BadParameter(f"{path} is a pipe or a device; name a file")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}; {command('mkdir', '-p', path.parent)} makes it")
    return path
