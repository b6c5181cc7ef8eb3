"""Processes: how many can run at once, and ending them with those that they have started."""

import contextlib
import os


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end(pid: int) -> None:
    """Kill a process that this one has started, and those that it has: git's fetch from a remote, DVC's stage."""
    import psutil  # here, as few commands come to need it

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        started = process.children(recursive=True)
        for each in [*started, process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(started, timeout=5)  # seconds; the caller waits for the first
