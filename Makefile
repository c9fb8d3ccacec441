# The two commands of the README are `make demo` and `make test`; everything else here serves them.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint format lock wheel clean

# The lock names every package, so pip must not look for others: for a package with an extra it would take a version that came
# out since, and refuse it because it has no hash. `pip check` tells afterwards whether anything is missing.
.venv/.runtime: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	$(BIN)/recaster models install
	touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip check
	touch $@

demo: .venv/.runtime
	$(BIN)/recaster demo --output demo-output

test: .venv/.dev lint
	$(BIN)/python -m pytest -m "not bench"

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/.dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra demo --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra demo --group build --group dev pyproject.toml -o requirements-dev.lock

wheel: .venv/.runtime
	$(BIN)/python -m hatchling build -t wheel

clean:
	rm -rf .venv demo-output dist
