# Everything works from a bare python3 (3.11 or newer); `make` alone lists the targets.
# `make PYTHON=python3.13 test` uses another one, for a .venv that does not exist yet.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Installed once, and again when what is to be installed changes.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# The KServe client needs other versions than we pin, so it has an environment of its own.
KSERVE := $(VENV)/kserve
KSERVE_STAMP := $(VENV)/.installed-kserve
# They start servers, and one at a time has the machine.
SERVER_TESTS := tests/integration tests/browser tests/acceptance tests/faults

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test unit lint types bench bench-core soak constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV_STAMP) $(KSERVE_STAMP) ## Make .venv with everything to use and to develop nearcast

demo: $(RUN_STAMP) ## Replay a real day of flights, e.g. make demo ARGS="--for 60 --json"
	@$(BIN)/nearcast demo $(ARGS)

test: lint types $(KSERVE_STAMP) ## Check style, imports and types, then run every test that must pass
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/pytest -n 2 --no-skips tests/unit
	$(BIN)/pytest --no-skips $(SERVER_TESTS)

unit: export NEARCAST_EXAMPLES ?= 20
unit: export NEARCAST_SCHEDULES ?= 1000
unit: $(DEV_STAMP) ## Run the tests that need no server, properties with a fifth of the examples that `make test` tries
	$(BIN)/pytest -n 2 tests/unit

lint: $(DEV_STAMP) ## Check style, format and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(DEV_STAMP) ## Check types, strictly
	$(BIN)/mypy

bench: $(DEV_STAMP) ## Measure speed beside nginx, Varnish, webdis and a tutorial, e.g. make bench ARGS="--json FILE"
	@$(BIN)/python -m tests.bench $(ARGS)

bench-core: $(DEV_STAMP) ## Measure precomputing, refreshing and memory on this machine
	$(BIN)/pytest -m bench -s tests/bench

soak: $(DEV_STAMP) ## Load one edge for ten minutes and see whether memory or latency grows, e.g. make soak ARGS="--minutes 60"
	@$(BIN)/python -m tests.bench.soak $(ARGS)

constraints: ## Pin the newest versions that fit together (makes a fresh environment for it)
	rm -rf $(VENV)-pins
	$(PYTHON) -m venv $(VENV)-pins
	$(VENV)-pins/bin/python -m pip --quiet --disable-pip-version-check install -e '.[dev]'
	$(VENV)-pins/bin/python -m pip freeze --exclude nearcast | grep '^[A-Za-z0-9._-]*==' > constraints.txt
	rm -rf $(VENV)-pins

clean: ## Remove what tools have left behind; keeps .venv
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(DEV_STAMP): $(RUN_STAMP)
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(KSERVE_STAMP): tests/clients/kserve.txt | $(BIN)/pip
	$(BIN)/python -m venv --clear $(KSERVE)
	$(KSERVE)/bin/python -m pip --quiet --disable-pip-version-check install -r tests/clients/kserve.txt
	@touch $@

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) install -c constraints.txt -e .
	@touch $@

# Checked before anything is made, so that a machine without them gets one line instead of a traceback.
$(BIN)/pip:
	@command -v $(PYTHON) > /dev/null || { echo "nearcast needs Python 3.11 or newer; $(PYTHON) is not here" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nearcast needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
		"Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
