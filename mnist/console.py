"""What a person sees of a command: its errors in one line and its exit status."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import typer
from typer.exceptions import TyperException

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class InputError(Exception):
    """Something from outside is wrong. The message names the place, what is wrong there and the remedy."""


class Terminated(BaseException):
    """SIGTERM arrived."""


def application(help: str | None = None) -> typer.Typer:
    """A typer application whose help is plain text."""
    return typer.Typer(
        help=help, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, no_args_is_help=False
    )


def main(app: typer.Typer) -> NoReturn:
    """Run `app` and exit: 0; 1 after one line on stderr; 2 after a line on the usage; 128 + the signal's number.

    A traceback is left to what is a defect of the program.
    """
    signal.signal(signal.SIGTERM, terminate)
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        fail(str(error), 1)
    except TyperException as error:
        fail(f"{getattr(error, 'message', error)} (see --help)", getattr(error, "exit_code", 2))
    except OSError as error:
        fail(f"{error.filename or 'input or output'}: {error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted", INTERRUPTED)
    except Terminated:
        fail("terminated", TERMINATED)


def terminate(*_: object) -> NoReturn:
    """Turn SIGTERM into an exception, so that what is half-written is removed."""
    raise Terminated


def fail(message: str, status: int) -> NoReturn:
    """End the program with one line on stderr."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    sys.exit(status)


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar, if stderr is a terminal: call what it yields after each of `total` pieces of work."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)
