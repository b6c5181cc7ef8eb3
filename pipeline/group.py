"""The processes that share one run of a stage: who they are, and what they tell each other by torch.distributed.

`torchrun` or the stage itself (pipeline/launch.py) starts them, and gives each a rank in its environment. The first one
alone writes, and says what there is to say; the others end with it.
"""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline import launch
from pipeline.errors import InputError


class Group:
    """The processes of a run, each with a rank from 0."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def gather(self, mine: Tensor) -> Tensor:
        """What each process has, (size, …), by rank; `mine` has the same shape in all of them."""
        every = mine.new_empty(self.size, *mine.shape)
        with ending():
            dist.all_gather_single(every.view(-1), mine.reshape(-1))
        return every

    def hand_out(self, mine: Any) -> Any:
        """What the first process has, in all of them."""
        box = [mine]
        with ending():
            dist.broadcast_object_list(box)
        return box[0]

    def hold(self, stage: str, inputs: dict[str, Any]) -> None:
        """Raise InputError if the processes do not have the same inputs, as on machines of which one is not current."""
        every: list[Any] = [None] * self.size
        with ending():
            dist.all_gather_object(every, inputs)
        for rank, theirs in enumerate(every):
            names = [name for name in every[0] | theirs if every[0].get(name) != theirs.get(name)]
            if names and self.rank:
                launch.end(1)
            if names:
                raise InputError(
                    f"{stage}: process {rank} has other inputs than process 0: {', '.join(names[:3])}"
                    f"{' and more' * (len(names) > 3)}; give both the same commit, parameters and data"
                )


@contextlib.contextmanager
def joined(stage: str, inputs: dict[str, Any], device: str, patience: int) -> Iterator[Group | None]:
    """The processes that run this stage together; None where it runs alone.

    They wait `patience` seconds for each other: to come, and to be done with what the next step needs of them.
    Raises InputError if one does not come, has no GPU or other inputs, or ends before the others.
    """
    if not launch.shared():
        yield None
        return
    number = int(os.environ.get("LOCAL_RANK", "0"))
    check_gpus(device, number + 1)
    try:
        if device == "cuda":
            torch.cuda.set_device(number)
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=dt.timedelta(seconds=patience))
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{stage}: the other processes cannot be reached ({reason(error)}); start them together"
        ) from error
    try:
        group = Group()
        group.hold(stage, inputs)
        with contextlib.nullcontext() if group.rank == 0 else silent():
            yield group
    finally:
        dist.destroy_process_group()


def check_gpus(device: str, processes: int) -> None:
    """Raise InputError if this machine has no GPU for each of so many processes that want one."""
    if device == "cuda" and processes > (there := torch.cuda.device_count()):
        raise InputError(
            f"params.yaml: train.device: cuda: {there} CUDA devices here, and each process needs one of its own; set "
            "it to cpu, or start fewer"
        )


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Say nothing, as the first process says it."""
    with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
        yield


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """End with the others: whoever has lost one of them cannot go on."""
    try:
        yield
    except RuntimeError as error:
        if launch.watched():  # by what has started them, and says which one has ended
            launch.end(launch.LOST)
        raise InputError(
            f"another of the processes has ended, or cannot be reached ({reason(error)}); start all of them again: "
            "training goes on after its last epoch"
        ) from error


def reason(error: Exception) -> str:
    """The beginning of what a library says."""
    return " ".join(str(error).split("] ")[-1].split())[:100]
