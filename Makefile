# Each target sets itself up: the first call makes .venv and installs from setup.cfg.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Two processes share the two cores of a small machine; TensorFlow's import is most of a short test.
JOBS   ?= 2
# setuptools warns of every editable install of a package beside its tests; it tells a user nothing.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format bench bench-recipes zoo docs clean

help:
	@echo "make demo      train, prune, quantize and export the digits recipe; show its report"
	@echo "make test      run the tests (make test-all: the slow ones too)"
	@echo "make lint      ruff and mypy"
	@echo "make bench     every figure the README quotes that needs no files of yours (hours)"
	@echo "make zoo       the models in the style of public examples, one row each (an hour or more)"
	@echo "make bench-recipes  run every recipe that has data of its own; write the table of recipes/README.md"
	@echo "make docs      build the guide into site/"

$(VENV)/.base: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("tfopt needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(INSTALL) --editable '.[dev]'
	@touch $@

demo: $(VENV)/.base
	$(BIN)/tfopt run recipes/digits.py $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder -m 'not slow' $(ARGS)

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder $(ARGS)

# Scripts are not typed, but what they call must be there and take what it is given.
NOT_IN_SCRIPTS := arg-type assignment call-overload dict-item index misc operator union-attr var-annotated
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=benchmarks $(BIN)/mypy --allow-untyped-defs $(NOT_IN_SCRIPTS:%=--disable-error-code %) benchmarks/*.py recipes/*.py docs/*.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# `make zoo` and `make bench-recipes` run three of them; three want files of yours; one holds models for others.
NOT_BENCH := zoo zoo_stages recipes accuracy clusters published models
bench: $(VENV)/.dev
	@failed=; for script in $(filter-out $(NOT_BENCH:%=benchmarks/%.py),$(wildcard benchmarks/*.py)); do \
	  echo "== $$script"; $(BIN)/python $$script || failed="$$failed $$script"; done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

zoo: $(VENV)/.base
	$(BIN)/python benchmarks/zoo.py --together 12 $(ARGS)

bench-recipes: $(VENV)/.base
	$(BIN)/python benchmarks/recipes.py $(ARGS)

docs: $(VENV)/.base
	$(INSTALL) --editable '.[docs]'
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
