# kefu: set up, run, test, check, measure. Needs Python 3.11+ and make, nothing else by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
SECONDS ?= 300
WORKERS ?= 2
STAMP := $(VENV)/.installed
RUNTIME := $(VENV)/.runtime

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench soak fuzz lock clean

help: ## Show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/'

setup: $(STAMP) ## Make .venv from requirements.lock (quick the second time)

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
KEFU := $(PIP) --no-deps --no-build-isolation -e .

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	$(KEFU)
	touch $(RUNTIME) $(STAMP)

# To run it, the tools of developers are not waited for.
$(RUNTIME): deploy/requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r deploy/requirements.lock
	$(KEFU)
	touch $(RUNTIME)

run: $(RUNTIME) ## Start everything on PORT (default 8000); data in ./data
	$(BIN)/kefu serve --port $(PORT)

test: setup ## Run every test but the soaks, in WORKERS processes (default 2)
	$(BIN)/python -m pytest -m "not soak" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: setup ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## Print the headline figures
	$(BIN)/python -m benchmarks.log_append
	$(BIN)/python -m benchmarks.log_scale --events 100000,300000
	$(BIN)/python -m benchmarks.log_replay --events 1500000
	$(BIN)/python -m benchmarks.projection
	$(BIN)/python -m benchmarks.command_path

soak: setup ## The long fault tests
	KEFU_SOAK=1 $(BIN)/python -m pytest -m "faults or soak"

fuzz: setup ## Fuzz the log's and the WebSocket's readers, SECONDS each (default 300)
	$(BIN)/python -m tests.fuzz.run segment -max_total_time=$(SECONDS)
	$(BIN)/python -m tests.fuzz.run websocket -max_total_time=$(SECONDS)

lock: setup ## Resolve requirements.lock and deploy/requirements.lock anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra build -c requirements.lock pyproject.toml -o deploy/requirements.lock

clean: ## Remove what was made here, but not ./data
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
