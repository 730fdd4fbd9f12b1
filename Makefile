# Sereno: every task, one word each. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
ROOT := $(CURDIR)
export YOLO_OFFLINE := true
export YOLO_AUTOINSTALL := false
export YOLO_CONFIG_DIR := $(ROOT)/.cache/ultralytics
export PIP_DISABLE_PIP_VERSION_CHECK := 1

DEVICE := .venv/.ready
DEV := .venv-dev/.ready
WORKSTATION := .venv-workstation/.ready
TEST_WORKSTATION := .venv-workstation/bin/python -m pytest tests/export tests/training
TEST_PACKAGES := mosquitto mosquitto-clients chromium openssl systemd

.PHONY: help environments run test test-device test-workstation test-systemd test-arm64 models export train-cnn train-transfer train-detector train-arcface train-distill bench lint docs lock install clean

help: ## this list
	@grep -E '^[a-z0-9 -]+:.*##' Makefile | sed -E 's/^([a-z0-9 -]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-18s %s\n", $$1, $$2}'

# An environment is what its lock file says, nothing else: hashes checked, no dependency resolved here, our own package built
# with the setuptools of that file.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Sereno needs Python 3.11, 3.12 or 3.13; this is %d.%d. Name another with make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	@echo "setting up $(1) from requirements/$(2).txt"
	@$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet $(3) --no-deps --require-hashes --requirement requirements/$(2).txt
	@$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(1)/.ready
endef

$(DEVICE): requirements/demo.txt pyproject.toml
	$(call environment,.venv,demo)

$(DEV): requirements/dev.txt pyproject.toml
	$(call environment,.venv-dev,dev)

# Python compiles what is imported of these 8 GB; to compile all of it first takes a minute more.
$(WORKSTATION): requirements/workstation.txt requirements/insightface.txt pyproject.toml
	@free=$$(df --output=avail -BG . | tail -n 1 | tr -dc 0-9); if [ "$$free" -lt 15 ]; then \
	  echo "the workstation environment (PyTorch, ultralytics, LiteRT converters) needs 15 GB free in $(ROOT); there are $$free GB" >&2; exit 1; fi
	$(call environment,.venv-workstation,workstation,--no-compile)
	@.venv-workstation/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes --requirement requirements/insightface.txt || { rm -f $@; exit 1; }

# The largest first: `make -j2 environments` makes the others beside it.
environments: $(WORKSTATION) $(DEVICE) $(DEV)

run: $(DEVICE) ## the camera box on camera 0 or on footage; page on http://127.0.0.1:8080
	@exec .venv/bin/sereno run --config config/demo.yaml

.PHONY: debian
debian:
	@missing=(); for p in $(TEST_PACKAGES); do dpkg-query -W -f='$${Status}' $$p 2> /dev/null | grep -q 'ok installed' || missing+=($$p); done; \
	if [ $${#missing[@]} -gt 0 ]; then sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; echo "installing the Debian packages that tests need: $${missing[*]}"; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends "$${missing[@]}" > /dev/null; fi

.PHONY: space
space:
	@free=$$(df --output=avail -BG . | tail -n 1 | tr -dc 0-9); if [ ! -e $(WORKSTATION) ] && [ "$$free" -lt 15 ]; then \
	  echo "make test needs 15 GB free in $(ROOT) for the workstation environment; there are $$free GB. make test-device needs 2." >&2; exit 1; fi

# Each suite keeps about one core busy, so they run side by side. The device's has clocks to keep to, and goes first where
# there is a core too few.
test: space ## everything: the device's tests, and beside them those of export and training
	@$(MAKE) --no-print-directory -j2 environments
	@$(MAKE) --no-print-directory face-models
	@mkdir -p build; : > $(BESIDE); $(MAKE) --no-print-directory -j2 test-device test-beside; failed=$$?; cat $(BESIDE); exit $$failed

BESIDE := build/test-workstation.log
.PHONY: test-beside
test-beside: $(DEVICE) $(WORKSTATION)
	@echo "the tests of export and training run meanwhile, and tell at the end: $(BESIDE)"
	@nice -n 10 $(TEST_WORKSTATION) > $(BESIDE) 2>&1

# What a door sees with is others' weights: fetched, or converted by the workstation's environment; the device's tests try it.
FACES = face_detection_yunet_2023mar.onnx face_detection_short_range.tflite face_landmark.tflite
.PHONY: face-models
face-models: $(DEVICE) $(WORKSTATION)
	@.venv/bin/python -m export.weights $(FACES) > /dev/null || echo "not all face models can be had: tests that need them are skipped"
	@[ -e .cache/bundles/minifasnet-v1se/manifest.json ] || .venv-workstation/bin/python -m export minifasnet > /dev/null \
	  || echo "there are no liveness networks to try: tests that need them are skipped"

test-device: debian $(DEVICE) $(DEV) ## the device's tests alone: no PyTorch, 2 GB
	.venv-dev/bin/python -m pytest tests --ignore=tests/export --ignore=tests/training

test-workstation: $(DEVICE) $(WORKSTATION) ## the tests of export and training alone
	$(TEST_WORKSTATION)

test-systemd: $(DEV) ## boot a Debian with systemd and put the sandboxed service through its life (root, debootstrap)
	.venv-dev/bin/python -m tests.systemd.boot $(ARGS)

test-arm64: $(DEV) ## the device code on emulated arm64 against this machine (root, debootstrap, qemu-user-static)
	.venv-dev/bin/python -m tests.arm64.run $(ARGS)

models: $(DEVICE) ## pretrained weights into .cache/models, each checked by sha256
	@.venv/bin/python -m export.weights $(ARGS)

export: $(WORKSTATION) ## MODEL=yolov8n: quantize, verify against the float model, write bundles
	@.venv-workstation/bin/python -m export $(MODEL) $(ARGS)

train-cnn train-transfer train-detector train-arcface: train-%: $(WORKSTATION) ## DATA=folder ARGS=…: train a model of one's own, see docs/training.md
	@.venv-workstation/bin/python -m training $* $(if $(DATA),--data "$(DATA)") $(ARGS)

train-distill: $(WORKSTATION) ## the default detector: quantization-aware distillation of yolov8n; ARGS=…
	@.venv-workstation/bin/python -m training detector-distill $(ARGS)

bench: $(WORKSTATION) ## speed and memory, each a ratio measured in one run; also as bench.json
	@.venv-workstation/bin/python -m tests.bench $(ARGS)

lint: $(DEV) ## ruff, mypy --strict on device/, the layers
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/ruff check .
	.venv-dev/bin/mypy
	.venv-dev/bin/lint-imports --no-logo

docs: $(DEV) ## write what is generated: docs/config.md and config/schema.json
	.venv-dev/bin/python -m device.configdoc

# Hashes, no index. backports-strenum is asked for by ai-edge-litert but refuses Python 3.11 and is not needed there;
# opencv-python is the GUI build, which would overwrite the headless one.
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
  --no-emit-package backports-strenum --no-emit-package opencv-python --no-emit-package sereno
lock: ## renew requirements/ from pyproject.toml (needs uv)
	$(LOCK) --upgrade -o requirements/device.txt
	$(LOCK) --upgrade --extra pi -o requirements/pi.txt
	$(LOCK) --upgrade --extra demo -o requirements/demo.txt
	$(LOCK) --upgrade --extra dev -o requirements/dev.txt
	$(LOCK) --upgrade --extra workstation -o requirements/workstation.txt

install: ## ROLE=camera|door [DESTDIR=]: onto this Pi, as a service
	@ROLE="$(ROLE)" DESTDIR="$(DESTDIR)" systemd/install.sh

clean: ## what can be made again; models fetched and runs stay
	rm -rf .venv .venv-dev .venv-workstation build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache bench.json
