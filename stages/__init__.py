"""What DVC runs: one script a stage, `python -m stages.<name>`."""

import pipeline.interrupt  # noqa: F401
