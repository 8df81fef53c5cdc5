# Every target makes the virtual environment it needs, in VENV. PYTHON is the interpreter that makes it: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Idle threads of torch sleep; spinning ones slow everything else down.
export OMP_WAIT_POLICY ?= passive
# Two processes share the tests, a file in one of them; each computes with one thread.
WORKERS ?= 2
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one with PYTHON=") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[small]'
	@touch $@

$(VENV)/.stamp-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[transformers,test]'
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-test
	$(INSTALL) -e '.[transformers,dev]'
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-test
	$(INSTALL) -e '.[bench,test]'
	@touch $@

demo: $(VENV)/.stamp-demo  ## three conversations by the small engine's own picks; no torch
	@$(BIN)/constrained demo

test: $(VENV)/.stamp-test  ## all tests, the real small model's included
	@$(TESTS)

check: $(VENV)/.stamp-dev  ## format, lint, types, import rules, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(TESTS)

bench: $(VENV)/.stamp-bench  ## every benchmark suite; the results go to benchmarks/results
	$(BIN)/python -m benchmarks all

clean:  ## remove the environment, caches and build outputs; models stay where they are
	rm -rf $(VENV) build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
