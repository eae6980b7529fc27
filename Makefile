# A machine needs Python 3.11 or newer and make; `uv` is used when it is there.
#   make demo      a contract is reviewed clause by clause, killed half way, resumed and drawn into out/
#   make test      every test
#   make check     what CI holds: lint, types, layers and every test
#   make bench     the speed beside six other engines, each installed by itself; BENCH='--aims' is short, '--quick' shorter
#   make guard     the work of this commit's engine, in instructions, beside that of the commit before (needs valgrind)
#   make soak      20 workers, killed at random instants for 10 minutes on each store; SOAK='--minutes 1' changes that
#   make pictures  draw the pictures of the README anew
#   make gallery   draw the pictures of docs/gallery anew, where they have changed
#   make lock      choose the versions in requirements/ anew (needs uv)

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PEERS := pydantic-graph langgraph burr llama-index-workflows agent-framework dbos
PEERS_MADE := $(PEERS:%=benchmarks/environments/%/.made)
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
MERMAID := tests/visualize/mermaid
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

.DELETE_ON_ERROR:
.PHONY: help demo test check lint types layers bench guard soak coverage pictures gallery lock clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.run
	@$(BIN)/milepost demo

test: $(VENV)/.dev $(MERMAID)/node_modules/.made
	@$(BIN)/python -m pytest -n auto --dist worksteal

check: lint types layers test

lint: $(VENV)/.dev
	$(BIN)/ruff check milepost tests benchmarks
	$(BIN)/ruff format --check milepost tests benchmarks

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: $(VENV)/.dev
	$(BIN)/lint-imports

bench: $(VENV)/.dev $(PEERS_MADE)
	@$(BIN)/python -m benchmarks $(BENCH)

guard: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.guard

soak: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.soak $(SOAK)

coverage: $(VENV)/.dev $(MERMAID)/node_modules/.made
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

pictures: demo
	$(BIN)/milepost render contract_review -o docs/pictures/workflow.svg
	cp out/run.svg docs/pictures/run.svg
	cp out/timeline.svg docs/pictures/timeline.svg

gallery: $(VENV)/.dev
	@$(BIN)/python -m tests.gallery

lock:
	$(LOCK) pyproject.toml --upgrade --group build --extra agents --extra svg --extra postgres --extra encryption --extra dev --extra bench \
		--output-file requirements/dev.txt
	$(LOCK) pyproject.toml --group build --extra agents --extra svg --constraints requirements/dev.txt \
		--output-file requirements/run.txt
	for peer in $(PEERS); do \
		$(LOCK) --upgrade benchmarks/requirements/$$peer.in --output-file benchmarks/requirements/$$peer.txt; \
	done

clean:
	rm -rf $(VENV) benchmarks/environments out build dist *.egg-info $(MERMAID)/node_modules

# A stamp is written last, so what was interrupted is made again; the environment is made anew when a version changes.
$(VENV)/.run: requirements/run.txt pyproject.toml
	@rm -rf $(VENV)
	@set -e; \
	if uv --version >/dev/null 2>&1; then \
		echo "Making $(VENV) with uv"; \
		uv venv --quiet --python '>=3.11' $(VENV); \
	else \
		for python in $(PYTHON) none; do \
			if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
		done; \
		if [ $$python = none ]; then \
			echo "Milepost needs Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; \
		fi; \
		echo "Making $(VENV) with $$python"; \
		$$python -m venv $(VENV); \
	fi
	@$(call install,--require-hashes -r requirements/run.txt)
	@$(call install,--no-deps --no-build-isolation -e .)
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@$(call install,--require-hashes -r requirements/dev.txt)
	@touch $@

define install
if uv --version >/dev/null 2>&1; then uv pip install --quiet --python $(BIN)/python $(1); \
else $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); fi
endef

# A peer of the benchmarks lives by itself, so that no two of them have to agree on the versions of what they stand on.
benchmarks/environments/%/.made: benchmarks/requirements/%.txt | $(VENV)/.run
	@echo "Making $(@D)"
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The real Mermaid parses what we draw. Without npm those tests are skipped, and say so; in CI they fail.
$(MERMAID)/node_modules/.made: $(wildcard $(MERMAID)/package.json)
	@mkdir -p $(@D)
	@if npm --version >/dev/null 2>&1; then npm install --prefix $(MERMAID) --silent --no-package-lock; \
	else echo "npm is not here: the tests that need the real Mermaid are skipped."; fi
	@touch $@
