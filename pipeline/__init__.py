"""The machinery around the stages of a DVC pipeline; it knows nothing of what a stage computes."""

import importlib.util
import mmap
import os
import sys
import time

STARTED = time.time_ns()  # a file written to later may not be the one that is imported
MEMORY = "end other programs, or allow more (`ulimit -v` says how much)"
LEAST = 450 << 20  # bytes of address space: in 300 MB SciPy's OpenBLAS hangs, 310 and 128 for a thread are enough

# While it is loaded, OpenBLAS asks for memory again and again until it gets it, deaf to signals.
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # each takes more of it, and nothing here is large enough to gain
try:
    mmap.mmap(-1, LEAST).close()
except OSError:
    sys.exit(f"error: memory: less than {LEAST >> 20} MB can be had; {MEMORY}")

# `dvc repro` runs whatever `python` comes first on PATH; without the environment that would end in a traceback.
if importlib.util.find_spec("typer") is None:
    sys.exit(f"{sys.executable} lacks this project's libraries: run `make`, then `source .venv/bin/activate`")
