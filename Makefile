# Two commands matter: `make demo` (see it work) and `make test` (know it works). The rest are habits.
# Needs python >= 3.11, make and a package index that pip reaches; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: errors only.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
#: Four workers keep two cores busy, since many tests wait for a browser or a server; `make test WORKERS=0` runs in one process, which a debugger needs.
WORKERS ?= 4
#: `make test TESTS=tests/domain` runs a part; the coverage floor then does not apply.
TESTS ?=
COVERAGE_FLOOR := 95

# Hashes for every platform, no index address. The later locks are bound to the versions of the first.
LOCK := pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
        --custom-compile-command "make lock" --quiet

.PHONY: demo test check fmt lint types layers bench prove lock clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo     build the environment and start the service with its sample company, inbox and story"
	@echo "make test     lint, types, layers, every test; on SQLite and PostgreSQL"
	@echo "make fmt      format and sort imports        make lint / types / layers   one check"
	@echo "make bench    benchmarks, each beside its peer"
	@echo "make prove    the large tests at full size, and the large proofs: minutes to hours"
	@echo "make lock     pin what pyproject.toml asks for           make clean   remove what was built"

demo: $(VENV)/.runtime
	@$(BIN)/pixel-service demo

test: check
	@echo "== tests"
ifeq ($(TESTS),)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term --cov-fail-under=$(COVERAGE_FLOOR)
	@$(BIN)/coverage report --include='pixel_service/domain/*' --fail-under=100 --format=total >/dev/null || \
	  { $(BIN)/coverage report --include='pixel_service/domain/*'; echo "the domain must be covered whole"; exit 1; }
else
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)
endif

# One after the other, so that the first failure stands last on the screen, also under `make -j`.
check: $(VENV)/.dev
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory layers

fmt: $(VENV)/.dev
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lint: $(VENV)/.dev
	@echo "== lint"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "run 'make fmt'"; exit 1; }

types: $(VENV)/.dev
	@echo "== types"
	@$(BIN)/mypy

layers: $(VENV)/.dev
	@echo "== layers"
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.dev
	@for program in tests/benchmarks/bench_*.py; do echo "== $$program"; \
	$(BIN)/python -m "$$(echo $${program%.py} | tr / .)" || exit 1; done

# Every proof, also after one that failed.
prove: $(VENV)/.dev
	@failed=0; PIXEL_TEST_FULL=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 0 -m slow || failed=1; \
	for program in tests/proofs/prove_*.py; do echo "== $$program"; \
	$(BIN)/python -m "$$(echo $${program%.py} | tr / .)" || failed=1; done; exit $$failed

# Keeps the versions that stand; `make lock UPGRADE=--upgrade` takes the newest.
lock: $(VENV)/.made
	@command -v uv >/dev/null || $(BIN)/uv --version >/dev/null 2>&1 || $(PIP) install uv
	@uv=$$(command -v uv || echo $(BIN)/uv); set -e; \
	$$uv $(LOCK) $(UPGRADE) pyproject.toml -o requirements.lock; \
	$$uv $(LOCK) $(UPGRADE) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock; \
	$$uv $(LOCK) $(UPGRADE) --group build -c requirements-dev.lock -o requirements-build.lock
	@! grep -n '://' requirements*.lock

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find pixel_service tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment, in stamps: a second run does nothing ------------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed; '$(PYTHON)' is not. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "This Python can not make environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "== making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements.lock requirements-build.lock pyproject.toml
	@echo "== installing what the service needs (a minute the first time)"
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "== installing what the tests need"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
