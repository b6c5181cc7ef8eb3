"""A stage as several processes on this machine, started and watched by torch's elastic agent, as `torchrun` has it."""

import logging
import os
import signal
import sys
from typing import NoReturn

from pipeline import console, parent
from pipeline.errors import InputError

LOST = 75  # exit status of a process that has lost another, sysexits.h's EX_TEMPFAIL
LAUNCHER = "STAGE_LAUNCHER"  # the process that has started this one as one of several, and holds the stage's lock


def shared() -> bool:
    """Whether this process is one of several that run a stage together."""
    return "RANK" in os.environ


def watched() -> bool:
    """Whether there is an agent that says which process has ended, and ends the others."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def holds() -> bool:
    """Whether the stage is this process's to lock: alone, or as the first of several that nobody has started for it."""
    return LAUNCHER not in os.environ and os.environ.get("RANK", "0") == "0"


def follow() -> None:
    """As one of several processes, leave the words to the first, and end with the agent that has started them."""
    if shared():
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # else a lost connection is pages of torch's stack
    if watched() and sys.platform == "linux":
        parent.end_with(os.getppid())
    if LAUNCHER in os.environ:
        for number in console.STOPS:
            signal.signal(number, leave)


def leave(number: int, _: object) -> NoReturn:
    """End on a signal; what is half-written is removed on the way out."""
    end(128 + number)


def end(status: int) -> NoReturn:
    """End without a word, and undisturbed: a terminal sends its signal to all processes, and then the agent does."""
    for number in console.STOPS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def share(stage: str, module: str, processes: int) -> None:
    """Run a stage's script as so many processes that share its work, and wait for them.

    Raises InputError if one of them was killed; one that fails has said why.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # what the agent logs is said below, in a line
    os.environ[LAUNCHER] = str(os.getpid())
    config = LaunchConfig(
        1, 1, processes, run_id=stage, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0
    )
    try:
        elastic_launch(config, sys.executable)("-m", module)
    except SignalException as error:
        raise console.Stopped(error.sigval) from error
    except ChildFailedError as error:
        statuses = {rank: failure.exitcode for rank, failure in error.failures.items()}
        for rank, status in statuses.items():
            if status < 0 and status != -signal.SIGTERM:  # with which the agent has ended the others
                raise InputError(
                    f"{stage}: process {rank} of {processes} was ended by {signal.Signals(-status).name}; run "
                    "dvc repro again: it goes on after the last epoch"
                ) from error
        said = [status for status in statuses.values() if status > 0 and status not in (128 + signal.SIGTERM, LOST)]
        if not said:  # by somebody, one of them alone
            raise console.Stopped(signal.SIGTERM) from error
        sys.exit(max(said))
    finally:
        del os.environ[LAUNCHER]
