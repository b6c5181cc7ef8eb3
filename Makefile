# make: install and run the pipeline · make test: all tests · make bench: the benchmark
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all install lint test test-fast bench
all: install
	@python -m mnist check
	dvc repro

install: .venv/.installed

# requirements.txt pins everything, what the pinned needs included
.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: Python 3.11 or newer with venv is needed; on Debian or Ubuntu: apt-get install python3-venv;" \
			"another one than $(PYTHON): make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

lint: install
	ruff check .
	ruff format --check .
	mypy

test: install
	pytest -n 3 --dist worksteal --durations 12

test-fast: install
	pytest -n 3 --dist worksteal -m "not slow"

bench: install
	python -m benchmarks
