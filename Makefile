# Everything a newcomer or a maintainer runs. `make` alone lists it.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
UV_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
DJADE := $(BIN)/djade --target-version 5.2
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-dev assets run demo test test-long bench chaos chaos-selftest deploy-check lint measure format schema fuzz screenshots messages messages-compiled types check lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

install: $(VENV)/.base assets  ## the virtual environment with what the product needs, and the front-end assets

install-dev: $(VENV)/.dev assets node_modules/.package-lock.json  ## the same with tests, linters and type checker

# Its own stamp and not the interpreter's file: a set-up that was cut off begins again.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "smsapp needs Python 3.11 or later with the venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@test -d $(VENV) || echo "Creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: requirements/base.txt | $(VENV)/.made
	@echo "Installing requirements/base.txt"
	@$(PIP) -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	@echo "Installing requirements/dev.txt"
	@$(PIP) -r requirements/dev.txt
	@touch $@

# npm is the machine's, or comes in a wheel where there is none.
$(VENV)/.npm: requirements/node.txt $(VENV)/.base
	@command -v npm >/dev/null 2>&1 || { echo "Installing requirements/node.txt"; $(PIP) -r requirements/node.txt; }
	@touch $@

node_modules/.package-lock.json: package-lock.json $(VENV)/.npm
	@echo "Installing the npm packages that tests use"
	@$(MANAGE) assets --tools
	@touch $@

assets: $(VENV)/.npm  ## front-end files of Bootstrap, Font Awesome and Chart.js into static/vendor/
	@$(MANAGE) assets

run: install  ## the whole platform in the foreground; PORT=, DATABASE_URL= ... respected
	@exec $(MANAGE) run

demo: install  ## a sample campaign from file to delivery reports; ROWS=, WORKERS=, KEEP=1
	@exec $(MANAGE) demo

test: install-dev  ## all tests, on PostgreSQL with Redis and on SQLite; ARGS="tests/uploads -x"
	@exec $(BIN)/python -m tests.run $(ARGS)

test-long: install-dev  ## the tests that take minutes: chaos on both databases, a small benchmark; part of CI
	@exec $(BIN)/python -m tests.run --long $(ARGS)

bench: install-dev  ## speed, cost and memory beside the raw limit and an ordinary design; ROWS=, ROUNDS=, ONLY=path
	@exec $(BIN)/python -m tests.benchmarks

chaos: install-dev  ## kill -9, outages and a full disk in mid campaign, compared with the ledger; MESSAGES=, KILLS=, SEED=, DATABASE=postgres, SUPERVISOR=1, POISON=1, ROLLBACK=1
	@exec $(BIN)/python -m tests.chaos

chaos-selftest: install-dev  ## take out one guard after the other, and see that the tests notice; ONLY="no rank"
	@exec $(BIN)/python -m tests.chaos.selftest

screenshots: install-dev  ## every page of the dashboard: light, dark and on a phone, into var/screenshots; README=1 also README's pictures; needs Chromium
	@exec $(BIN)/python -m tests.browser.screenshots

deploy-check: install-dev  ## that docker/production.env.example lacks nothing; WITHOUT="METRICS_TOKEN ..." leaves names out
	@$(BIN)/python -m tests.deploy_check $(WITHOUT)

lint: $(VENV)/.dev  ## ruff: rules and formatting; djade: templates; import-linter: who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@find templates -name '*.html' -exec $(DJADE) --check {} +
	@$(BIN)/lint-imports --no-logo

measure: $(VENV)/.dev  ## the shape of the code beside its goals: functions, files in a folder, globals, templates, README
	@$(BIN)/python -m tests.measure

format: $(VENV)/.dev  ## ruff, djade: put formatting and import order right
	@$(BIN)/ruff check --fix-only --select I .
	@$(BIN)/ruff format .
	@find templates -name '*.html' -exec $(DJADE) {} +

schema: $(VENV)/.dev  ## tests/data/openapi.json, the API as it is documented, anew
	@DJANGO_SETTINGS_MODULE=smsapp.settings.test $(MANAGE) spectacular --validate --fail-on-warn --format openapi-json --file tests/data/openapi.json

fuzz: install-dev  ## the API compared with its document, with many made-up calls; SCHEMATHESIS_EXAMPLES=
	@SCHEMATHESIS_EXAMPLES=$${SCHEMATHESIS_EXAMPLES:-200} $(BIN)/python -m tests.run tests/smsapp/api/openapi/test_contract.py

messages: $(VENV)/.dev  ## what the dashboard says, for translators: smsapp/locale/LANGUAGE/LC_MESSAGES/django.po; LANGUAGE=de; needs gettext
	@mkdir -p smsapp/locale && $(MANAGE) makemessages --locale $(LANGUAGE) --no-location --no-wrap --ignore .venv --ignore node_modules --ignore var --ignore tests

messages-compiled: $(VENV)/.dev  ## what was translated becomes what is shown; needs gettext
	@$(MANAGE) compilemessages --ignore .venv

types: $(VENV)/.dev  ## mypy
	@mkdir -p var && VAR_DIR=var/mypy $(BIN)/mypy .

check: lint types  ## lint, types, Django's own checks
	@$(MANAGE) check
	@$(MANAGE) makemigrations --check --dry-run

lock: $(VENV)/.dev  ## pin the newest versions that requirements/*.in allow
	@for name in base dev prod node; do $(UV_LOCK) --upgrade -o requirements/$$name.txt requirements/$$name.in || exit 1; done

clean:  ## remove what was installed and generated, the embedded database in var/ included
	rm -rf $(VENV) node_modules static/vendor staticfiles var .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
