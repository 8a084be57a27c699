# Two commands are enough on a fresh machine: `make run` and `make test`. The rest is for people who change things.
#
#   make run [ARGS=--once]   set everything up and run the demo
#   make test                set everything up and run every check and test
#   make pure                every branch of the rooms that decide, by their own unit tests
#   make integration         all other tests on the sources
#   make compiled            the flows on the compiled package
#   make newer               the demo and a core of flows on each newer Python at hand
#   make cluster             the chart before Helm 3, Helm 4 and a real API server of Kubernetes, all built here (needs Go)
#   make lint                only the checks: ruff, mypy, import-linter, hadolint
#   make observe             two sidecars on a bad day, a real Prometheus, and the dashboard drawn into one PNG
#   make bench               figures, asserted by nobody
#   make image               the Dockerfile's steps without a container engine, and the image's figures (root, mmdebstrap)
#   make lock                resolve deploy/requirements/*.txt anew from pyproject.toml (needs uv)
#   make clean               remove the environments

PYTHON ?= python3
ARGS ?=
LOCKS := deploy/requirements
PIP := -m pip --disable-pip-version-check --no-input -q

# One environment to run, one to test, one to test what is compiled, one for the chart's tests, whose Helm engine is 350 MB.
RUN := .venv
TEST := .venv-test
COMPILED := .venv-compiled
CHART := .venv-chart
OTHER := .venv-newer
# The rooms whose own unit tests take every branch of what decides; the rest needs servers and processes.
PURE := $(addprefix tests/,affinity config contract/dialects dialects doctor domain http1 inject proxy routing runtime selection stream telemetry upstream wire)
# Most of these tests wait for timers of their own, so that two cores have room for several files at a time.
FILES := -n 3 --dist loadfile
# What `compiled` runs, and the part of it that `newer` runs.
FLOWS := tests/flow tests/contract/affinity
CORE := $(patsubst %,tests/flow/test_%.py,bytes cli failover routing streams) tests/app tests/wire
SOURCES := $(shell find sidecar -name '*.py')

.PHONY: run test lint pure integration coverage compiled newer try chart cluster observe bench image lock clean

run: $(RUN)/.stamp
	@echo 'The demo: a provider that needs no key, two sidecars before it, and calls through them.'
	$(RUN)/bin/plano-sidecar demo $(ARGS)

# Two at a time: the environments, linted meanwhile; then the tests, most of which wait for timers of their own. Each
# target's output comes when it ends.
test:
	$(MAKE) --no-print-directory -j2 -O lint $(COMPILED)/.stamp $(CHART)/.stamp
	$(MAKE) --no-print-directory -j2 -O pure integration compiled chart
	$(MAKE) --no-print-directory coverage

lint: $(TEST)/.stamp
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports
	$(TEST)/bin/hadolint deploy/Dockerfile

# Every branch of the rooms that decide, by their own tests alone; hypothesis draws the same each time.
pure: $(TEST)/.stamp
	COVERAGE_FILE=.coverage-pure $(TEST)/bin/python -m pytest -q --hypothesis-seed=0 --cov --cov-config=tests/coverage_pure.ini --cov-report=term $(PURE)

# All other tests, with real servers and processes; and what both together cover.
integration: $(TEST)/.stamp
	COVERAGE_FILE=.coverage-integration $(TEST)/bin/python -m pytest -q $(FILES) --cov --cov-report= --ignore=tests/chart --ignore=tests/cluster $(PURE:%=--ignore=%)

coverage:
	$(TEST)/bin/coverage combine -q --keep .coverage-pure .coverage-integration
	$(TEST)/bin/coverage report --fail-under=90

# The same flows on the compiled package, from a folder in which the sources cannot stand before it.
compiled: $(COMPILED)/.stamp
	rm -rf $(COMPILED)/tests
	cp -r tests pyproject.toml README.md $(COMPILED)/
	cd $(COMPILED) && SIDECAR_EXPECT_COMPILED=1 bin/python -m pytest -q $(FILES) -p no:cacheprovider $(FLOWS)

# The newest Python at hand beyond 3.11.
NEWER = $(shell ls $(HOME)/.pyenv/versions/3.1[2-9].*/bin/python3 $(HOME)/.local/share/uv/python/cpython-3.1[2-9].*/bin/python3 \
	/usr/bin/python3.1[2-9] /usr/local/bin/python3.1[2-9] 2>/dev/null | while read -r each; do \
	"$$each" -c 'import sys; print("%03d %s" % (sys.version_info[1], sys.executable))'; done | sort -u -k1,1 | cut -d" " -f2)
NO_NEWER := newer: skipped, since no Python beyond 3.11 is at hand (pyenv, uv, /usr); NEWER=/path/to/python3 names one
newer:
	$(if $(strip $(NEWER)),for each in $(NEWER); do $(MAKE) --no-print-directory try NEWER=$$each || exit 1; done,@echo '$(NO_NEWER)')

# In a copy, whose environments are of that Python. What is compiled here runs once, so it is not optimised.
try:
	rm -rf $(OTHER)
	mkdir $(OTHER)
	cp -r sidecar deploy helm tests pyproject.toml README.md LICENSE CHANGELOG.md Makefile $(OTHER)/
	MYPYC_OPT_LEVEL=0 $(MAKE) -C $(OTHER) --no-print-directory run PYTHON=$(NEWER) ARGS=--once
	MYPYC_OPT_LEVEL=0 $(MAKE) -C $(OTHER) --no-print-directory compiled PYTHON=$(NEWER) FLOWS='$(CORE)'

chart: $(CHART)/.stamp
	SIDECAR_REQUIRE_CHART=1 $(CHART)/bin/python -m pytest --noconftest tests/chart

# No part of `make test` and of CI: building takes about fifteen minutes of CPU time and 3 GB of disk, once for each version.
CLUSTER_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/plano-sidecar/cluster

cluster: $(CHART)/.stamp
	@echo 'Builds Helm 3, Helm 4, kustomize, etcd and kube-apiserver from the Go module registry into $(CLUSTER_TOOLS):'
	@echo 'ten minutes on two idle cores, once. Then, in a minute or two, the chart before Helm and that API server.'
	tests/cluster/tools/build $(CLUSTER_TOOLS)
	SIDECAR_CLUSTER_TOOLS=$(CLUSTER_TOOLS) $(CHART)/bin/python -m pytest --confcutdir=tests/cluster tests/cluster

# ARGS=--night is a night in two minutes and a half, with its alerts; ARGS='--out DIR' says where picture and logs go.
observe: $(TEST)/.stamp
	$(TEST)/bin/python -m deploy.observe $(ARGS)

bench: $(TEST)/.stamp
	$(TEST)/bin/python -m tests.bench.bench_body
	$(TEST)/bin/python -m tests.bench.bench_upstream
	$(TEST)/bin/python -m tests.bench.bench_stream
	$(TEST)/bin/python -m tests.bench.bench_scrape
	$(TEST)/bin/python -m tests.bench.bench_access_log
	$(TEST)/bin/python -m tests.bench.bench_spans

# ARGS=--plain leaves the hot path uncompiled; ARGS='--runs 5' starts each config so often.
image: $(TEST)/.stamp
	$(TEST)/bin/python -m deploy.image $(ARGS)

# Every version is locked with its hashes, and the locks are complete: --no-deps keeps pip's resolver out of it. Asked
# for an extra (coverage[toml]), it would take the newest release there is, find no hash for it and give up.
define environment
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python $(PIP) install --require-hashes --no-deps $(foreach lock,$(2),-r $(LOCKS)/$(lock).txt)
endef

# What runs is compiled where a C compiler is at hand, once; the very same is tested. What is tested for coverage is not.
$(RUN)/.stamp: pyproject.toml deploy/compile_hook.py $(LOCKS)/build.txt $(LOCKS)/compile.txt $(LOCKS)/runtime.txt $(SOURCES)
	@echo 'Setting up $(RUN) with $(PYTHON), once: packages (half a minute), then the compiled hot path (one to three).'
	$(call environment,$(RUN),build compile runtime)
	SIDECAR_COMPILE=auto $(RUN)/bin/python -m hatchling build -t wheel -d $(RUN)/wheel
	$(RUN)/bin/python $(PIP) install --no-deps $(RUN)/wheel/*.whl
	touch $@

$(TEST)/.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/test.txt
	$(call environment,$(TEST),build test)
	$(TEST)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(COMPILED)/.stamp: $(RUN)/.stamp $(LOCKS)/test.txt
	$(call environment,$(COMPILED),test)
	$(COMPILED)/bin/python $(PIP) install --no-deps $(RUN)/wheel/*.whl
	touch $@

$(CHART)/.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/chart.txt
	$(call environment,$(CHART),build chart)
	$(CHART)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

COMPILE := uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal pyproject.toml

lock:
	printf 'hatchling>=1.27\neditables>=0.5\n' | uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal - -o $(LOCKS)/build.txt
	$(COMPILE) --extra redis --extra otel --extra fast -o $(LOCKS)/runtime.txt
	$(COMPILE) --extra redis --extra otel --extra fast --group test --group lint -o $(LOCKS)/test.txt
	printf 'mypy[mypyc]>=1.19,<3\n' | uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal -c $(LOCKS)/test.txt - -o $(LOCKS)/compile.txt
	$(COMPILE) --group chart --group chart-test -o $(LOCKS)/chart.txt

clean:
	rm -rf $(RUN) $(TEST) $(COMPILED) $(CHART) $(OTHER) .image
