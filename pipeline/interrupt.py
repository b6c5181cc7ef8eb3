"""Imported first of all: Ctrl-C while other modules are imported ends the process without a traceback."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
