# Every target sets up its own environment; make and a Python (3.10 to 3.12) or uv are enough.
# PYTHON=… names the Python, which gets an environment of its own; otherwise .ci/setup finds one.
SUFFIX := $(if $(PYTHON),-$(subst /,_,$(PYTHON)))
ENV := .venv$(SUFFIX)
BIN := $(ENV)/bin
READY := $(ENV)/.ready
# mypy does not see through an editable install: show it the namespace as it is installed.
TYPING := build/typing

.PHONY: setup demo imports check test test-all clean
.DELETE_ON_ERROR:

setup: $(READY)

$(READY): setup.cfg pyproject.toml .ci/setup
	.ci/setup $(ENV) $(PYTHON)
	touch $@

# Generates, scores and compares on the sample of rendered people: no download.
demo: $(READY)
	$(BIN)/fhpt-eval demo --output results/demo$(SUFFIX)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPING) && mkdir -p $(TYPING)/fhpt_eval
	ln -s $(CURDIR)/fhpt_eval/* $(CURDIR)/protocols $(CURDIR)/reference_models $(TYPING)/fhpt_eval/
	cd $(TYPING) && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache -p fhpt_eval

imports: $(READY)
	$(BIN)/python -W error::SyntaxWarning .ci/imports

# One maths thread a test process: several that share the cores fight over them.
test: $(READY)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto

# The suite on every Python that is here.
test-all:
	for python in $$(.ci/pythons); do $(MAKE) PYTHON=$$python test || exit; done

clean:
	rm -rf .venv .venv-* .uv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
