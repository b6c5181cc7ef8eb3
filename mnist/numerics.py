"""Everything that would let the machine or the environment decide a result's last bits, pinned."""

import os
import sys

# Which instructions a library uses decides how its sums round, and each would choose by the processor it finds: with
# AVX-512 other ones than without. Other architectures ignore these. MKL adds up in yet another order on processors that
# are not Intel's; only MKL_CBWR=COMPATIBLE is the same on all, and takes 2.6 times as long for a matrix product.
INSTRUCTION_SETS = {
    "MKL_CBWR": "AVX2",
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

    import torch

    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms() takes a second to import
    # a debugging aid that costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False  # would choose algorithms by their speed on the day
