# Contributors and hosted CI run the same targets. `make` without a target lists them.
PYTHON ?= python3
IMAGE ?= sepurux-gate-action:dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := build/demo-venv
# cryptography is half of all bytes. PyGithub needs it only for GitHub App keys and imports without it. The action's lock
# file leaves it out, so the lock files are installed with --no-deps. OpenAI's Agents SDK, which is tested, needs it.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header $(UPGRADE)
PROSE := $(BIN)/node $(VENV)/node_modules/textlint/bin/textlint.js
PINNED := $(shell sed -n 's/^FROM \(.*\) AS base$$/\1/p' Dockerfile)
FITS := $(BIN)/check-jsonschema --builtin-schema vendor
# A third of the time of the tests is waiting. `make test SLOWEST=20` also prints the slowest tests.
WORKERS = $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) * 3 // 2)")
TESTS = -m pytest -n $(WORKERS) --dist loadfile -m "not container" $(if $(SLOWEST),--durations=$(SLOWEST))

.DELETE_ON_ERROR:
.PHONY: help setup demo test pytest coverage lint types format generate noise golden gallery picture measure lock image container clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(READY) ## create .venv and install what the lock files pin

demo: $(DEMO)/ready ## run the gate against a sandbox; needs no account
	@$(DEMO)/bin/python -m sepurux_action demo

test: $(READY) ## lint, types, and all tests without containers
	@$(MAKE) --no-print-directory --jobs=2 lint types
	@$(MAKE) --no-print-directory $(if $(CI),coverage,pytest)

pytest: $(READY)
	$(BIN)/python $(TESTS)

coverage: export CI := true
coverage: WORKERS := auto
coverage: $(READY) ## the same tests with branch coverage, on more random cases
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run $(TESTS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

lint: $(READY) ## check code, workflows, and prose; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/actionlint -shellcheck $(BIN)/shellcheck
	$(BIN)/shellcheck .ci/run .github/*.sh composite/*.sh
	$(BIN)/zizmor --quiet --no-progress --offline .
	$(BIN)/yamllint --strict .
	$(BIN)/hadolint Dockerfile
	$(PROSE) $(wildcard *.md docs/*.md .github/*.md recorder/*.md)
	$(BIN)/python scripts/prose.py build/prose
	COMMENTS=1 $(PROSE) "build/prose/**/*.txt" action.yml $(wildcard sepurux_action/report/templates/*.j2 \
	  examples/*/*.yml examples/*/.*.y*ml .github/ISSUE_TEMPLATE/*.yml)
	$(FITS).github-actions $(wildcard action.yml */action.yml)
	$(FITS).github-workflows .github/workflows/*.yml
	$(FITS).github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(FITS).github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(FITS).dependabot .github/dependabot.yml
	$(FITS).gitlab-ci examples/ci/.gitlab-ci.yml

types: $(READY) ## run mypy in strict mode
	$(BIN)/mypy

format: $(READY) ## format the code, and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

generate: $(READY) ## write action.yml, the schemas, and the docs' tables
	$(BIN)/python scripts/generate.py

noise: $(READY) ## simulate how often noise decides a gate; write the figures
	$(BIN)/python scripts/noise.py

golden: $(READY) ## write tests/golden, every state of a report
	@$(BIN)/python scripts/golden.py

gallery: $(READY) ## write build/gallery.html, reports as GitHub shows them
	@$(BIN)/python scripts/gallery.py

picture: $(READY) ## draw README's pictures and every state (needs Chromium)
	@$(BIN)/python scripts/picture.py

measure: $(READY) ## measure every comment on a phone (needs Chromium)
	@$(BIN)/python scripts/measure.py

lock: $(READY) ## write the lock files; UPGRADE=--upgrade renews Python's
	$(LOCK) --no-emit-package cryptography requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(BIN)/npm install --silent --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts

image: ## build the image; IMAGE= names it, GATE_BASE= a local base
	docker build --network=host $(if $(GATE_BASE),--build-context $(PINNED)=docker-image://$(GATE_BASE)) -t $(IMAGE) .

# The second command runs flow tests inside the image, which has fewer packages than the environment of `make test`.
container: export GATE_IMAGE ?= $(IMAGE)
container: $(READY) ## test the image, and workflows under act (needs Docker)
	$(BIN)/pytest -m container tests/container tests/flows/test_composite.py
	GATE_LABEL=gate-flows GATE_ENTRYPOINT=tests/container/docker_step.py $(BIN)/pytest -n auto tests/flows/test_pull_request.py

clean: ## remove .venv and everything else that make wrote
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

define environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "$(PYTHON) is missing or older than 3.11; name another: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
  { echo "$(PYTHON) cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
@$(PYTHON) -m venv $(@D)
@$(@D)/bin/python -u -m pip install $(QUIET) --disable-pip-version-check --require-hashes --no-deps -r $<
endef

# The demo needs only what the action needs, so it does not wait for the development tools.
$(DEMO)/ready: QUIET := --quiet
$(DEMO)/ready: requirements.txt
	@echo "Installing the action's own packages into $(@D), once ..."
	$(environment)
	@touch $@

$(READY): requirements-dev.txt package-lock.json
	@echo "Installing what requirements-dev.txt and package-lock.json pin into $(@D), once: 700 MB, a minute or two ..."
	$(environment)
	cp package.json package-lock.json $(VENV)
	$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(VENV)
	@touch $@
