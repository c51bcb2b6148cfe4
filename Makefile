# Every target sets up its own environment in .venv; needs only make and Python 3.10-3.12.
PYTHON ?= python3.11
ENV := .venv
BIN := $(ENV)/bin
UV := $(ENV)/uv/bin/uv
READY := $(ENV)/.ready
# mypy does not see through an editable install: show it the namespace as it is installed.
TYPING := build/typing

.PHONY: setup demo check test clean
.DELETE_ON_ERROR:

setup: $(READY)

$(READY): setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(ENV)
	test -x $(UV) || ($(PYTHON) -m venv $(ENV)/uv && $(ENV)/uv/bin/python -m pip install --quiet "uv>=0.8,<1")
	$(UV) pip install --quiet --python $(BIN)/python --editable ".[dev]"
	touch $@

# Generates, scores and compares on the sample of rendered people: no download.
demo: $(READY)
	$(BIN)/fhpt-eval demo --output results/demo

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPING) && mkdir -p $(TYPING)/fhpt_eval
	ln -s $(CURDIR)/fhpt_eval/* $(CURDIR)/protocols $(CURDIR)/reference_models $(TYPING)/fhpt_eval/
	cd $(TYPING) && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p fhpt_eval

# One maths thread a test process: several that share the cores fight over them.
test: $(READY)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto

clean:
	rm -rf $(ENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
