"""The library behind the stages, one concern a module, and the commands of `python -m mnist`."""

import importlib.util
import sys
import time

STARTED = time.time_ns()  # what is written to later may not be what is imported

# `dvc repro` runs whatever `python` comes first on PATH; without the environment that would end in a traceback.
if importlib.util.find_spec("typer") is None:
    sys.exit(f"{sys.executable} lacks this project's libraries: run `make`, then `source .venv/bin/activate`")
