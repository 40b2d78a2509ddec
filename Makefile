# Everything is installed in .venv and nowhere else; no root rights and no GPU are needed.
.DEFAULT_GOAL := help
.PHONY: help install demo test lint format clean

PYTHON ?= python3
PIP_ARGS ?=
TORCH_PIP_ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 2

# --quiet twice: errors only
PIP := .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input

help:
	@echo 'make install   create .venv with the tested versions and this project, editable'
	@echo 'make demo      install, then train, render and compare on generated scenes'
	@echo 'make test      install, lint, then all tests'
	@echo 'make lint      install, then check the code, its format and types, and every file'
	@echo 'make format    install, then rewrite the code as ruff wants it'
	@echo 'make clean     remove .venv, build outputs and caches'
	@echo
	@echo 'PYTHON=python3.12    the Python (3.10 to 3.13) that .venv is made with; default python3;'
	@echo '                     to change it later, make clean first'
	@echo 'PIP_ARGS="..."       more options for every pip install'
	@echo 'TORCH_PIP_ARGS="..." more options for the install of torch alone, for instance'
	@echo '                     --index-url <the index of builds without CUDA>'
	@echo 'PYTEST_ARGS="..."    more options for pytest, for instance -m "not slow"'
	@echo 'WORKERS=2            processes that run the tests'

install: .venv/.project

# The environment itself: made anew when a pin changes, so that it holds what the pins say.
.venv/.requirements: $(wildcard requirements/*.txt)
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  2>/dev/null || { echo 'make: "$(PYTHON)" is not Python 3.10, 3.11, 3.12 or 3.13:' \
	  'choose one with make PYTHON=...' >&2; exit 1; }
	@echo 'Installing the tested versions in .venv'
	@"$(PYTHON)" -m venv --clear .venv
	@$(PIP) install $(PIP_ARGS) $(TORCH_PIP_ARGS) -r requirements/torch.txt
	@$(PIP) install $(PIP_ARGS) -r requirements/runtime.txt
	@$(PIP) install $(PIP_ARGS) --no-deps -r requirements/openmmlab.txt
	@$(PIP) install $(PIP_ARGS) -r requirements/tests.txt
	@touch $@

.venv/.project: pyproject.toml .venv/.requirements
	@echo 'Installing this project in .venv, editable'
	@$(PIP) install $(PIP_ARGS) --no-deps --no-build-isolation --editable .
	@touch $@

demo: install
	.venv/bin/python tools/demo.py

# The tests of a file in one process: what its fixtures train is trained once. In the order of
# tests/conftest.py.
test: lint
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	  .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(PYTEST_ARGS)

lint: install
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/python -m pytest --quiet --noconftest tests/repository/test_files.py

format: install
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
