# Everything sets itself up: Python 3.11 or newer, pip and make are all it takes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OUT    := out/demo
INSTALL = $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test bench chaos kafka clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'

demo: $(VENV)/local.stamp  ## caption the photographs in examples/ into out/demo, print the captions
	$(BIN)/densefusion run examples --out $(OUT)
	@$(BIN)/python -c "$$SHOW" $(OUT)/captions.jsonl

test: $(VENV)/dev.stamp  ## lint, types, and all tests
	@failed=; \
	for check in "ruff check" "ruff format --check" mypy; do \
	  echo "$$check"; $(BIN)/$$check || failed="$$failed [$$check]"; \
	done; \
	$(BIN)/pytest -n 2 || exit $$?; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

bench: $(VENV)/dev.stamp  ## time each expert, and the whole stream beside a bare loop
	$(BIN)/python tests/benchmarks/experts.py
	$(BIN)/python tests/benchmarks/pipeline.py

chaos: $(VENV)/dev.stamp  ## 20,000 images through the stream under 100 faults, and the ledger (ARGS="--seed 2")
	$(BIN)/python -m tests.chaos $(ARGS)

kafka: $(VENV)/local.stamp  ## three Apache Kafka brokers on this machine until Ctrl-C (needs Java 17 and Maven; ARGS=--secure: TLS and users)
	$(BIN)/python -m deploy.kafka $(ARGS)

clean:  ## remove the virtual environment, the demo and caches; the data in densefusion-data stay
	rm -rf $(VENV) .venv-peers $(OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The system's venv may lack ensurepip (Debian ships it apart): pip then installs from outside.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --without-pip $(VENV)

# pip too: whoever activates the environment installs extras and experts' packages.
$(VENV)/local.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -c constraints.txt -e '.[local]' pip
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -c constraints.txt -e '.[dev]' pip
	@touch $@ $(VENV)/local.stamp

define SHOW
import json, sys
with open(sys.argv[1], encoding="utf-8") as lines:
    rows = sorted(map(json.loads, lines), key=lambda row: row["url"])
for row in rows:
    print("\n" + row["url"].rpartition("/")[2], row["caption"], sep="\n  ")
endef
export SHOW
