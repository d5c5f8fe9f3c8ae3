# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make .venv when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test coverage lint bench soak audit manifest clean

demo: $(VENV)/ready
	@exec $(BIN)/zofbot demo $(ARGS)

test: lint $(VENV)/ready-dev
	$(BIN)/pytest --numprocesses 5 --dist worksteal $(ARGS)

# The same tests, traced; the lines that none of them walks are named. Python 3.12 takes no longer for it, 3.11 half as
# long again: make coverage PYTHON=python3.13 VENV=.venv-3.13
coverage: $(VENV)/ready-dev
	$(BIN)/pytest --numprocesses 5 --dist worksteal --cov --cov-report term-missing:skip-covered $(ARGS)

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/slash.py
	$(BIN)/python benchmarks/delivery.py
	$(BIN)/python benchmarks/triage.py

soak: $(VENV)/ready-dev
	$(BIN)/python -m tests.crash.soak $(ARGS)

# Fails where a pinned version has a known weakness, and also, saying so, where the advisories cannot be reached.
audit: $(VENV)/ready-dev
	$(PIP) 'pip-audit>=2.9,<3'
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

manifest: $(VENV)/ready
	$(BIN)/zofbot manifest > manifest.yml

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "zofbot needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --editable .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
