# Two commands do everything on a fresh machine: `make demo` and `make test`. Both make .venv when it is missing or stale.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Compiled files are kept: every worker and every bot that a test starts would compile all of the code again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test coverage check lint bench soak audit requirements sbom manifest clean

demo: $(VENV)/ready
	@exec $(BIN)/zofbot demo $(ARGS)

# All tests, or some: make test ARGS='-k quiet_hours'. CONTRIBUTING.md says what else can be asked for.
test: $(VENV)/ready-dev
	$(BIN)/pytest --numprocesses 4 --dist worksteal $(ARGS)

check: lint test

# The same tests, traced; the lines that none of them walks are named. Python 3.12 takes no longer for it, 3.11 half as
# long again: make coverage PYTHON=python3.13 VENV=.venv-3.13
coverage: $(VENV)/ready-dev
	$(BIN)/pytest --numprocesses 4 --dist worksteal --cov --cov-report term-missing:skip-covered $(ARGS)

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

# The container's packages with their hashes, after a change of pyproject.toml or constraints.txt; no host name gets in.
requirements: $(VENV)/ready-dev
	$(PIP) 'pip-tools>=7.5,<8'
	echo '# What the container installs, by hash. Made from constraints.txt by `make requirements`; not edited by hand.' > requirements.new
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --no-annotate --strip-extras --allow-unsafe --build-deps-for wheel --constraint constraints.txt \
		--output-file - pyproject.toml | sed '/^#/d' >> requirements.new
	mv requirements.new requirements.txt

# The software bill of materials of a release, in CycloneDX: attach it to the release.
sbom: $(VENV)/ready-dev
	$(PIP) 'cyclonedx-bom>=7,<8'
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file sbom.json

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
