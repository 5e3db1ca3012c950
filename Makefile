# Needs make and Python 3.11 or newer, nothing else. `make demo` shows it, `make test` checks it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# A company's network may sign with its own certificate.
export UV_SYSTEM_CERTS := 1
# An hour and more each; peers also installs other people's tools.
LONG := benchmarks/overlap.py benchmarks/account.py benchmarks/crashes.py benchmarks/peers.py
BENCHMARKS := $(filter-out $(LONG),$(wildcard benchmarks/[a-z]*.py))
AS_INSTALLED := $(BIN)/python scripts/as_installed.py

help:
	@echo 'make demo   moves a help desk between two sandboxes and shows what was kept and what was lost'
	@echo 'make demo-hosting   moves a whole hosting account (mail, files, zones, a database, a panel) between true servers on this machine'
	@echo 'make test   formats, lint, types, layers, then every test'
	@echo 'make test-light  the same without what needs Debian packages'
	@echo 'make lint   the same without the tests'
	@echo 'make bench  the measurements that the README quotes'
	@echo 'make bench-long  those that take hours: the whole account, the crashes, beside other tools'
	@echo 'make clean  removes the environment and all that was built'

demo: $(VENV)/.installed
	$(BIN)/migrator demo

# Dovecot, PowerDNS, MariaDB and OpenSSH are installed from Debian where they may be; where not, it says what is missing.
demo-hosting: $(VENV)/.installed
	@$(BIN)/python -c 'import imapclient, paramiko, pymysql, sievelib' 2>/dev/null || \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[mail,files,mysql]' || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[mail,files,mysql]'
	$(BIN)/migrator demo --hosting --workspace demo-hosting-workspace

test: lint
	$(BIN)/python -m pytest

# Real help desks are installed from Debian where they may be, and their tests skipped where not; here they may not.
test-light: lint
	MIGRATOR_NO_APT=1 $(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check --output-format concise .
	$(BIN)/ruff check --output-format concise .
	$(AS_INSTALLED) mypy --config-file ../../pyproject.toml -p migrator
	$(AS_INSTALLED) lint-imports --config ../../.importlinter --no-logo
	$(BIN)/pre-commit validate-config .pre-commit-config.yaml

bench: $(VENV)/.installed-dev
	@test -n '$(BENCHMARKS)' || { echo 'there is nothing in benchmarks/' >&2; exit 1; }
	@for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

bench-long: $(VENV)/.installed-dev
	@for file in $(LONG); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help demo demo-hosting test test-light lint bench bench-long clean

# The environment is made once and filled again only when pyproject.toml has changed.
# uv fills it in seconds; where it cannot (a mirror that only pip is told of), pip does.
$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo 'there is no $(PYTHON): install Python 3.11 or newer,' \
	  'or name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "migrator needs Python 3.11 or newer and $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	  'Name a newer one: make PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make environments (no venv).' \
	  'On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	-@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.installed: EXTRA :=
$(VENV)/.installed-dev: EXTRA := [dev]
$(VENV)/.installed $(VENV)/.installed-dev: $(VENV)/.made pyproject.toml
	@echo 'installing migrator$(EXTRA) in $(VENV)'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --editable '.$(EXTRA)' \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(EXTRA)'
	@touch $@ $(VENV)/.installed
