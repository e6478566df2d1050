# make run     set up .venv and run the conformance suite on the reference model (no root)
# make test    set up QEMU and the real Xen images too, check the code, run all tests
# make slow    the tests that take minutes, marked `slow`
# make bench   figures: the model's speed, seconds per test on each port
# make format  rewrite the Python sources and the ABI's YAML in the one style of each

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
XENPORT := $(BIN)/xenport
REAL_PORTS := $(foreach release,4.14 4.17 4.20,xen-$(release)-amd64 xen-$(release)-arm64) xen-4.14-armhf xen-4.17-armhf

.PHONY: run test slow bench check format setup system clean

run: setup
	$(XENPORT) run

test: setup system check
	$(BIN)/pytest -m "not slow" -n logical --dist worksteal

slow: setup system
	$(BIN)/pytest -m slow

bench: setup system
	$(BIN)/python -m xenport.bench

check: setup
	$(BIN)/ruff format --check tools tests
	$(BIN)/ruff check tools tests
	$(BIN)/mypy
	$(XENPORT) abi fmt --check

format: setup
	$(BIN)/ruff format tools tests
	$(BIN)/ruff check --fix tools tests
	$(XENPORT) abi fmt

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "xenport needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

system: setup
	tools/install-system
	for thing in qemu $(REAL_PORTS); do $(XENPORT) fetch $$thing || exit; done

clean:
	rm -rf $(VENV) out build dist
