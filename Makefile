# One door for every habit; hooks and CI call the same targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3.11
BIN := .venv/bin
VARIANT ?= cpu
IMAGES ?= stage airflow serve
COMPOSE ?= docker compose
export PATH := $(CURDIR)/$(BIN):$(PATH)
# grafana-client brings urllib3-future, whose wheel overwrites urllib3 and with it the HTTP of
# everything else; built from source with this switch it keeps to itself. uv reads which package
# to build from pyproject.toml, pip reads it here.
export URLLIB3_NO_OVERRIDE := 1
export PIP_NO_BINARY := urllib3-future
# A folder of wheels, where pip is set up to use one (a CPU build of torch, say); uv must be told.
LINKS = $$($(BIN)/python -m pip config get global.find-links 2>/dev/null || true)

.PHONY: help setup demo airflow monitoring test proof check images graph dashboards lock format clean up down logs

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

setup: .venv/.installed  ## .venv with everything in it

.venv/.installed: requirements/dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; then \
	  links="$(LINKS)"; \
	  $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $${links:+--find-links "$$links"} -r requirements/dev.lock; \
	else \
	  $(BIN)/python -m pip install --quiet -r requirements/dev.lock; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src
	touch $@

demo: setup  ## from nothing to a released `digits` model, through the Airflow DAG
	voxmill demo digits

airflow: setup  ## Airflow for this checkout on loopback, every DAG ready to trigger: make airflow [PORT=8080]
	@voxmill airflow $(if $(PORT),--port $(PORT))

monitoring: setup  ## Prometheus, Alertmanager and the exporter on loopback: make monitoring [WEBHOOK=file with a URL]
	@voxmill monitoring $(if $(WEBHOOK),--webhook-file $(WEBHOOK))

test: setup  ## every quick test
	python -m pytest

proof: setup  ## slow, real proofs of one area, or of several in one go: make proof AREA=digits
	@test -n "$(AREA)" || { echo "Say which area: make proof AREA=NAME; there are: $$(ls tests/proofs | grep -E '^test_' | sed -E 's/test_(.*)\.py/\1/' | tr '\n' ' ')"; exit 64; }
	python -m pytest $(foreach area,$(AREA),tests/proofs/test_$(area)*.py)

check: setup  ## format, lint, types, layers, fresh graph, secrets
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	voxmill graph --check
	voxmill grafana build --check
	git ls-files -z | xargs -0 detect-secrets-hook --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString

images:  ## container images voxmill-stage, -airflow, -serve: make images [VARIANT=cuda] [BASE_IMAGE=…] [USER_ID=…]
	mkdir -p build/wheels
	rm -f build/wheels/*
	@# The CPU build of torch comes from pip's own find-links or index; CUDA is what the index gives.
	@if [ "$(VARIANT)" = cpu ]; then $(PYTHON) -m pip download --quiet --no-deps -d build/wheels "$$(grep '^torch==' requirements/workshop.lock)"; fi
	for image in $(IMAGES); do \
	  DOCKER_BUILDKIT=1 docker build --quiet $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	    $(if $(USER_ID),--build-arg USER_ID=$(USER_ID)) \
	    --build-arg VARIANT=$(VARIANT) --build-arg REVISION="$$(git describe --always --dirty --abbrev=40 --match '')" \
	    --build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -n 1)" \
	    --file images/$$image/Dockerfile --tag voxmill-$$image . ; \
	done

up: setup  ## Airflow, database, metrics and dashboards in containers, as .env says: see docs/operations.md
	@test -f .env || { echo "No .env: cp .env.example .env, correct the paths in it, and start again." >&2; exit 64; }
	@voxmill compose secrets secrets
	$(COMPOSE) up --detach --wait

down:  ## ends what `make up` started; stages that run go on, volumes stay
	$(COMPOSE) down

logs:  ## what the services say: make logs [SERVICE=airflow-scheduler]
	$(COMPOSE) logs --follow --tail 100 $(SERVICE)

graph: setup  ## pipeline.json and versions.yaml from dvc.yaml, the recipes and the code
	voxmill graph

dashboards: setup  ## monitoring/grafana/dashboards/*.json from the code
	voxmill grafana build

format: setup  ## ruff's formatter and safe fixes
	ruff format .
	ruff check --fix .

lock: setup  ## requirements/*.lock from pyproject.toml
	@# Old pins of torch would steer the resolver to the CUDA build, so it starts without them.
	@sed -i '/^torch==/d; /^nvidia-/d; /^triton==/d; /^cuda-/d' requirements/*.lock
	@links="$(LINKS)"; \
	compile() { uv pip compile --quiet --python-version 3.11 $${links:+--find-links "$$links"} \
	  --no-emit-find-links --no-emit-index-url --no-header --no-annotate "$$@"; }; \
	compile pyproject.toml --all-extras -o requirements/dev.lock; \
	compile pyproject.toml --extra workshop -c requirements/dev.lock -o requirements/workshop.lock; \
	compile pyproject.toml --extra office -c requirements/dev.lock -o requirements/office.lock; \
	compile pyproject.toml --extra serve -c requirements/dev.lock -o requirements/serve.lock
	@# A local build tag would tie the lock to one machine's wheel folder.
	sed -i -E 's/^(torch==[0-9.]+)\+.*/\1/' requirements/*.lock
	@! grep -hE '^nvidia-' requirements/*.lock | grep -v '^nvidia-ml-py=='  # which only asks the driver

clean:  ## what runs made; the caches and releases in VOXMILL_HOME stay
	rm -rf artifacts work .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
