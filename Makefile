# Every target sets up what it needs in .venv; a fresh machine wants Python 3.11+, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick check bench mutants torture new-platform setup lock clean

demo: $(VENV)/.run
	$(BIN)/yizhan demo $(ARGS)

setup: $(VENV)/.dev

test: check
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q $(ARGS)

quick: $(VENV)/.dev
	$(BIN)/python -m pytest -m fast -n 2 -q $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m checks

# Five platforms at once, migrations and a broadcast, killed 1,000 times; SEED=n chooses other moments.
torture: $(VENV)/.dev
	KILLS=$${KILLS:-1000} $(BIN)/python -m pytest tests/crash/test_busy_killed.py tests/crash/test_broadcast_killed.py -q $(ARGS)

# The skeleton of a platform in a package of its own: make new-platform NAME=pigeon
new-platform: $(VENV)/.dev
	$(BIN)/python -m yizhan.testing.new_platform $(NAME) $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

mutants: $(VENV)/.mutants
	$(BIN)/python -m mutants $(ARGS)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "yizhan needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

$(VENV)/.mutants: requirements/mutants.txt $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutants.txt
	touch $@

lock: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet uv
	cd requirements && ../$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q run.in -o run.txt
	cd requirements && ../$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q dev.in -c run.txt -o dev.txt
	cd requirements && ../$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q mutants.in -c dev.txt -o mutants.txt

clean:
	rm -rf $(VENV) .envs .mypy_cache .ruff_cache .pytest_cache
