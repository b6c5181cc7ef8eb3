"""What DVC is running in this folder, by its own notes of what is being written, and by which process."""

import contextlib
import json
from datetime import datetime
from pathlib import Path

import psutil

from pipeline import files
from pipeline.errors import InputError


def notes() -> Path:
    """The file in which DVC notes what is being read and written, and by which process."""
    return files.temporary() / "rwlock"


def writers() -> list[psutil.Process]:
    """The processes that are writing outputs; a note of one that has been killed stays, and does not count.

    Raises InputError if the notes are damaged: DVC writes them in place, so a kill may cut them off.
    """
    try:
        writing = json.loads(notes().read_bytes()).get("write", {}).values()
        pids, noted = {note["pid"] for note in writing}, notes().stat().st_mtime
    except FileNotFoundError:
        return []
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise InputError(
            f"{notes()}: not whole, as when DVC was killed while it wrote it; `rm {notes()}` when no dvc is running"
        ) from error
    found = []
    for pid in sorted(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return [process for process in found if process.create_time() <= noted]  # a later one has got a number again


def refuse(what: str) -> None:
    """Raise InputError if DVC is running a stage, which says since when."""
    for process in writers():
        since = datetime.fromtimestamp(process.create_time()).astimezone().strftime("%H:%M")
        raise InputError(
            f"{what}: a run has been going on since {since} (process {process.pid}), so what lies here may not be "
            "its results yet; wait until it has ended"
        )
