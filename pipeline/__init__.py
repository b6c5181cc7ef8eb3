"""The machinery around the stages of a DVC pipeline; it knows nothing of what a stage computes."""

import importlib.util
import sys
import time

STARTED = time.time_ns()  # a file written to later may not be the one that is imported

# `dvc repro` runs whatever `python` comes first on PATH; without the environment that would end in a traceback.
if importlib.util.find_spec("typer") is None:
    sys.exit(f"{sys.executable} lacks this project's libraries: run `make`, then `source .venv/bin/activate`")
