# Two commands do most: `make run` and `make test`. Needs Python 3.11 or newer, make and git; the rest is set up here.

UV_VERSION := 0.13.9
UV := $(if $(shell uv --version 2>/dev/null),uv,.uv/bin/uv)
UVX = $(UV) tool run
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format doctor weights vllm-weights sums check-vllm eval-scenes bench-latency bench-perception bench-semantics bench-gateway bench-reasoner bench-eval bench-eval-run train-mini

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.synced ## make the virtual environment from uv.lock

run: setup ## start the embedded stack and ask it the bundled question; ONCE=1 stops then, exit 0 if it was right
	@$(BIN)/python -m embedded $(if $(ONCE),--once)

test: lint ## lint, then the whole test-suite
	$(BIN)/python -m pytest $(PYTEST)

lint: setup ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

doctor: setup ## is everything that the running stack needs reachable?
	@$(BIN)/dtwinseger doctor

weights: setup ## download segment-anything's checkpoint into models/: MODEL=vit_h, vit_l or vit_b
	@$(BIN)/python -m services.perception.weights $(or $(filter vit_h vit_l vit_b,$(MODEL)),\
		$(error make weights needs MODEL=vit_h, MODEL=vit_l or MODEL=vit_b))

vllm-weights: setup ## download a model for vLLM into weights/: MODEL=org/name REVISION=commit, as the hub has them
	@$(BIN)/hf download $(or $(MODEL),$(error make vllm-weights needs MODEL=org/name)) --local-dir weights/$(MODEL) \
		--revision $(or $(REVISION),$(error make vllm-weights needs REVISION: a commit of the model))
	@$(BIN)/hf cache verify $(MODEL) --local-dir weights/$(MODEL) --revision $(REVISION) --fail-on-missing-files

sums: ## list the bundled models' files in models/SHA256SUMS, after one was trained anew: services start with no others
	@cd models && find dtwin-mini-sam dtwin-mini-vlm dtwin-mini-llm -type f ! -name README.md | LC_ALL=C sort | xargs sha256sum > SHA256SUMS

check-vllm: | $(filter .uv/%,$(UV)) ## docs/vllm.md through vLLM's own parser, without a GPU (downloads several GB)
	$(UV) run --no-project --isolated --with vllm==0.33.0 --with pytest python -m pytest -W default tests/docs/test_vllm.py

eval-scenes: setup ## 200 held-out scenes over HTTP: the pipeline, its ablation, where it loses (starts its own stack; ARGS=--help)
	@$(BIN)/python -m benchmarks.scenes_quality $(ARGS)

.PHONY: images test-images bench-images
images: setup ## build every image (Docker): BASE_IMAGE=python:3.11-slim-bookworm, or none to have one made by debootstrap
	@$(BIN)/python -m deploy.images

test-images: images ## build them, bring the embedded profile up in containers and test both
	TEST_IMAGES=1 $(BIN)/python -m pytest tests/deploy $(PYTEST)

bench-images: setup ## after make images: sizes, time from `up` to the first answer, memory of each container
	@$(BIN)/python -m benchmarks.images

bench-latency: setup ## one request, cold and from the store: median and p95 (starts its own stack)
	@$(BIN)/python -m benchmarks.embedded_latency

bench-perception: setup ## proposals by stage: SAM's mask generator against ours, then a service under load (25 minutes on 2 cores)
	@$(BIN)/python -m benchmarks.perception
	@$(BIN)/python -m benchmarks.perception_load
	@$(BIN)/python -m benchmarks.perception_precision

bench-semantics: setup ## the VLM's caller against a scripted engine, then the bundled VLM by prompting and batch size
	@$(BIN)/python -m benchmarks.semantics
	@$(BIN)/python -m benchmarks.semantics_quality

bench-gateway: setup ## what the gateway adds to its stages, the store's answers, a crowd (doubles of the services)
	@$(BIN)/python -m benchmarks.gateway

bench-reasoner: setup ## the LLM's caller against an engine double, then the bundled LLM: accuracy, use of its path, calibration
	@$(BIN)/python -m benchmarks.reasoner
	@$(BIN)/python -m benchmarks.reasoner_quality

bench-eval: setup ## scoring 1,000 and 10,000 predictions at 640x480 on 2 cores: time and peak memory
	@$(BIN)/python -m benchmarks.evaluation

bench-eval-run: setup ## a run of an evaluation: requests in flight, and twenty kills (doubles)
	@$(BIN)/python -m benchmarks.evaluation_run

ON_GPU = $(shell command -v nvidia-smi)
train-mini: setup ## the bundled models from nothing: an hour on a GPU, half a day on a CPU; goes on where it was stopped
	$(BIN)/python -m training.mini.render --out runs/scenes
	$(BIN)/python -m training.mini.sam --scenes runs/scenes
	$(BIN)/python -m benchmarks.sam_quality --tune --first-seed 9000
	$(BIN)/python -m training.mini.render --out runs/perceived --sam models/dtwin-mini-sam --scenes 5000 --first-seed 50000
	$(BIN)/python -m training.mini.vlm --scenes runs/scenes --perceived runs/perceived
	$(BIN)/python -m training.mini.llm --run runs/llm $(if $(ON_GPU),,--workers 1)
	@test -e runs/sftdt.jsonl || $(BIN)/python -m training.mini.llm_lines runs/sftdt.jsonl --samples 240000 --parts 0.45
	@test -e runs/sftdt/adapter || $(BIN)/python -m training.sftdt --base runs/llm/base --data runs/sftdt.jsonl --run runs/sftdt \
	    --config training/sftdt/configs/mini-llm$(if $(ON_GPU),,-cpu).toml
	@rm -rf runs/merged
	$(BIN)/python -m training.merge runs/sftdt/adapter --base runs/llm/base --out runs/merged
	@mkdir -p models/dtwin-mini-llm/adapter
	@cp runs/merged/* models/dtwin-mini-llm/
	@cp runs/sftdt/adapter/* models/dtwin-mini-llm/adapter/
	@$(MAKE) --no-print-directory sums

# What is checked beside the tests, and releases.
.PHONY: bench-rolling lint-k8s rules audit audit-code audit-licenses audit-vulnerabilities sbom release

lint-k8s: | $(filter .uv/%,$(UV)) ## k8s/: every overlay rendered, held to Kubernetes' schemas, and scanned for unsafe settings
	@rm -rf .run/k8s
	@$(UV) run --no-project --isolated --quiet --with kubernetes-validate==1.37.0 --with pyyaml python -m ops.lint .run/k8s
	@$(UVX) --quiet checkov@3.3.30 --directory .run/k8s --framework kubernetes --config-file k8s/.checkov.yaml

bench-rolling: setup ## two gateways and two perceptions behind nginx, each restarted five times under load: is a request lost? (doubles of engines)
	@$(BIN)/python -m benchmarks.rolling

rules: setup ## the alert rules as a file for a Prometheus without its operator
	@$(BIN)/python -m ops.monitoring

audit: setup ## bandit, the licenses of what is locked, and its known vulnerabilities; all three, though one fails
	@$(MAKE) --keep-going --no-print-directory audit-code audit-licenses audit-vulnerabilities

audit-code: setup
	@echo "bandit:"
	@$(UVX) bandit@1.9.4 --quiet --configfile pyproject.toml --recursive dtwinseger gateway services training embedded benchmarks deploy ops

audit-licenses: setup
	@$(UVX) pip-licenses@5.5.5 --python $(BIN)/python --order license --format markdown

# Strict: what cannot be looked up is an error, so without the index's answers nothing passes.
audit-vulnerabilities: setup
	@mkdir -p .run
	@$(UV) export --locked --all-extras --all-groups --no-emit-project --quiet --output-file .run/locked.txt
	@$(UVX) pip-audit@2.10.1 --strict --require-hashes --disable-pip --progress-spinner off -r .run/locked.txt || { \
		echo "error: a package has a known vulnerability, or pypi.org could not be asked; the last line above says which" >&2; exit 1; }

sbom: setup ## a CycloneDX bill of materials for each deployable and the client, from the lock, in dist/sbom
	@mkdir -p dist/sbom
	@$(UV) export --locked --no-dev --format cyclonedx1.5 --quiet --output-file dist/sbom/client.cdx.json
	@for extra in gateway perception semantics reasoner engine eval training; do \
		$(UV) export --locked --no-dev --extra $$extra --format cyclonedx1.5 --quiet --output-file dist/sbom/$$extra.cdx.json || exit 1; done
	@ls dist/sbom

release: setup ## VERSION=1.2.3: check that this commit is that release, then wheel, source, bills of material and hashes in dist/
	@$(BIN)/python -m ops.ready $(or $(VERSION),$(error make release needs VERSION=1.2.3))
	@rm -rf dist
	$(UV) build --quiet
	@$(MAKE) --no-print-directory sbom
	@cd dist && sha256sum *.whl *.tar.gz sbom/*.json | tee SHA256SUMS
	@echo "to publish it: git tag v$(VERSION) && git push origin v$(VERSION)"

# Nothing is synced again until the lock or the project file changes.
.venv/.synced: pyproject.toml uv.lock | $(filter .uv/%,$(UV))
	$(UV) sync --locked --all-extras
	@touch $@

.uv/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed; python3 is $$(python3 --version 2>&1)" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "error: python3 cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	python3 -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
