# make run: installs what is missing, starts the app, opens the browser.
# make test: the same with the tools for tests, then everything that CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test format lint types pytest fuzz parity faults bench clean

run: $(VENV)/installed
	$(BIN)/streamlit run streamlit_app.py

test: lint types pytest

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/installed-dev
	$(BIN)/pyright

pytest: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

fuzz: $(VENV)/installed-dev
	LIGHTBOX_FUZZ=20000 $(BIN)/python -m pytest -n 2 tests/core/output/texts/test_damaged_texts.py tests/core/diffusion/recipe/test_editing.py

# Every scheduler configuration with every scheduler against diffusers' own pipelines.
parity: $(VENV)/installed-dev
	LIGHTBOX_PARITY=whole $(BIN)/python -m pytest -n 2 tests/core/diffusion/models/test_parity.py tests/core/diffusion/sampling/test_sampler.py

# The fault campaign in its long form; its table is written to dev/FAULTS.md.
faults: $(VENV)/installed-dev
	$(BIN)/python -m tests.faults.report

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.generate

clean:
	rm -rf $(VENV) artefacts .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is older or missing."; \
		echo "Name another one: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }

# A stamp is newer than its requirements only when pip has finished with them.
$(VENV)/installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements-training.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/installed
