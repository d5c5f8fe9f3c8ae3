# `make demo` and `make test` work on a fresh machine. Both create .venv if it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt
PIP := $(INSTALL) --quiet
COUNT_PACKAGES := awk '/^Collecting/ { printf "\r  %d package%s", ++n, n == 1 ? "" : "s"; fflush() } /^Installing/ { printf ", installing"; fflush() } END { if (n) print "" }'

# Compiled files are kept: every worker and every bot that a test starts would compile all of the code again.
export PYTHONDONTWRITEBYTECODE =

# Tests wait for each other's servers and browsers, so four workers keep two cores busy.
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores > 4 ? cores : 4)))

.PHONY: demo test coverage check lint bench bench-more soak audit deploy-check requirements sbom manifest clean

demo: $(VENV)/ready
	@exec $(BIN)/zofbot demo $(ARGS)

# All tests, or some: make test ARGS='-k quiet_hours'. CONTRIBUTING.md has more.
test: $(VENV)/ready-dev
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

check: lint test

# The same tests, traced; the lines that none of them walks are named. Python 3.12 takes no longer for it, 3.11 half as
# long again: make coverage PYTHON=python3.13 VENV=.venv-3.13
coverage: $(VENV)/ready-dev
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --cov --cov-report term-missing:skip-covered $(ARGS)

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The table of zofbot beside its rivals, in 15 to 25 minutes: make bench ARGS='--pairs 2 --rows start memory'
bench: $(VENV)/ready-dev
	$(BIN)/python benchmarks/table.py $(ARGS)

# What the table leaves out: growth, signatures, polling, memory of a key, pace, commands, clicks, floods.
bench-more: $(VENV)/ready-dev
	$(BIN)/python benchmarks/delivery.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/signatures.py
	$(BIN)/python benchmarks/slash.py
	$(BIN)/python benchmarks/triage.py
	$(BIN)/python benchmarks/flood.py

soak: $(VENV)/ready-dev
	$(BIN)/python -m tests.crash.soak $(ARGS)

# Fails if a pinned version has a known vulnerability, or if the advisories cannot be reached.
audit: $(VENV)/ready-dev
	$(PIP) 'pip-audit>=2.9,<3'
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

# The files of docs/deploy, checked against the schemas of Compose and Kubernetes. Tests check the unit with systemd-analyze.
deploy-check: $(VENV)/ready-dev
	$(PIP) 'check-jsonschema>=0.37,<1' 'kubernetes-validate>=1.33,<2'
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docs/deploy/compose.yml
	$(BIN)/kubernetes-validate --strict --no-warn docs/deploy/kubernetes.yml

# The container's packages with their hashes. Run it after changing pyproject.toml or constraints.txt.
requirements: $(VENV)/ready-dev
	$(PIP) 'pip-tools>=7.5,<8'
	echo '# What the container installs, by hash. Made from constraints.txt by `make requirements`; not edited by hand.' > requirements.new
	$(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-header --no-annotate --strip-extras --allow-unsafe --build-deps-for wheel --constraint constraints.txt \
		--output-file - --extra fast pyproject.toml | sed '/^#/d' >> requirements.new
	mv requirements.new requirements.txt

# The software bill of materials (CycloneDX), to attach to a release.
sbom: $(VENV)/ready-dev
	$(PIP) 'cyclonedx-bom>=7,<8'
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file sbom.json

manifest: $(VENV)/ready
	$(BIN)/zofbot manifest > manifest.yml

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "zofbot needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) -V) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing zofbot and its dependencies …"
	@{ $(INSTALL) --editable . && touch $@; } | $(COUNT_PACKAGES)
	@test -e $@

$(VENV)/ready-dev: $(VENV)/ready
	@rm -f $@
	@echo "Installing what the tests need …"
	@{ $(INSTALL) --editable '.[dev]' && touch $@; } | $(COUNT_PACKAGES)
	@test -e $@

clean:
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
