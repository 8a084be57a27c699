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
#   make clients [ARGS=name] about forty SDKs, frameworks and agents, each at a provider and through the sidecar: deploy/CLIENTS.md
#   make fuzz [ARGS=10]      the corpus as counts by outcome, then that many minutes of fuzzing, with examples and findings
#   make bench               figures, asserted by nobody
#   make image               the Dockerfile's steps without a container engine, and the image's figures (root, mmdebstrap)
#   make wheels              compiled wheels for each CPython from 3.11 at hand, tried where no compiler is
#   make sbom                dist/sbom.json: all packages of an installation, as CycloneDX
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
WHEEL := .venv-wheel
SBOM := .venv-sbom
# The rooms whose own unit tests take every branch of what decides; the rest needs servers and processes.
PURE := $(addprefix tests/,affinity config contract/dialects dialects doctor domain http1 inject proxy routing runtime selection stream telemetry translate upstream wire)
# Most of these tests wait for timers of their own, so that two cores have room for several files at a time. Those that
# take longest begin first: tests/conftest.py.
FILES := -n 3 --dist loadfile --no-loadscope-reorder
# What `compiled` runs: all flows but those that are about the command line, operators' pages and the log's sink, none of
# which is compiled. And the part of it that `newer` runs.
SAME := $(patsubst %,tests/flow/test_%.py,affinity_command doctor latency_source log_output operators route_command tail_command tracing_process)
FLOWS := tests/flow tests/contract/affinity tests/corpus
CORE := $(patsubst %,tests/flow/test_%.py,bytes cli failover routing streams) tests/app tests/wire
SOURCES := $(shell find sidecar -name '*.py')

# Bytecode is kept, also where the environment says otherwise: else each process of the tests, hundreds, would compile
# anew all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test lint pure integration coverage compiled newer try chart cluster observe clients fuzz bench image wheels wheel sbom lock clean

run: $(RUN)/.stamp
	@echo 'The demo: a provider that needs no key, two sidecars before it, and calls through them.'
	$(RUN)/bin/plano-sidecar demo $(ARGS)

# Two at a time: the hot path is compiled on one core while the other begins to check and to test the sources. Each
# target's output comes when it ends.
test:
	$(MAKE) --no-print-directory -j2 -O $(COMPILED)/.stamp lint integration pure compiled chart
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
	cd $(COMPILED) && SIDECAR_EXPECT_COMPILED=1 bin/python -m pytest -q $(FILES) -p no:cacheprovider $(SAME:%=--ignore=%) $(FLOWS)

# The Pythons at hand whose versions fit a pattern, one of each version.
at_hand = $(shell ls $(HOME)/.pyenv/versions/$(1).*/bin/python3 $(HOME)/.local/share/uv/python/cpython-$(1).*/bin/python3 \
	/usr/bin/python$(1) /usr/local/bin/python$(1) 2>/dev/null | while read -r each; do \
	"$$each" -c 'import sys; print("%03d %s" % (sys.version_info[1], sys.executable))'; done | sort -u -k1,1 | cut -d" " -f2)
NEWER = $(call at_hand,3.1[2-9])
NO_NEWER := newer: skipped, since no Python beyond 3.11 is at hand (pyenv, uv, /usr); NEWER=/path/to/python3 names one
# Two at a time, each told whole when it ends.
newer:
	$(if $(strip $(NEWER)),printf '%s\n' $(NEWER) | xargs -P 2 -I{} sh -c 'told=$$(mktemp); $(MAKE) --no-print-directory try NEWER={} >"$$told" 2>&1; code=$$?; cat "$$told"; rm "$$told"; exit $$code',@echo '$(NO_NEWER)')

# In a copy, whose environments are of that Python. What is compiled here runs once, so it is not optimised.
try: COPY = $(OTHER)/$(shell $(NEWER) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
try:
	rm -rf $(COPY)
	mkdir -p $(COPY)
	cp -r sidecar deploy helm tests pyproject.toml README.md LICENSE CHANGELOG.md Makefile $(COPY)/
	MYPYC_OPT_LEVEL=0 $(MAKE) -C $(COPY) --no-print-directory run PYTHON=$(NEWER) ARGS=--once
	MYPYC_OPT_LEVEL=0 $(MAKE) -C $(COPY) --no-print-directory compiled PYTHON=$(NEWER) FLOWS='$(CORE)'

# dist/: compiled wheels, one for each CPython at hand, so that an install needs no compiler. Each is installed and runs where
# none is on PATH. For those of other platforms see [tool.cibuildwheel] in pyproject.toml.
wheels:
	rm -rf dist
	for each in $(call at_hand,3.1[1-9]); do $(MAKE) --no-print-directory wheel PYTHON=$$each || exit 1; done

BARE = env PATH=$(abspath $(WHEEL))/bare/bin CC=none
wheel:
	rm -rf $(WHEEL)
	$(call environment,$(WHEEL),build compile runtime)
	SIDECAR_COMPILE=1 $(WHEEL)/bin/python -m hatchling build -t wheel -d $(WHEEL)/made
	$(PYTHON) -m venv $(WHEEL)/bare
	$(BARE) python $(PIP) install --only-binary :all: --require-hashes --no-deps -r $(LOCKS)/runtime.txt
	$(BARE) python $(PIP) install --no-index --no-deps $(WHEEL)/made/*.whl
	$(BARE) plano-sidecar version
	$(BARE) plano-sidecar version | grep -q 'hot path compiled'
	$(BARE) plano-sidecar demo --once
	mkdir -p dist
	mv $(WHEEL)/made/*.whl dist

chart: $(CHART)/.stamp
	SIDECAR_REQUIRE_CHART=1 $(CHART)/bin/python -m pytest --noconftest tests/chart

# No part of `make test` and of .ci/run: building takes about twenty minutes of CPU time and, in Go's own caches, 6 GB of
# disk, once for each version. What is built is 260 MB.
CLUSTER_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/plano-sidecar/cluster

cluster: $(CHART)/.stamp
	@echo 'Builds Helm 3, Helm 4, kustomize, etcd and kube-apiserver from the Go module registry into $(CLUSTER_TOOLS):'
	@echo 'ten minutes on two idle cores, once. Then, in a minute or two, chart, injected manifests and component.'
	tests/cluster/tools/build $(CLUSTER_TOOLS)
	SIDECAR_CLUSTER_TOOLS=$(CLUSTER_TOOLS) $(CHART)/bin/python -m pytest --timeout=300 --confcutdir=tests/cluster tests/cluster

# ARGS=--night is a night in two minutes and a half, with its alerts; ARGS='--out DIR' says where picture and logs go.
observe: $(TEST)/.stamp
	$(TEST)/bin/python -m deploy.observe $(ARGS)

# No part of `make test` and of .ci/run: half an hour, 6 GB below .venv-clients, uv, and npm. ARGS='codex pi' tries those alone.
clients: $(TEST)/.stamp
	$(TEST)/bin/python -m tests.clients $(ARGS)
	$(TEST)/bin/python -m tests.clients.across $(ARGS)
	$(TEST)/bin/python -m tests.clients.page

# Bounded and the same each time, they are part of `make test`. A finding is printed with the example that shows it.
fuzz: $(TEST)/.stamp
	$(TEST)/bin/python -m tests.corpus
	$(TEST)/bin/python -m tests.fuzz $(ARGS)

bench: $(TEST)/.stamp
	$(TEST)/bin/python -m tests.bench.bench_body
	$(TEST)/bin/python -m tests.bench.bench_upstream
	$(TEST)/bin/python -m tests.bench.bench_stream
	$(TEST)/bin/python -m tests.bench.bench_scrape
	$(TEST)/bin/python -m tests.bench.bench_access_log
	$(TEST)/bin/python -m tests.bench.bench_spans
	$(TEST)/bin/python -m tests.bench.bench_translated_streams
	$(TEST)/bin/python -m tests.bench.bench_translate_requests
	$(TEST)/bin/python -m tests.bench.bench_translated_cache

# ARGS=--plain leaves the hot path uncompiled; ARGS='--runs 5' starts each config so often.
image: $(TEST)/.stamp
	$(TEST)/bin/python -m deploy.image $(ARGS)

# dist/sbom.json: what an installation with all extras holds, with the hashes that pip insists on, as CycloneDX.
sbom: $(SBOM)/.stamp
	mkdir -p dist
	$(SBOM)/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --of JSON --sv 1.6 \
	  --output-reproducible -o dist/sbom.json $(LOCKS)/runtime.txt

# Every version is locked with its hashes, and the locks are complete: --no-deps keeps pip's resolver out of it. Asked
# for an extra (coverage[toml]), it would take the newest release there is, find no hash for it and give up. Bytecode is
# made when a module is first imported: most never are.
define environment
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python $(PIP) install --no-compile --require-hashes --no-deps $(foreach lock,$(2),-r $(LOCKS)/$(lock).txt)
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

# Packages are those of $(TEST), by a path of which Python reads no further .pth files: the sources, which are installed
# there in place, are not among them.
$(COMPILED)/.stamp: $(RUN)/.stamp $(TEST)/.stamp
	$(PYTHON) -m venv --clear --without-pip $(COMPILED)
	$(TEST)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$$(echo $(COMPILED)/lib/python3*/site-packages)/packages.pth"
	$(TEST)/bin/python $(PIP) --python $(COMPILED)/bin/python install --no-deps $(RUN)/wheel/*.whl
	touch $@

$(SBOM)/.stamp: $(LOCKS)/sbom.txt
	$(call environment,$(SBOM),sbom)
	touch $@

$(CHART)/.stamp: pyproject.toml $(LOCKS)/build.txt $(LOCKS)/chart.txt
	$(call environment,$(CHART),build chart)
	$(CHART)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

COMPILE := uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal pyproject.toml

lock:
	printf 'hatchling>=1.27\neditables>=0.5\n' | uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal - -o $(LOCKS)/build.txt
	$(COMPILE) --extra redis --extra otel --extra zstd --extra fast -o $(LOCKS)/runtime.txt
	$(COMPILE) --extra redis --extra otel --extra zstd --extra fast --group test --group lint -o $(LOCKS)/test.txt
	printf 'mypy[mypyc]>=1.19,<3\n' | uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal -c $(LOCKS)/test.txt - -o $(LOCKS)/compile.txt
	$(COMPILE) --group chart --group chart-test -o $(LOCKS)/chart.txt
	uv pip compile -q --generate-hashes --no-header --python-version 3.11 --universal --group pyproject.toml:sbom -o $(LOCKS)/sbom.txt

clean:
	rm -rf $(RUN) $(TEST) $(COMPILED) $(CHART) $(OTHER) $(WHEEL) $(SBOM) .venv-clients .image dist
