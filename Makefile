# Everything on a fresh machine with Python 3.11+, make and git. Recipes use only what they install themselves.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test check lint gate baselines bench evidence experiments clean

demo: $(VENV)/.installed            ## the question of the project, answered: p99 and throughput from 10 to 5,000 nodes
	$(BIN)/netsim sweep experiments/cluster-size/scenario.yaml -o results/demo

test: $(VENV)/.developing           ## the whole test suite
	$(BIN)/python -m pytest -n auto

check: lint gate test               ## what CI runs

lint: $(VENV)/.developing           ## style, types, and the one-way import contract
	$(BIN)/ruff check netsim tests benchmarks experiments
	$(BIN)/mypy
	$(BIN)/lint-imports

gate: $(VENV)/.developing           ## figures and event counts of reference scenarios, to the last bit
	$(BIN)/netsim baseline check --exact

baselines: $(VENV)/.developing      ## write them anew, after a change of the model; review and commit
	$(BIN)/netsim baseline update experiments/reference/*.yaml

bench: $(VENV)/.developing          ## speed against the naive model (and ns-3 where installed), as ratios
	$(BIN)/python -m benchmarks.run $(if $(PEERS),--peers $(PEERS))

evidence: $(VENV)/.developing       ## long studies: coverage of intervals, exactness at narrow half-widths
	$(BIN)/python -m experiments.evidence

experiments: $(VENV)/.developing    ## every experiment again, with its verdict
	$(BIN)/python -m experiments.verdicts

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("netsim needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip -c constraints.txt
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[notebook]' --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info results/demo
