# Each target makes the environment that it needs, in .venv; pip needs the network once.

PYTHON ?= python3
TIME ?= 60
BIN := .venv/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check docs interop fuzz load bench clean

# Once for each adapter.
demo: .venv/.demo
	$(BIN)/python -m smtp_pop_adapters demo --adapter asyncio
	$(BIN)/python -m smtp_pop_adapters demo --adapter trio
	$(BIN)/python -m smtp_pop_adapters demo --adapter blocking

test: .venv/.dev
	$(BIN)/python -m pytest -q -n auto -m "not interop"

check: .venv/.dev docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n auto -m "not interop"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --include="src/smtp_pop_core/*" --fail-under=100
	$(BIN)/coverage report --include="src/adapters/*" --fail-under=90
	$(BIN)/python -m bench.instructions
	.ci/newer-pythons

# The pages come out in build/docs; warnings are errors.
docs: .venv/.dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs

interop: .venv/.dev
	@if find tests -path "tests/interop/*" -name "test_*.py" | grep -q .; \
	then $(BIN)/python -m pytest -q -m interop tests/interop; \
	else echo "no interop tests yet"; \
	fi

# TIME is in seconds.
fuzz: .venv/.fuzz
	$(BIN)/python fuzz/run.py --time $(TIME)

# Servers under load and faults; SCALE=short does less of everything.
SCALE ?= full
load: .venv/.dev
	$(BIN)/python -m bench.load --scale $(SCALE)

# Ours beside its peers.  SECTION="engines memory" for some of it; QUICK=1 for less of
# all; ROUNDS=3 for how often each has its turn.
bench: .venv/.bench
	$(BIN)/python -m bench.run $(SECTION) $(if $(QUICK),--quick) \
		$(if $(ROUNDS),--rounds $(ROUNDS))

clean:
	rm -rf .venv .venv-3.* build dist .coverage* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/.made:
	$(PYTHON) -m venv .venv
	touch $@

.venv/.demo: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install -q -e ".[cli,trio]"
	touch $@

.venv/.dev: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $@

.venv/.fuzz: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install -q -e ".[fuzz]"
	touch $@

.venv/.bench: pyproject.toml | .venv/.made
	$(BIN)/python -m pip install -q -e ".[bench]"
	touch $@
