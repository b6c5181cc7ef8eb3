"""What DVC runs: one script a stage, `python -m stages.<name>`."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules are imported ends the stage without a traceback
