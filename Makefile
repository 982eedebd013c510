# What a developer runs. `make setup` once, then any of these.
PYTHON ?= .venv/bin/python

.PHONY: chaos free rolling setup fix check test cover demo bench image compiled test-compiled wheels matrix reference docs examples e2e clients client-modules

setup: ## a virtual environment with everything
	python3 -m venv .venv
	.venv/bin/pip install -q -U pip
	.venv/bin/pip install -q -e . --group dev

fix: ## format, and mend what can be mended
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

check: ## format, lint, types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

test: ## all tests; the browser part needs Chromium and Playwright
	$(PYTHON) -m pytest

chaos: ## 10,000 kept streams whose clients are cut at any byte
	ulimit -n 20000 && UNBUFFERED_TESTS=thorough UNBUFFERED_CHAOS=10000 $(PYTHON) -m pytest -q tests/wire/test_kept_chaos.py tests/wire/test_store_chaos.py tests/wire/test_process_chaos.py

free: ## the doctor on a hundred free streams of every rhythm: two minutes
	UNBUFFERED_FREE=100 $(PYTHON) -m pytest -q tests/wire/test_doctor_free.py

rolling: ## 5,000 streams while three processes are replaced, counted; needs redis-server
	ulimit -n 20000 && UNBUFFERED_ROLLING=5000 $(PYTHON) -m pytest -q tests/wire/test_rolling_restart.py

matrix: ## unit and wire tests on each Python there is; on the oldest without uvloop
	$(PYTHON) -m tests.support.matrix $(MATRIX)

cover: ## tests with branch coverage
	$(PYTHON) -m pytest --cov --cov-report=term

demo: ## upstreams, proxy and page
	$(PYTHON) -m proxy demo

reference: ## the parts of docs/ that are made from the code
	$(PYTHON) -m tests.support.reference

docs: ## the site, in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

NODE_FOLDERS = tests/browser tests/e2e $(dir $(wildcard examples/*/package-lock.json))
examples: ## the packages of examples/ and of tests/, for their end-to-end tests
	set -e; for each in $(NODE_FOLDERS); do \
	  npm ci --prefix $$each --ignore-scripts --no-audit --no-fund; done
	python3 -m venv examples/.venv
	examples/.venv/bin/pip install -q -e . $(addprefix -r ,$(wildcard examples/*/requirements.txt))

e2e: ## the examples and their dev servers in Chromium; needs `make examples`
	$(PYTHON) -m pytest -m e2e

clients: client-modules ## the clients of real APIs, for tests/clients
	$(PYTHON) -m pip install -q --group clients

client-modules: # those that are not installed beside the project
	npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund
	rm -rf build/clients
	$(PYTHON) -m pip install -q --target build/clients -r tests/clients/old.txt

# A copy, since the compiled modules go before the sources beside which they are.
compiled: ## the project with its core compiled, in build/compiled; needs a C compiler
	rm -rf build/compiled && mkdir -p build/compiled
	git ls-files -z -co --exclude-standard | xargs -0 tar cf - | tar xf - -C build/compiled
	HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 \
	  $(PYTHON) -m pip wheel -q --no-deps -w build/compiled/build/wheel .
	$(PYTHON) -m zipfile -e build/compiled/build/wheel/*.whl build/compiled
	rm -r build/compiled/*.dist-info # or pytest takes it for an installation, and rewrites it
	ls build/compiled/proxy/exchange/forward.*.so # or nothing was compiled

test-compiled: ## the tests of what is compiled, on what `make compiled` made
	cd build/compiled && $(abspath $(PYTHON)) -m pytest -n 2 --dist loadfile \
	  tests/test_compiled.py tests/unit tests/wire

wheels: ## a compiled wheel for each Python of this machine, installed and tested
	$(PYTHON) -m tests.support.wheels

image: ## the image of deploy/, built with its core compiled, and run; needs podman
	UNBUFFERED_TESTS=thorough $(PYTHON) -m pytest -q -m container tests/deploy

bench: ## Unbuffered beside its peers, on an idle machine; see bench/README.md
	$(PYTHON) -m bench
