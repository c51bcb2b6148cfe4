# Every target sets up its own environment; make and a Python (3.10 to 3.12) or uv are enough.
# PYTHON=… names the Python, which gets an environment of its own; otherwise .ci/setup finds one.
SUFFIX := $(if $(PYTHON),-$(subst /,_,$(PYTHON)))
ENV := .venv$(SUFFIX)
BIN := $(ENV)/bin
READY := $(ENV)/.ready
# mypy and lint-imports do not see through an editable install: show them the namespace as it is installed.
TYPING := build/typing
MYPY = cd $(TYPING) && MYPYPATH=$(1) $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache$(2)
# Strict for tests and benchmarks, too, but for what would be noise there: bare np.ndarray, the decorators and functions
# of libraries without types; a result that is Missing where a record is indexed, which fails the test by itself; and
# what mypy thinks can never be reached after an assert about a value that changes.
IN_TESTS := --allow-any-generics --allow-untyped-decorators --allow-untyped-calls --no-warn-unreachable \
	--disable-error-code=index --disable-error-code=operator
# Their cache is another one: with other options, each call would forget what the other one knew.

.PHONY: setup demo imports check test test-fast test-all lowest benchmark networks clean
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
	ln -s $(CURDIR)/fhpt_eval/* $(CURDIR)/protocols $(CURDIR)/reference_models $(CURDIR)/results $(TYPING)/fhpt_eval/
	$(call MYPY,.) -p fhpt_eval
	$(call MYPY,.:$(CURDIR)/tests:$(CURDIR)/tests/parity:$(CURDIR)/benchmarks,/tests) $(IN_TESTS) $(CURDIR)/tests $(CURDIR)/benchmarks
	cd $(TYPING) && PYTHONPATH=. $(CURDIR)/$(BIN)/lint-imports --no-cache $(CURDIR)/pyproject.toml

imports: $(READY)
	$(BIN)/python -W error::SyntaxWarning .ci/imports

# One maths thread a test process: several that share the cores fight over them.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n auto

# With the share of lines that the tests run, and the least that is accepted (pyproject.toml).
test: $(READY)
	$(PYTEST) --cov --cov-report=term:skip-covered

# What takes under two minutes: no network, no training, no process of its own.
test-fast: $(READY)
	$(PYTEST) -m "not slow"

# The suite with the oldest versions that setup.cfg allows, in an environment of its own. They call what newer versions
# of what they need themselves deprecate, so such warnings are no errors here.
lowest:
	UV_RESOLUTION=lowest-direct $(MAKE) SUFFIX=-lowest PYTHON=$$(.ci/pythons | tail -n 1) setup
	PYTEST_ADDOPTS="-W ignore::DeprecationWarning" $(MAKE) SUFFIX=-lowest test

# The suite on every Python that is here.
test-all:
	for python in $$(.ci/pythons); do $(MAKE) PYTHON=$$python test || exit; done

# Ours beside the peers, which get an environment of their own, and docs/performance.md anew. ARGS="…" are options of
# benchmarks/side_by_side.py; hours with all of them, and the same command goes on where it was stopped.
benchmark:
	EXTRAS=benchmark $(MAKE) SUFFIX=-benchmark setup
	.venv-benchmark/bin/python benchmarks/side_by_side.py --page docs/performance.md $(ARGS)

# The networks that come with the package, trained anew and scored, from a data set of rendered people in DATA (docs/models.md
# says which); 8 minutes on a GPU. ARGS="…" are further options of fhpt_eval/pretrained/build.py.
networks: $(READY)
	$(BIN)/python -m fhpt_eval.pretrained.build $(DATA) --output results/networks $(ARGS)

clean:
	rm -rf .venv .venv-* .uv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
