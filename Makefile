# make: install and run the pipeline · make test: all tests · make docs: refresh the outputs that the pages show
# make bench: the benchmark · make mutate: which changes of the code no fast test notices
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all install lint test test-fast docs bench mutate
all: install
	@python -m mnist check
	dvc repro
	@echo
	@python -c 'import json, sys; print(sys.argv[1].format(**json.load(sys.stdin)))' < metrics/evaluate.json \
		'Accuracy {accuracy:.4f} on {n:,} test images, 95 % between {accuracy_low:.4f} and {accuracy_high:.4f}'
	@echo 'Look at metrics/plots/predictions.png: images, and the probabilities that the network gives to their classes'
	@echo 'Next: source .venv/bin/activate, edit params.yaml, and run: dvc repro'

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

docs: install
	python -m tests.docs

bench: install
	python -m benchmarks

# in forked processes, which a GPU's driver does not survive; a kill rate per module at the end
mutate: install
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements.txt mutmut==3.8.1
	rm -rf mutants
	mkdir -p mutants/.dvc
	CUDA_VISIBLE_DEVICES= mutmut run
	mutmut results
	@mutmut results --all true | sed -E 's/^ +([a-z._]+)\.x.*: /\1 /' | sort | uniq -c
