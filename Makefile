# C, Python and npm meet here. `make` alone lists what there is.
#
#   make PYTHON=python3.13 VENV=.venv-3.13 build     another interpreter, an environment of its own
#   make test PYTEST_ARGS="-k ring -x"               a part of the suite

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
VERSIONS ?= 3.11 3.12 3.13

PY = $(VENV)/bin/python
BUILT = $(VENV)/.built
WHEELS = build/wheels
# Empty where Node.js is missing, or older than Vite can work with.
NPM := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null && command -v npm)
NODE_MODULES = frontend/node_modules/.installed
EXTENSIONS = $(wildcard greenscope/runtime/*.c greenscope/trace/*.c greenscope/integrations/*/*.c)
HEADERS = $(wildcard greenscope/runtime/*.h greenscope/trace/*.h greenscope/integrations/*/*.h)
C_SOURCES = $(EXTENSIONS) $(HEADERS) $(wildcard packaging/*.h benchmarks/*.c)
C_FLAGS = -O2 -std=c11 -Wall -Wextra -Werror

# Our own builds have a compiler, so an extension that does not compile is a bug, not a circumstance.
export GREENSCOPE_REQUIRE_EXTENSION = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# pyuv has not compiled unaided since Python 3.10; packaging/README.md says what the header does.
# --no-binary also keeps pip from taking a wheel out of its cache that an older header built;
# --use-pep517 because Debian's pip would else want a `wheel` package that its environments lack.
PYUV_WHEEL = CFLAGS="-O2 -include '$(CURDIR)/packaging/pyuv_compat.h'" \
	$(PY) -m pip wheel --quiet --no-deps --use-pep517 --no-binary pyuv pyuv==1.4.0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build demo test pytest pytest-processes pytest-rest pytest-alone test-frontend test-all $(addprefix test-,$(VERSIONS)) sanitize check check-ruff check-types check-generated \
	check-c-format check-c-warnings check-frontend format wheels frontend clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

## set-up

build: $(BUILT) ## the virtual environment with pyuv, the C extension and greenscope; quick when nothing changed

$(VENV)/.venv:
	@$(PYTHON) tools/preflight.py
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.pyuv: $(VENV)/.venv packaging/pyuv_compat.h
	@echo "building pyuv (about ten seconds)"
	@$(PYUV_WHEEL) --wheel-dir $(WHEELS)
	$(PY) -m pip install --quiet --no-index --no-deps --force-reinstall --find-links $(WHEELS) pyuv==1.4.0
	@touch $@

# The extension may fail here, and fails the next rule instead: with the compiler's words, not pip's.
$(VENV)/.installed: $(VENV)/.pyuv pyproject.toml setup.py
	@echo "installing greenscope and what it needs (a minute, the first time)"
	GREENSCOPE_REQUIRE_EXTENSION=0 $(PY) -m pip install --quiet --editable '.[dev]'
	@touch $@

# Not pip again: one changed C file is a second's work this way, and needs no network.
$(BUILT): $(VENV)/.installed setup.py $(EXTENSIONS) $(HEADERS)
	$(PY) setup.py --quiet build_ext --inplace
	@touch $@

## use

# One simple command, no shell between: Ctrl-C reaches the demo, and make waits until it has cleaned up.
demo: $(BUILT) ## a green service under load, and the dashboard on http://127.0.0.1:8765; Ctrl-C ends both
	@$(VENV)/bin/greenscope demo

## tests and checks

# Each part runs whatever the others say. The Python suite is two halves, which with `make --jobs=2` run side by side,
# since for most of its time it waits for the processes that it starts; and what has to have the machine to itself:
# that nothing is found wrong with busy programs.
PROCESSES = $(addprefix tests/,acceptance cli contract crash diagnosis integrations)
ALONE = tests/diagnosis/test_healthy.py

test: $(BUILT) ## the whole suite
ifeq ($(PYTEST_ARGS),)
	@status=0; $(MAKE) --no-print-directory --keep-going test-frontend pytest-processes pytest-rest || status=1; \
	$(MAKE) --no-print-directory pytest-alone || status=1; exit $$status
else
	@$(MAKE) --no-print-directory --keep-going test-frontend pytest
endif

pytest-processes: $(BUILT)
	$(PY) -m pytest $(PROCESSES) --ignore=$(ALONE)

pytest-rest: $(BUILT)
	$(PY) -m pytest $(addprefix --ignore=,$(PROCESSES))

pytest-alone: $(BUILT)
	$(PY) -m pytest $(ALONE)

pytest: $(BUILT) ## the Python suite alone
	$(PY) -m pytest $(PYTEST_ARGS)

ifdef NPM
test-frontend: $(NODE_MODULES)
	npm --prefix frontend test
else
test-frontend:
	@echo "the frontend's own tests are left out: they need Node.js 20.19 or later (apt-get install nodejs npm)"
endif

# Of each the others are no part: one that fails stops none, and with `make --jobs=2` two run side by side.
test-all: ## the Python suite on 3.11, 3.12 and 3.13, those that are installed, each in its own .venv-3.X
	@$(MAKE) --no-print-directory --keep-going $(addprefix test-,$(VERSIONS))

$(addprefix test-,$(VERSIONS)): test-%:
	@python=$$(tools/find-python $*) || { echo "Python $*: not installed"; exit 0; }; \
	$(MAKE) --no-print-directory pytest PYTHON="$$python" VENV=.venv-$* && result=passed || result=FAILED; \
	echo "Python $*: $$result"; [ $$result = passed ]

# What writes the ring, and what calls it: parking, switching, queues, stacks.
SANITIZE_TESTS ?= $(addprefix tests/trace/test_, figures.py leaks.py levels.py notes.py ring.py snapshot.py watchdog.py \
	watchdog_forks.py watchdog_snapshots.py watchdog_socket.py) \
	$(addprefix tests/crash/test_, crash.py rings.py) \
	$(addprefix tests/runtime/test_, attempt.py local.py parking.py queue.py socket_waits.py stacks.py) \
	$(addprefix tests/integrations/test_gevent_, edges.py life.py steps.py)

sanitize: $(BUILT) ## the C extensions under AddressSanitizer and UndefinedBehaviorSanitizer; two minutes
	tools/sanitize $(PY) $(SANITIZE_TESTS)

check: check-ruff check-types check-generated check-c-format check-c-warnings check-frontend ## ruff, mypy, clang-format, C warnings, tsc, built files; -k goes on after a failure

check-ruff: $(BUILT)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

check-types: $(BUILT)
	$(PY) -m mypy

check-generated: $(BUILT)
	$(PY) -m tools.generate --check

check-c-format: $(BUILT)
	$(VENV)/bin/clang-format --dry-run -Werror $(C_SOURCES)

# Compiled and not only parsed: half of the warnings come from what the optimizer sees.
check-c-warnings: $(BUILT)
	@include=$$($(PY) -c 'import sysconfig; print("-I" + sysconfig.get_path("include"))'); \
	for source in $(EXTENSIONS) benchmarks/echo_client.c; do \
	  echo "$(CC) $(C_FLAGS) -c $$source"; \
	  $(CC) $(C_FLAGS) -fPIC $$include -c $$source -o /dev/null || exit 1; \
	done

ifdef NPM
check-frontend: $(NODE_MODULES)
	npm --prefix frontend run check
	tools/check-frontend-built
else
check-frontend:
	@echo "check-frontend needs Node.js 20.19 or later: apt-get install nodejs npm" >&2; exit 1
endif

format: $(BUILT) ## let ruff and clang-format rewrite what check would complain of
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(VENV)/bin/clang-format -i $(C_SOURCES)

## build

# setuptools would put modules that were deleted since its last build into the wheel, from build/lib.
wheels: $(BUILT) ## dist/: wheels of pyuv and greenscope for machines without a compiler
	rm -rf build/lib* build/bdist*
	@$(PYUV_WHEEL) --wheel-dir dist
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

$(NODE_MODULES): frontend/package-lock.json
	npm --prefix frontend ci --no-audit --no-fund
	@touch $@

frontend: $(NODE_MODULES) ## build the page into greenscope/web/static (commit the result)
	npm --prefix frontend run build

clean: ## remove everything that was built, and the virtual environments
	rm -rf .venv .venv-* build dist frontend/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find greenscope tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} +
	rm -f greenscope/trace/_*.so greenscope/runtime/_*.so
