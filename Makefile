# Two commands do everything on a machine that has Python 3.11: make demo, make test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SDKS := .venv-sdks

.PHONY: demo serve test test-sdks lint unit format bench clean

demo: $(VENV)/run
	$(BIN)/llm-gateway demo

serve: $(VENV)/run
	$(BIN)/llm-gateway serve

test: lint unit

lint: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What measures time runs alone; all else uses every core.
unit: $(VENV)/test
	$(BIN)/python -m pytest -m "not alone" -n auto --dist loadfile
	$(BIN)/python -m pytest -m alone

# What a gateway sent in the tests of attacks, read once more by the vendors' clients of the generation before, and by
# those for Node where there is one. ANSWERS: a folder with what `make test` kept, for GATEWAY_TEST_ANSWERS; else it is
# made anew.
test-sdks: $(VENV)/test $(SDKS)/python
ifeq ($(ANSWERS),)
	rm -rf build/answers
	GATEWAY_TEST_ANSWERS=build/answers $(BIN)/python -m pytest --quiet tests/attacks/test_attacks_live.py
endif
	$(SDKS)/bin/python tests/attacks/sdk_replay.py $(or $(ANSWERS),build/answers)
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	    mkdir -p $(SDKS)/node && cp tests/attacks/node/* $(SDKS)/node/ && \
	    npm install --prefix $(SDKS)/node --silent --no-fund --no-audit --no-package-lock && \
	    node $(SDKS)/node/replay.mjs $(or $(ANSWERS),build/answers); \
	else \
	    echo "The clients for Node are not tested: there is no node, or no npm."; \
	fi

format: $(VENV)/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/test
	$(BIN)/python -m bench

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $(VENV)/run $@

$(SDKS)/python: tests/attacks/sdk_requirements.txt
	$(PYTHON) -m venv $(SDKS)
	$(SDKS)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(SDKS) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
