# The two commands: `make demo` and `make test`. Each sets up what it needs, once.
.DEFAULT_GOAL := help
.PHONY: help demo up setup setup-dev test test-valkey test-newest faults coverage test-browser chaos bench check add lock vendor screenshots clean

PORT ?= 8000
MINUTES ?= 5
REPEATS ?= 3
PYTHON := .venv/bin/python

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s%s\n", $$1, $$2 }' Makefile

demo: setup ## Run everything, with jobs to look at in the console (PORT=8001 for another port)
	@$(PYTHON) -m service demo --port $(PORT)

up: setup ## Run everything, without the posts
	@$(PYTHON) -m service up --port $(PORT)

setup: ## Build .venv with what Errand needs to run
	@sh .ci/setup requirements.txt

setup-dev: ## Build .venv with what its tests need as well
	@sh .ci/setup requirements-dev.txt

# Runs tests in some processes; prints the ten slowest, and how long all took.
define run_tests
	@started=$$(date +%s); $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist worksteal --durations 10 $(1); ended=$$?; \
		echo "make $@: $$(($$(date +%s) - started)) s"; exit $$ended
endef

test: setup-dev ## Run the quick tests of everything (about 6 minutes on 2 cores)
	$(call run_tests,-m "not browser and not slow and not thorough")

test-valkey: setup-dev ## Run the thorough tests, and those that `make test` runs without a server (about 15 minutes)
	$(call run_tests,--valkey -m "not browser and not slow")

faults: setup-dev ## Run all tests of what holds when something dies, the slow ones too (about 30 minutes)
	@$(PYTHON) -m pytest tests/faults tests/upgrade tests/examples

test-newest: setup-dev ## Run the unit tests on the newest Python that is here and has all wheels
	@sh .ci/newest

coverage: setup-dev ## Run the quick tests under coverage, in every process they start
	@rm -rf .coverage && mkdir .coverage
	@$(PYTHON) -m coverage run -m pytest -m "not browser and not slow and not thorough" -n 2 --dist worksteal
	@$(PYTHON) -m coverage combine --quiet && $(PYTHON) -m coverage report --skip-covered --sort=cover

test-browser: setup-dev ## Run the console's and the dashboard's tests in Debian's chromium
	@$(PYTHON) -m pytest -n 2 --dist loadfile --durations 10 -m "browser and not slow"

chaos: setup-dev ## Random faults against three workers, every job accounted for (MINUTES=5, SEED=…, FAULTS=…)
	@$(PYTHON) -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) \
		$(if $(REPORT),--report $(REPORT))

bench: setup-dev ## Errand beside other queues (SYSTEMS="errand saq" ROWS=drain,post REPEATS=1); needs wrk
	@$(PYTHON) -m bench $(SYSTEMS) $(if $(ROWS),--rows $(ROWS)) --repeats $(REPEATS)

check: setup-dev ## ruff, ruff format, mypy --strict, every Lua script compiled, the vendored files
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) .ci/check_lua.py
	@$(PYTHON) .ci/vendor.py --check

# uv writes the lock files; the tests' environment has it, however old that is.
.venv/bin/uv:
	@sh .ci/setup requirements-dev.txt

add: .venv/bin/uv ## Add what a job imports, to pyproject.toml, the lock files and .venv (PACKAGE=pillow)
	@sh .ci/add

lock: .venv/bin/uv ## Write the lock files anew; OPTIONS=--upgrade for newer versions
	@sh .ci/lock $(OPTIONS)

vendor: setup-dev ## Fetch the scripts by others, the console's and its tests', by the versions in .ci/vendor.py (needs npm)
	@$(PYTHON) .ci/vendor.py

screenshots: setup-dev ## Take the pictures of the console for the docs anew, with Debian's chromium
	@$(PYTHON) .ci/screenshots.py

clean: ## Remove the environment and the demo's data
	rm -rf .bench .coverage .mutation .venv .venv-newest .venv-[0-9]*-[0-9]* .venv-before-[0-9]* .errand .errand-* log.txt
