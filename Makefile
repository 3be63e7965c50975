# Everything runs in .venv, which sets itself up; `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo format lint types layers check test test-all cov bench bench-quick build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "harvester needs Python 3.11 or newer; name one: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(READY) ## make .venv with harvester and its development tools

demo: $(READY) ## export made-up calls of all four providers into ./out
	@$(BIN)/python benchmarks/demo.py

format: $(READY) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY) ## ruff
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY) ## mypy and pyright; the public face is typed whole
	$(BIN)/mypy
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes harvester --ignoreexternal

layers: $(READY) ## imports point down the ladder
	$(BIN)/lint-imports

check: lint types layers ## lint, types and layers

test: $(READY) ## the tests, less the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-all: $(READY) ## all tests
	$(BIN)/python -m pytest

cov: $(READY) ## what the tests cover
	$(BIN)/python -m pytest --cov --cov-report=term-missing

bench: $(READY) ## speed and memory beside the peers, within the hour; needs nginx and wrk
	$(BIN)/python -m benchmarks

bench-quick: $(READY) ## the same, small and without peers, within a minute
	$(BIN)/python -m benchmarks --quick --out build/benchmarks-quick

build: $(READY) ## a wheel in dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what is made; ./out only where it is the demo's
	[ ! -e out/demo.toml ] || rm -rf out
	rm -rf $(VENV) .bench build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .import_linter_cache
