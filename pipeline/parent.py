"""The DVC process that runs a stage: when it ends, so does the stage.

Killing dvc leaves its stage running, and the next `dvc repro` would start another beside it.
"""

import os
import re
import select
import signal
import threading

import psutil

from pipeline.errors import InputError


def end_with_dvc(name: str) -> None:
    """End this process when the DVC that runs it as its stage `name` ends.

    The kernel's own PR_SET_PDEATHSIG does not serve: the parent may be a shell, which stays.
    Raises InputError if DVC has ended already.
    """
    try:
        end_with(started_by(name).pid)
    except psutil.AccessDenied:
        return  # a system that lets nobody look at processes; the lock must do
    except (psutil.NoSuchProcess, ProcessLookupError) as error:
        raise InputError(f"{name}: the dvc that started it has ended, so it ends too; run dvc repro again") from error


def end_with(pid: int) -> None:
    """Kill this process when another one ends. Raises ProcessLookupError if it has ended already."""
    ended = os.pidfd_open(pid)

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
