# Two commands do everything on a machine with Python 3.11 to 3.13, pip, make and git: make demo, make test.
VENV ?= .venv
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done)
BIN := $(VENV)/bin
NAME ?= credit
export SOLVENT_DATA

.PHONY: install demo test check bench clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=/path/to/it"; exit 1; }
	@echo "installing into $(VENV): one to three minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	touch $@

demo: install  ## train, evaluate, score and report on 4,454 real loans
	$(BIN)/solvent demo credit --out runs/demo

test: install  ## all tests, on two cores
	$(BIN)/python -m pytest -n 2 --dist loadscope --durations=15

check: install  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install  ## a benchmark: make bench NAME=bootstrap
	$(BIN)/python tests/benchmarks/$(NAME).py

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
