# `make demo` runs the whole thing on this machine; `make test` runs every test. Both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test test-deps invoice faults soak lint format docs bench bench-sync storm screenshots gallery build clean help

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/.installed: pyproject.toml hatch_build.py $(wildcard obskit/signals/_native*.c)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m compileall -q -j 0 obskit  # which pip does for what it installs, but not where that is editable
	touch $@

demo: $(BIN)/.installed  ## Two services, a scripted incident and the local backend; ARGS="--duration 60 --check"
	$(BIN)/obskit demo $(ARGS)

test: $(BIN)/.installed  ## All tests; ARGS=tests/engine for some of them
	$(BIN)/python -m pytest -n 2 $(ARGS)

test-deps:  ## Debian packages that some tests need (as root)
	@(for part in redis-server prometheus promtool chromium chromedriver valgrind; do command -v $$part >/dev/null || exit 1; done) \
	|| { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	     redis-server prometheus chromium chromium-driver valgrind fonts-dejavu-core; }

faults: $(BIN)/.installed  ## All fault tests, slow ones too, one line a fault; ARGS=--json, --peers, "--only 7,8"
	$(BIN)/python tests/faults/run.py $(ARGS)

soak: $(BIN)/.installed  ## Half an hour of mixed traffic, recycling workers, a failing collector; ARGS="--minutes 2"
	$(BIN)/python tests/faults/soak.py $(ARGS)

lint: $(BIN)/.installed  ## Ruff, mypy and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(BIN)/.installed  ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(BIN)/.installed  ## Generate the configuration, metrics and command line references
	$(BIN)/python docs/generate.py

bench: $(BIN)/.installed  ## What observing a request costs, beside eight others (half an hour); ARGS="--only instructions --json"
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-sync: $(BIN)/.installed  ## check and plan of 10 to 1,000 policies: time, memory, calls; ARGS="--sizes 10,1000 --json"
	$(BIN)/python benchmarks/sync.py $(ARGS)

storm: $(BIN)/.installed  ## 1,000 clients, a quota of 100 calls a second: the guard beside the SDK's retries; ARGS=--overhead
	ulimit -n 8192; $(BIN)/python benchmarks/storm.py $(ARGS)

invoice: $(BIN)/.installed  ## A fake Gemini's ledger beside what obskit and others count; ARGS="--json --calls 500", --write
	$(BIN)/python invoice/run.py $(ARGS)

screenshots: $(BIN)/.installed  ## Pictures of the web UI for the README, from the demo
	$(BIN)/python docs/screenshots.py $(ARGS)

gallery: $(BIN)/.installed  ## Pictures of the packs' dashboards for docs/gallery.md, from their scenarios
	$(BIN)/python docs/gallery.py $(ARGS)

build: $(BIN)/.installed  ## Source distribution, its wheel for this Python and machine, and the wheel for all, in dist/
	$(BIN)/python -m build
	OBSKIT_BUILD_NATIVE=0 $(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist build obskit/signals/_native*.so*
