"""Pin everything through which machine or environment could change a result's last bits."""

import os
import sys

# Which instructions a library uses decides how its sums round, and each would choose by the processor it finds.
# MKL may use AVX-512 and its kernels for AMD: in its strict mode, `mnist.linear` gives all of them one order.
INSTRUCTION_SETS = {
    "MKL_CBWR": "AUTO,STRICT",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic matrix products on CUDA, says its documentation
}
PREFIXES = ("OMP_", "GOMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_", "ATEN_")


def pin(threads: int) -> None:
    """Make torch compute the same bits wherever it can. Call it before anything imports torch.

    Environment variables that tune its libraries lose their effect: `threads` decides, as it is part of the result.
    """
    if "torch" in sys.modules and any(os.environ.get(name) != value for name, value in INSTRUCTION_SETS.items()):
        raise RuntimeError("numerics.pin() must come before torch is imported")
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        del os.environ[name]
    os.environ.update(INSTRUCTION_SETS)
    # A thread that waits for another one sleeps. By default it tries again and again, and beside other work keeps the
    # core from the one that it waits for: a part of an epoch of `cnn` on two busy cores took 39 s instead of 8.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

    import torch

    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms() takes a second to import
    # a debugging aid that costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False  # would choose algorithms by their speed on the day
    torch.backends.cudnn.allow_tf32 = False  # a GPU's convolutions would round their inputs to 10 bits


def warn(stage: str, device: str) -> None:
    """Say on stderr, in one line, if results here may differ from those of other machines."""
    if why := own_order(device):
        print(f"{stage}: {why}, so results may differ in their last digits from other machines'", file=sys.stderr)


def own_order(device: str) -> str | None:
    """Why sums have another order here than on other machines; None if they have the same."""
    import torch

    from mnist import linear

    if device != "cpu":
        return f"{device} adds up in an order of its own"
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return "this processor has no AVX2"
    if not linear.keeps_order():
        return "this build of torch adds up in an order of its own"
    return None
