# `make` alone lists what there is.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
# A worker a core, each with parts of its own; files stay whole, because their tests share what takes time to start. What
# happens in a browser has the machine to itself.
WORKERS = --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: help run reset test test-fast test-long fuzz-long lint format bench bench-ingest bench-export bench-quick lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## set up everything and run the whole service on this machine
	@$(PYTHON) config/bootstrap.py local
	@$(BIN)/python -m config.launch

reset: ## wipe var/: data, passwords, demo, mails
	@$(PYTHON) config/reset.py

test: ## set up everything, lint, and pass all tests
	@$(PYTHON) config/bootstrap.py test
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest $(WORKERS) -m "not browser"
	@$(BIN)/python -m pytest -m browser

test-fast: ## the tests that take no browser and no patience
	@$(PYTHON) config/bootstrap.py test
	@$(BIN)/python -m pytest $(WORKERS) -m "not slow and not browser"

test-long: ## property tests with 10 000 examples each, proofs with a million rounds, a million checks among killed parts, Stripe's stand-in killed 100 times, 1000 histories of webhooks, 100,000 requests of two tenants, a year of 200 tenants, a minute of forgotten scripts
	@$(PYTHON) config/bootstrap.py test
	@HYPOTHESIS_EXAMPLES=10000 PROOF_ROUNDS=1000000 FLUSH_S=60 CHAOS_CHECKS=1000000 CHAOS_KILLS=12 CHAOS_OUTAGE_S=60 \
	  SANDBOX_KILLS=100 SANDBOX_HISTORIES=200 WEBHOOK_HISTORIES=1000 WEBHOOK_STEPS=6 CROWD_REQUESTS=1000 YEAR_TENANTS=200 YEAR_DAYS=365 \
	  $(BIN)/python -m pytest tests/billing/sandbox tests/billing/test_webhook_histories.py tests/billing/test_year.py tests/tenancy/test_crowd.py tests/chaos tests/engine tests/proofs \
	  tests/door/test_exactness.py tests/door/test_linearizability.py tests/topologies/test_standalone.py

# mypy's Django plugin reads the settings; nothing is connected to.
lint: export DATABASE_URL = postgresql://nobody@127.0.0.1/nothing
lint: export COUNTERS_URL = redis://127.0.0.1
lint: export BUS_URL = redis://127.0.0.1
lint: export SECRET_KEY = for-reading-the-settings-only-0000000000
lint: export KEY_PEPPERS = 1:00000000000000000000000000000000
lint: ## ruff, mypy strict, the import contracts, templates
	@$(PYTHON) config/bootstrap.py test
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/djlint templates --lint --quiet

format: ## let ruff lay the code out
	@$(PYTHON) config/bootstrap.py test
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

fuzz-long: ## call the API 100,000 times with what its description says and what it does not; FUZZ_SEED=n begins elsewhere
	@$(PYTHON) config/bootstrap.py test
	@FUZZ_CALLS=$${FUZZ_CALLS:-100000} $(BIN)/python -m pytest tests/fuzz -s

bench: ## measure the door beside what else there is, and write docs/performance.md
	@$(PYTHON) config/bootstrap.py bench
	@$(BIN)/python -m tests.bench

bench-ingest: ## measure what counting an event costs, and how far behind a busy door ingest is; prints
	@$(PYTHON) config/bootstrap.py test
	@$(BIN)/python -m tests.bench.ingest

bench-export: ## measure how long an export of a million events takes, and its memory; prints
	@$(PYTHON) config/bootstrap.py bench
	@$(BIN)/python -m tests.bench.export

bench-quick: ## the same in less than a minute, of fewer contenders; only prints
	@$(PYTHON) config/bootstrap.py bench
	@$(BIN)/python -m tests.bench --quick

lock: ## write requirements/*.txt anew from requirements/*.in
	@$(PYTHON) config/bootstrap.py test
	@cd requirements && before=; for role in door web cli local test bench; do \
	  VIRTUAL_ENV=../.venv ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    $${before:+-c $$before.txt} $$role.in -o $$role.txt || exit 1; before=$$role; done; \
	  VIRTUAL_ENV=../.venv ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    clients.in -o clients.txt
