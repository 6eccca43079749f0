# Everything runs from a clean clone with Python 3.11 and make; `make` lists what there is.

PYTHON ?= python3.11
WORKERS ?= 2
SECONDS ?= 600

BIN := .venv/bin
READY := .venv/ready
SOURCES := src device_sim tests benchmarks chaos migrations tools
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo config migrate migration quick test floors install-test chaos check fmt format lint types imports generated licences audit bench assets screens golden lock clean

##@ Start

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## the virtual environment .venv, exactly as locked; nothing to do when unchanged

$(READY): requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--requirement requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable .
	touch $@

##@ Run

demo: setup ## a province with simulated loudspeakers, and its address; ARGS="--help" for options
	$(BIN)/broadcast demo $(ARGS)

migrate: setup ## bring the configured database to the newest schema
	$(BIN)/broadcast migrate $(ARGS)

config: setup ## every setting with its default and meaning
	$(BIN)/broadcast config $(ARGS)

##@ Check

quick: setup ## what needs no server, in a minute; ONLY="tests/wire" for some
	$(BIN)/pytest --quick --quiet --numprocesses $(WORKERS) --dist worksteal $(ONLY)

test: setup ## all tests; ONLY="tests/wire -k codec" for some, WORKERS=0 for one process
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(ONLY)

floors: setup ## quick tests with the lowest versions that pyproject.toml allows
	rm -rf .floors && mkdir .floors
	$(BIN)/uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --only-binary :all: \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		pyproject.toml --extra demo --extra pkcs11 --output-file .floors/floors.txt
	$(BIN)/uv venv --quiet --python $(BIN)/python .floors/venv
	$(BIN)/uv pip install --quiet --python .floors/venv/bin/python --only-binary :all: \
		--requirement .floors/floors.txt --group dev
	$(BIN)/uv pip install --quiet --python .floors/venv/bin/python --no-deps --no-build-isolation \
		--editable .
	FLOORS=1 .floors/venv/bin/pytest --quick --quiet --numprocesses $(WORKERS) --dist worksteal \
		--ignore tests/project/test_assertions.py --ignore tests/project/test_waiting.py \
		--ignore tests/scenarios --ignore tests/device_sim $(ONLY)

install-test: setup ## docs/operations.md, executed on a bare Debian (root, debootstrap)
	$(BIN)/pytest --install --numprocesses 0 --exitfirst tests/install

chaos: setup ## kill everything at random, then judge; SECONDS=600 SEED=1 ARGS="--devices 300"
	$(BIN)/python -m chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(ARGS)

check: format lint types imports generated licences ## what must hold before a merge, next to the tests

fmt: setup ## rewrite the sources in the one format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)

format: setup ## the sources are in the one format
	$(BIN)/ruff format --check $(SOURCES)

lint: setup ## ruff
	$(BIN)/ruff check $(SOURCES)

types: setup ## mypy --strict
	$(BIN)/mypy

imports: setup ## the layers of pyproject.toml
	$(BIN)/lint-imports

generated: setup ## generated files say what the code says
	$(BIN)/python -m broadcast.wire.asyncapi --check

licences: setup ## every package of the locks has a licence that we may use
	$(BIN)/python -m tools.licences

audit: setup ## known vulnerabilities of what the locks pin; needs the Internet
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes \
		--requirement requirements.lock --requirement requirements-dev.lock

##@ Measure and renew

bench: setup ## benchmarks against the bare limits of this machine; ONLY=ingest for one
	$(BIN)/python -m benchmarks $(ONLY)

migration: setup ## a revision from the difference of models and schema; m="clusters: colour"
	$(if $(m),,$(error say what changes: make migration m="clusters: colour of the box"))
	$(BIN)/python -m migrations.new "$(m)"

screens: setup ## pictures of every page, in both languages, themes and sizes, into docs/screens
	rm -rf .screens
	$(BIN)/pytest --quiet --numprocesses 0 --screens .screens tests/console/journeys/test_screens.py
	rm -rf docs/screens && mv .screens docs/screens

ASSETS := src/broadcast/console/assets

assets: ## bundle scripts and styles of the pages (needs Node; the result is committed)
	cd $(ASSETS) && npm ci --silent --no-audit --no-fund --ignore-scripts
	cd $(ASSETS) && node_modules/.bin/esbuild js/*.bundle.js css/console.css \
		--bundle --minify --format=esm --target=chrome109,firefox115,safari16 \
		--entry-names=[name] --outdir=../static --log-level=warning
	cd $(ASSETS) && find css js package-lock.json -type f | LC_ALL=C sort | xargs sha256sum \
		> ../static/sources.sha256
	cd $(ASSETS) && for file in ../static/*.bundle.js; do mv $$file $${file%.bundle.js}.js; done

golden: setup ## sign the golden payloads of the wire and renew its documents
	$(BIN)/python -m tests.wire.payloads
	$(BIN)/python -m broadcast.wire.asyncapi --write

lock: setup ## newest allowed versions into both lock files
	$(COMPILE) --upgrade pyproject.toml --output-file requirements.lock
	$(COMPILE) --upgrade pyproject.toml --extra demo --extra pkcs11 --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock

clean: ## remove what can be made again; var/ (data) stays
	rm -rf .venv .floors dist .*_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
