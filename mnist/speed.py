"""What takes time beside the arithmetic of a training step, and how to do without it."""

import contextlib
import ctypes
from collections.abc import Callable

import torch
from torch import optim

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_memory() -> None:
    """Have glibc keep memory that is freed: else a convolution's results go back to the system and are fetched again.

    That costs thousands of page faults a step, a fifth of the time or more.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)


def eager(kind: type[optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """The optimizer class without its torch.compile and profiler hooks.

    The former's import takes a second, at the first use; the latter take as long at each step as the arithmetic.
    """
    bare = {name: getattr(kind, name).__wrapped__ for name in ("add_param_group", "load_state_dict", "state_dict")}
    step = torch.no_grad()(kind.step.__wrapped__)  # type: ignore[attr-defined]
    step.hooked = True  # tells the class that the profiler's hook is there already
    return type(kind.__name__, (kind,), {**bare, "step": step, "zero_grad": zero_grad})


def zero_grad(optimizer: optim.Optimizer) -> None:
    """Forget the gradients of the last step."""
    for group in optimizer.param_groups:
        for weights in group["params"]:
            weights.grad = None
