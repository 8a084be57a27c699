# Two commands are enough on a fresh machine: `make run` and `make test`. The rest is for people who change things.
#
#   make run [ARGS=--once]   set everything up and run the demo
#   make test                set everything up and run every check and test
#   make lint                only the checks: ruff, mypy, import-linter
#   make bench               figures, asserted by nobody
#   make lock                resolve deploy/requirements/*.txt anew from pyproject.toml (needs uv)
#   make clean               remove the environments

PYTHON ?= python3
ARGS ?=
LOCKS := deploy/requirements
PIP := -m pip --disable-pip-version-check --no-input -q

# One environment to run, one to test, one for the chart's tests, whose Helm engine is 350 MB.
RUN := .venv
TEST := .venv-test
CHART := .venv-chart

.PHONY: run test lint unit chart bench lock clean

run: $(RUN)/.stamp
	$(RUN)/bin/plano-sidecar demo $(ARGS)

test: lint unit chart

lint: $(TEST)/.stamp
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports

unit: $(TEST)/.stamp
	$(TEST)/bin/python -m pytest --cov --cov-report=term --cov-fail-under=90 --ignore=tests/room/chart

chart: $(CHART)/.stamp
	SIDECAR_REQUIRE_CHART=1 $(CHART)/bin/python -m pytest --noconftest tests/room/chart

bench: $(TEST)/.stamp
	$(TEST)/bin/python -m tests.bench.bench_body
	$(TEST)/bin/python -m tests.bench.bench_upstream
	$(TEST)/bin/python -m tests.bench.bench_stream

# Every version is locked with its hashes, and the locks are complete: --no-deps keeps pip's resolver out of it. Asked
# for an extra (coverage[toml]), it would take the newest release there is, find no hash for it and give up.
define environment
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python $(PIP) install --require-hashes --no-deps $(foreach lock,$(2),-r $(LOCKS)/$(lock).txt)
	$(1)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $(1)/.stamp
endef

$(RUN)/.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/runtime.txt
	$(call environment,$(RUN),build runtime)

$(TEST)/.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/test.txt
	$(call environment,$(TEST),build test)

$(CHART)/.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/chart.txt
	$(call environment,$(CHART),build chart)

COMPILE := uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal pyproject.toml

lock:
	printf 'hatchling>=1.27\neditables>=0.5\n' | uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal - -o $(LOCKS)/build.txt
	$(COMPILE) --extra redis --extra fast -o $(LOCKS)/runtime.txt
	$(COMPILE) --extra redis --extra fast --group test --group lint -o $(LOCKS)/test.txt
	$(COMPILE) --group chart --group chart-test -o $(LOCKS)/chart.txt

clean:
	rm -rf $(RUN) $(TEST) $(CHART)
