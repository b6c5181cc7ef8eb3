"""What `mnist.speed` does without is really gone, and its settings reach the C library."""

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn, optim

from mnist import speed
from mnist.commands import serve

PAGE, LARGEST = 4096, 32 << 20  # bytes


class Mallinfo(ctypes.Structure):
    """What glibc says of its memory (mallinfo2(3)); the names are its own."""

    names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in names]


@pytest.fixture
def glibc() -> Iterator[ctypes.CDLL]:
    """glibc, set to give freed memory back at once as it does by default; afterwards as training sets it."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("needs glibc 2.33 or newer")
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.mallinfo2.restype = Mallinfo
    for setting in (speed.M_TRIM_THRESHOLD, speed.M_MMAP_THRESHOLD):
        assert libc.mallopt(setting, 128 << 10) == 1
    yield libc
    speed.keep_memory()


def mapped_and_given_back(libc: ctypes.CDLL, size: int) -> tuple[bool, bool]:
    """Whether a block of this size is a map of its own, and whether the heap shrinks by it when it is freed."""
    libc.malloc_trim(0)
    before = new = libc.mallinfo2()
    blocks = []
    while (new.arena, new.hblkhd) == (before.arena, before.hblkhd):  # what the heap has left from earlier comes first
        blocks.append(libc.malloc(size))
        new = libc.mallinfo2()
    for block in blocks:
        libc.free(block)
    return new.hblkhd > before.hblkhd, new.arena - libc.mallinfo2().arena >= size


def test_what_a_step_frees_stays_in_the_process_up_to_32_mib(glibc: ctypes.CDLL) -> None:
    assert mapped_and_given_back(glibc, LARGEST - PAGE) == (True, False)
    speed.keep_memory()
    assert mapped_and_given_back(glibc, LARGEST - PAGE) == (False, False)
    assert mapped_and_given_back(glibc, LARGEST) == (True, False)


def test_the_server_gives_back_what_a_picture_takes(glibc: ctypes.CDLL) -> None:
    speed.keep_memory()
    serve.give_memory_back()
    assert mapped_and_given_back(glibc, serve.LARGE) == (True, False)
    assert mapped_and_given_back(glibc, LARGEST - PAGE) == (True, False)


@pytest.mark.parametrize("library", [SimpleNamespace(), None])
def test_another_c_library_is_left_as_it_is(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """As musl's, which has no mallopt, and where none can be opened."""

    def opened(_: None) -> object:
        if library is None:
            raise OSError
        return library

    monkeypatch.setattr(ctypes, "CDLL", opened)
    speed.keep_memory()
    serve.give_memory_back()


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
def test_an_optimizer_runs_nothing_of_the_compiler_or_the_profiler(
    kind: type[optim.Optimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    if hasattr(kind.step, "hooked"):  # an earlier test has used torch's own
        monkeypatch.setattr(kind, "step", kind.step.__wrapped__)  # type: ignore[attr-defined]
    first, second = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
    ran = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, *_: ran.add(frame.f_code.co_filename))
    try:
        optimizer = speed.eager(kind)([first], lr=0.1, weight_decay=0)
        optimizer.add_param_group({"params": [second]})
        optimizer.load_state_dict(optimizer.state_dict())
        (first.sum() + second.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    finally:
        sys.setprofile(before)
    assert {Path(file).name for file in ran} >= {"optimizer.py", "speed.py"}
    assert [file for file in ran if re.search(r"torch/(_compile|_dynamo|autograd/profiler)", file)] == []
    assert torch.cat([first, second]).tolist() == pytest.approx([0.9] * 5)
    assert (first.grad, second.grad) == (None, None)
    assert isinstance(optimizer, kind)
    assert repr(optimizer).startswith(f"{kind.__name__} (\n")
