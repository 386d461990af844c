# Contributors and hosted CI run the same targets. `make` alone lists them.
PYTHON ?= python3
IMAGE ?= sepurux-gate-action:dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# cryptography is half of all bytes. PyGithub needs it only for GitHub App keys and imports without it. The lock files
# leave it out, so they are installed with --no-deps.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
  --no-emit-package cryptography $(UPGRADE)
PINNED := $(shell sed -n 's/^FROM \(.*\) AS base$$/\1/p' Dockerfile)
FITS := $(BIN)/check-jsonschema --builtin-schema vendor
# `make test SLOWEST=20` also prints the slowest tests.
TESTS := -m pytest -n auto --dist loadfile -m "not container" $(if $(SLOWEST),--durations=$(SLOWEST))

.DELETE_ON_ERROR:
.PHONY: help setup demo test pytest coverage lint types format generate golden gallery picture lock image container clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(READY) ## make the virtual environment and install what the lock files name

demo: $(READY) ## run the gate against a sandbox on this machine; no account, no network
	@$(BIN)/python examples/demo.py

test: lint types $(if $(CI),coverage,pytest) ## lint, types and all tests but the container tests; in CI with coverage

pytest: $(READY)
	$(BIN)/python $(TESTS)

coverage: $(READY) ## the same tests with branch coverage, which must not fall below its minimum
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run $(TESTS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

lint: $(READY) ## rules and format of code, scripts, workflows, forms and the Dockerfile, changing nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/actionlint -shellcheck $(BIN)/shellcheck
	$(BIN)/shellcheck .ci/run .github/*.sh composite/*.sh
	$(BIN)/zizmor --quiet --no-progress --offline .
	$(BIN)/yamllint --strict .
	$(BIN)/hadolint Dockerfile
	$(FITS).github-actions $(wildcard action.yml */action.yml)
	$(FITS).github-workflows .github/workflows/*.yml
	$(FITS).github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(FITS).github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(FITS).dependabot .github/dependabot.yml

types: $(READY) ## mypy in its strict mode
	$(BIN)/mypy

format: $(READY) ## format, and fix what a rule can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

generate: $(READY) ## write both action.yml, the schema and the documents' tables from the tables in code
	$(BIN)/python scripts/generate.py

golden: $(READY) ## write tests/golden: every report as the templates render it
	@$(BIN)/python scripts/golden.py

gallery: $(READY) ## write build/gallery.html: every report as GitHub shows it, light and dark
	@$(BIN)/python scripts/gallery.py

picture: $(READY) ## draw docs/comment-*.png, the comment that README shows (needs Chromium)
	@$(BIN)/python scripts/picture.py

lock: $(READY) ## write the lock files from requirements.in, requirements-dev.in and package.json; UPGRADE=--upgrade renews Python's
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(BIN)/npm install --silent --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts

image: ## build the container image; IMAGE names it, GATE_BASE a local image to build on instead of the pinned base
	docker build --network=host $(if $(GATE_BASE),--build-context $(PINNED)=docker-image://$(GATE_BASE)) -t $(IMAGE) .

# The second command runs flow tests inside the image, which has fewer packages than the environment of `make test`.
container: export GATE_IMAGE ?= $(IMAGE)
container: $(READY) ## the built image as GitHub's runner runs it, and workflows under act (needs Docker and an index)
	$(BIN)/pytest -m container tests/container tests/flows/test_composite_packages.py
	GATE_LABEL=gate-flows GATE_ENTRYPOINT=tests/container/docker_step.py $(BIN)/pytest -n auto tests/flows/test_pull_request.py

clean: ## remove all that these targets made, the environment too
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements-dev.txt package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is missing or older than 3.11; name another: make setup PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	cp package.json package-lock.json $(VENV)
	$(BIN)/npm ci --silent --ignore-scripts --no-audit --no-fund --prefix $(VENV)
	@touch $@
