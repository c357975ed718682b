PYTHON ?= python

.PHONY: lint format test slow notebooks site

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m basedpyright --pythonpath $(PYTHON)

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

test:
	$(PYTHON) -m pytest -m "not slow"

slow:
	$(PYTHON) -m pytest -m slow --timeout=10800

notebooks:
	$(PYTHON) launch/notebooks.py

site:  # build/site/docs/index.html
	$(PYTHON) -m sphinx -W -c docs . build/site
