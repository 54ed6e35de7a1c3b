# Two commands do all: `make run` and `make test`. They set up what is missing first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK_DONE := $(VENV)/.locked
DEV_DONE := $(VENV)/.locked-dev
NPM_TESTS_DONE := tests/npm/node_modules/.locked
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: run
run: setup ## set up, then run the whole service on this machine
	exec $(BIN)/image2model up

.PHONY: setup
setup: $(LOCK_DONE) ## the virtual environment

.PHONY: test
test: setup-test ## set up, then run the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS)

.PHONY: setup-test
setup-test: $(DEV_DONE) $(NPM_TESTS_DONE) ## what the tests need besides

.PHONY: bench
bench: $(DEV_DONE) ## measure how fast it is (a quarter of an hour)
	$(BIN)/python -m tests.bench

.PHONY: check
check: $(DEV_DONE) ## format, lint, types, import layers
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: lock
lock: $(DEV_DONE) ## renew the lock files from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group pyproject.toml:build -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --group pyproject.toml:build --group pyproject.toml:dev -o requirements-dev.lock

.PHONY: clean
clean: ## remove what the set-up made
	rm -rf $(VENV) tests/npm/node_modules

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "image2model needs Python 3.11 or later, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(LOCK_DONE): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@

$(DEV_DONE): requirements-dev.lock $(LOCK_DONE)
	$(PIP) install --require-hashes -r requirements-dev.lock
	touch $@

$(NPM_TESTS_DONE): tests/npm/package-lock.json
	@command -v npm >/dev/null || { echo "the tests need Node and npm: install Node 20 or later" >&2; exit 1; }
	cd tests/npm && npm ci --silent --no-audit --no-fund
	touch $@
