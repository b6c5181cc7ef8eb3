"""A database of trials that one may lose sight of: what asks it waits until it is back."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.storages import BaseStorage, RDBStorage

from pipeline.errors import InputError

AGAIN = 1.0  # seconds until a database that is away is tried again
LOST = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
MADE = (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError)
AWAY = (
    sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.InternalError,
    sqlalchemy.exc.InvalidRequestError,
)  # fmt: skip


class StopError(Exception):
    """The search is to end now."""


class Patient(BaseStorage):
    """A storage that waits for its database when that is away, and uses it from one thread at a time."""

    def __init__(self, inner: BaseStorage, say: Callable[[str], None], stop: threading.Event) -> None:
        self.inner = inner
        self.say = say
        self.stop = stop
        self.lock = threading.RLock()
        self.returned = 0.0  # when it was last back

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the storage, again and again if need be."""
        away = False
        with self.lock:
            while True:
                try:
                    found = getattr(self.inner, name)(*arguments, **options)
                except LOST as error:
                    cause = error if isinstance(error, AWAY) else error.__cause__
                    if not isinstance(cause, AWAY):
                        raise InputError(f"the search's database: {reason(error)}; see its log") from error
                    if not away:
                        self.say(f"the search's database is away ({reason(cause)}); waiting until it is back")
                    away = True
                    if self.stop.wait(AGAIN):
                        raise StopError from error
                else:
                    if away:
                        self.returned = time.monotonic()
                        self.say("the search's database is back")
                    return found


def passed(name: str) -> Callable[..., Any]:
    """A method of a storage that the inner one's takes the place of."""
    return lambda self, *arguments, **options: self.call(name, *arguments, **options)


for method in BaseStorage.__abstractmethods__:
    setattr(Patient, method, passed(method))
Patient.__abstractmethods__ = frozenset()


def connect(url: str, again: int = 5) -> BaseStorage:
    """The database. Raises InputError, in one line, if it is away or none."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        return optuna.storages.get_storage(RDBStorage(url, engine_kwargs={"pool_pre_ping": True}))
    except ImportError as error:
        raise InputError(f"--storage: {reason(error)}; `pip install psycopg[binary]` brings it") from error
    except (*LOST, RuntimeError, ValueError) as error:
        if isinstance(error, MADE) and again:  # by another worker, its tables, at the same moment
            time.sleep(AGAIN)
            return connect(url, again - 1)
        where = Path(url.removeprefix("sqlite:///"))
        remedy = (
            f"move {where} away" if url.startswith("sqlite:") else "start it, or fix the address, and run this again"
        )
        raise InputError(f"the search's database: {reason(error)}; {remedy}") from error


def reason(error: BaseException) -> str:
    """The first line of an error, without what a library adds."""
    text = str(getattr(error, "orig", None) or error.__cause__ or error) or type(error).__name__
    return text.strip().splitlines()[0][:200]
