# Juniro's commands. Everything they need is in .venv and .local, both made here.

REGION ?= us
PYTHON ?= python3
export REGION

BIN := .venv/bin
INSTALLED := .venv/installed
SERVERS := $(BIN)/python -m local.servers exec --
PYTEST_WORKERS ?= 3

.PHONY: run demo demo-regions test lint fmt migrate screenshots bench soak lock install clean

run: $(INSTALLED)  ## Serve everything on this machine (REGION=us|in, PORT=5001)
	@$(BIN)/python -m local.run

demo: $(INSTALLED)  ## The main job end to end, printed step by step
	@$(BIN)/python -m local.run --exec $(BIN)/python -m local.demo

demo-regions: $(INSTALLED)  ## Both regions side by side: what each keeps to itself, and what they share
	@$(BIN)/python -m local.two_regions

test: $(INSTALLED)  ## The whole test suite
	@JUNIRO_ENV=test REGION=us $(SERVERS) $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal $(ARGS)

lint: $(INSTALLED)  ## Everything that can be checked without running
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(SERVERS) $(BIN)/python manage.py makemigrations --check --dry-run
	$(SERVERS) $(BIN)/python -m mypy .

fmt: $(INSTALLED)  ## Format and mend what can be mended by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migrate: $(INSTALLED)  ## Migrate this region's database and the global one
	$(SERVERS) $(BIN)/python manage.py migrate
	$(SERVERS) $(BIN)/python manage.py migrate --database global

screenshots: $(INSTALLED)  ## Pictures of the admin for docs/ops-guide.md, of both regions' `make run` (US_URL, IN_URL)
	@$(BIN)/python -m local.screenshots

bench: $(INSTALLED)  ## Measure the hot paths, as ratios
	@$(SERVERS) $(BIN)/python -m benchmarks

soak: $(INSTALLED)  ## Many parents while everything is broken, then the books (MINUTES=5 PARENTS=2000)
	@$(BIN)/python -m local.soak

lock: $(INSTALLED)  ## Pin requirements.in and requirements-dev.in, with hashes
	$(BIN)/uv pip compile requirements.in --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements.txt
	$(BIN)/uv pip compile requirements-dev.in --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements-dev.txt

install: $(INSTALLED)

$(INSTALLED): requirements-dev.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Juniro needs Python 3.11 or later.')"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned requirements into .venv (about a minute, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

clean:  ## Remove everything that these commands made
	rm -rf .venv .local
