# Every target works from a fresh clone: it makes the environment .venv, builds the extension in place, and runs.
# PY=/path/to/python uses an environment of your own, with the dependencies already in it, instead.

PY ?= .venv/bin/python
PYTHON ?= python3
export SEQLIGHT_BUILD ?= 1

# `make demo` runs on the data that come with the package, or on CSV=path TIME=column TARGET=column [ID=column]
# [HORIZON=steps] [MAX_TIME=seconds of training].
CSV ?=
TIME ?= ds
TARGET ?= y
ID ?=
HORIZON ?=
MAX_TIME ?= 25
# Test processes: one per core, up to four.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, len(os.sched_getaffinity(0))))' 2>/dev/null || echo 2)

ifeq ($(PY),.venv/bin/python)
RUN_ENV := .venv/.run
DEV_ENV := .venv/.dev
DOCS_ENV := .venv/.docs
PIP := .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt
export PATH := $(CURDIR)/.venv/bin:$(PATH)
endif

.PHONY: build build-all demo report-picture chapter15 beyond test test-isa sanitize docs lint format types cuda-check symbols-check gpu interop peers wheel-test wheels clean

# `make build` compiles the kernels for this machine's processor, `make build-all` those for every processor, as a wheel
# holds them and the tests want them.
build-all: BUILD_ISA := all
BUILD_ISA ?= native
build build-all: $(RUN_ENV)
	@mkdir -p build
	@$(if $(wildcard seqlight/_C.*.so),,echo "building seqlight._C, the compiled extension; log: build/build.log")
	@SEQLIGHT_BUILD_ISA=$(BUILD_ISA) $(PY) setup.py -q build_ext --inplace > build/build.log 2>&1 || { cat build/build.log; exit 1; }

FORECAST_INPUT = $(if $(CSV),'$(CSV)' --time '$(TIME)' --target '$(TARGET)' $(if $(ID),--id '$(ID)'),--demo)
demo: build
	$(PY) -m seqlight forecast $(FORECAST_INPUT) $(if $(HORIZON),--horizon $(HORIZON)) --max-time $(MAX_TIME) \
		-o forecast.csv --plot forecast.png

# The README's picture of a report: the demo's first screen in Chromium.
CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome 2>/dev/null))
report-picture: build
	$(PY) -m seqlight forecast --demo --max-time $(MAX_TIME) -o build/forecast.csv --report build/report.html
	'$(CHROMIUM)' --headless --no-sandbox --hide-scrollbars --window-size=1120,900 \
		--screenshot='$(CURDIR)/docs/report.png' 'file://$(CURDIR)/build/report.html'

# The chapter's table, every row and three seeds, and the recipe beyond it. OUT is the folder of what they write;
# ARGS are further options: make chapter15 ARGS='--rows lstm gru --seeds 0'.
OUT ?= build/$@
ARGS ?=
chapter15: build
	OMP_NUM_THREADS=1 $(PY) examples/chapter15.py -o '$(OUT)' $(ARGS)

beyond: build
	OMP_NUM_THREADS=1 $(PY) examples/beyond_chapter15.py -o '$(OUT)' $(ARGS)

# One thread per process; tests of threading set their own number.
test: build-all $(DEV_ENV)
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(WORKERS) --dist worksteal

# A short form of the tests of operators, layers and models as a processor with AVX2 runs them, and one without: our
# kernels, torch's own and oneDNN's are those of that processor. Whatever is compiled or traced is left to `make test`.
ISA_TESTS ?= tests/ops tests/nn tests/models \
	-k 'not (cuda or tracing or compile or export or lower_instruction_set or ddp or derivatives or mixed_lightning)'
test-isa: build-all $(DEV_ENV)
	OMP_NUM_THREADS=1 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 SEQLIGHT_CPU_ISA=avx2 \
		$(PY) -m pytest -q -r fE -n $(WORKERS) --dist worksteal $(ISA_TESTS)
	OMP_NUM_THREADS=1 ONEDNN_MAX_CPU_ISA=SSE41 ATEN_CPU_CAPABILITY=default SEQLIGHT_CPU_ISA=base \
		$(PY) -m pytest -q -r fE -n $(WORKERS) --dist worksteal $(ISA_TESTS)

# The site, in build/docs. Runs every snippet of the pages for what they print and draw; any warning is an error.
docs: build $(DOCS_ENV)
	@rm -rf build/docs
	OMP_NUM_THREADS=1 $(PY) -m sphinx -q -E -W --keep-going -b html docs build/docs
	@echo "docs: open build/docs/index.html"

# The kernels under AddressSanitizer and UBSan: built into a folder of their own, and the tests of ops and layers run on
# them. An error ends the process that met it, with the line in csrc. Takes ten minutes or so on two cores.
SANITIZE := $(CURDIR)/build/sanitize
SANITIZE_TESTS ?= tests/ops tests/nn
# Python does not link with either library, and the sanitizer must come first and see C++ exceptions.
SANITIZE_PRELOAD = $(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libstdc++.so.6)
SANITIZE_ENV = OMP_NUM_THREADS=1 HYPOTHESIS_PROFILE=sanitize PYTHONPATH='$(SANITIZE)/lib' \
	LD_PRELOAD='$(SANITIZE_PRELOAD)' UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:detect_stack_use_after_return=0:allocator_may_return_null=1

sanitize: $(DEV_ENV)
	@mkdir -p $(SANITIZE)
	@echo "building seqlight._C with sanitizers; log: build/sanitize/build.log"
	@SEQLIGHT_SANITIZE=1 $(PY) setup.py -q build --build-base $(SANITIZE) --build-lib $(SANITIZE)/lib \
		> $(SANITIZE)/build.log 2>&1 || { tail -50 $(SANITIZE)/build.log; exit 1; }
	@cd $(SANITIZE)/lib && $(SANITIZE_ENV) $(abspath $(PY)) -c 'import torch, seqlight._C as tested; \
		print("testing", tested.__file__); assert tested.__file__.startswith("$(SANITIZE)")'
	cd $(SANITIZE)/lib && $(SANITIZE_ENV) $(abspath $(PY)) -m pytest -q -n $(WORKERS) --dist worksteal \
		-c $(CURDIR)/pyproject.toml --rootdir $(CURDIR) $(addprefix $(CURDIR)/,$(SANITIZE_TESTS))

CXX_SOURCES := $(shell find csrc -name '*.cpp' -o -name '*.h' -o -name '*.inl' -o -name '*.cu' -o -name '*.cuh' 2>/dev/null)

lint: $(DEV_ENV)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(dir $(PY))clang-format --dry-run -Werror $(CXX_SOURCES)

format: $(DEV_ENV)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(dir $(PY))clang-format -i $(CXX_SOURCES)

types: $(DEV_ENV)
	$(PY) -m mypy seqlight

# Compiles the CUDA kernels without a GPU and without a CUDA build of torch: nvcc and the stable headers do.
NVCC ?= $(firstword $(wildcard $(CUDA_HOME)/bin/nvcc) $(shell command -v nvcc 2>/dev/null) \
	$(wildcard /usr/local/cuda/bin/nvcc))
NVCC_FLAGS := -std=c++20 -O3 -Icsrc -DUSE_CUDA -DTORCH_TARGET_VERSION=0x020b000000000000 \
	-Xcompiler -fPIC,-Wall,-Wextra --Werror all-warnings \
	-gencode arch=compute_80,code=sm_80 -gencode 'arch=compute_90,code=[sm_90,compute_90]'
TORCH_INCLUDES = $(shell $(PY) -c 'from torch.utils.cpp_extension import include_paths; \
	print(*("-isystem " + path for path in include_paths()))')
CUDA_OBJECTS := $(patsubst csrc/%.cu,build/cuda-check/%.o,$(wildcard csrc/cuda/*.cu))

cuda-check: $(RUN_ENV)
ifeq ($(strip $(CUDA_OBJECTS)),)
	@echo "cuda-check: skipped, csrc/cuda holds no kernels"
else ifeq ($(strip $(NVCC)),)
	@echo "cuda-check: skipped, there is no nvcc on this machine"
else
	@$(MAKE) --no-print-directory -j $(WORKERS) $(CUDA_OBJECTS)
	@echo "cuda-check: $(words $(CUDA_OBJECTS)) files compiled for sm_80, sm_90 and PTX"
endif

build/cuda-check/%.o: csrc/%.cu $(CXX_SOURCES)
	@mkdir -p $(@D)
	$(NVCC) -c $< -o $@ $(NVCC_FLAGS) $(TORCH_INCLUDES)

# No name means two things in the objects that the linker joins, and none asks for more of a processor than it promises.
symbols-check: build-all cuda-check
	$(PY) tests/packaging/check_symbols.py \
		build/temp.$$($(PY) -c 'import sys, sysconfig; \
			print(sysconfig.get_platform() + "-" + sys.implementation.cache_tag)') build/cuda-check

# All that needs a GPU, in under nine minutes and without a network: builds with the CUDA kernels, runs the device tests,
# measures, and writes into OUT. PY is a Python with torch, numpy, lightning, pytest, hypothesis,
# setuptools and, best, ninja and pytest-xdist.
gpu: $(RUN_ENV)
	$(PY) benchmarks/gpu.py '$(OUT)'

# Other libraries' models, plain and fused: equal losses, and the time of a step. Makes an environment of its own with
# neuralforecast, darts and pytorch-forecasting, a download of a gigabyte or so.
INTEROP := build/interop/bin/python
INTEROP_OUT ?= benchmarks/results/interop.md
interop: build $(INTEROP)
	PYTHONPATH='$(CURDIR)' OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(INTEROP) benchmarks/interop.py -o '$(INTEROP_OUT)' $(ARGS)

build/interop/bin/python:
	@$(PYTHON) -m venv build/interop
	@build/interop/bin/pip install -q --disable-pip-version-check torch==2.13.0
	@build/interop/bin/pip install -q --disable-pip-version-check torch==2.13.0 lightning==2.6.6 \
		neuralforecast==3.3.0 darts==0.48.1 pytorch-forecasting==1.8.0

# The tests that compare with other libraries' numbers or run their models, which need pandas 2 and so an environment of
# their own: a download of a gigabyte or so. It serves benchmarks/accuracy_peers.py too.
PEERS := build/peers/bin/python
PEERS_TESTS := tests/metrics/test_peers.py tests/experiments/test_statsforecast.py \
	tests/experiments/test_exponential_smoothing.py tests/models/test_statsforecast_forecaster.py \
	tests/docs/test_pages.py::test_snippets_that_need_a_library
peers: build $(PEERS)
	PYTHONPATH='$(CURDIR)' OMP_NUM_THREADS=1 $(PEERS) -m pytest -q $(PEERS_TESTS)

build/peers/bin/python:
	@$(PYTHON) -m venv build/peers
	@build/peers/bin/pip install -q --disable-pip-version-check torch==2.13.0
	@SEQLIGHT_BUILD=0 build/peers/bin/pip install -q --disable-pip-version-check torch==2.13.0 lightning==2.6.6 \
		'.[onnx]' pytest pytest-xdist hypothesis expecttest statsforecast==2.1.1 utilsforecast==0.2.17 \
		neuralforecast==3.3.0 gluonts==0.16.2 scoringrules==0.10.0

# Builds the source distribution and from it the wheel, and tries that in an environment and a folder of its own.
wheel-test: $(DEV_ENV)
	$(PY) tests/packaging/check_wheel.py

# The wheel for other machines, in dist/: one for every Python from 3.11 on, named by auditwheel. Then tried in clean
# environments without a compiler, for each Python that is found, with the oldest torch and the newest: a download of
# several gigabytes for each where the package index has CUDA builds only. WHEEL_ARGS are options of the trial, such as
# WHEEL_ARGS='--pythons python3.12 --torches 2.13.0'.
WHEEL_ARGS ?=
wheels: $(DEV_ENV)
	$(PY) tests/packaging/make_wheels.py -o dist
	$(PY) tests/packaging/try_wheels.py dist $(WHEEL_ARGS)

clean:
	rm -rf build dist *.egg-info seqlight/_C.*.so seqlight/_build_reason.txt

.venv/.run: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { $(PYTHON) --version; \
		echo "seqlight needs Python 3.11 or later: make PYTHON=python3.11"; exit 1; }
	@echo "making .venv: torch and the other dependencies, about a minute and a download"
	@$(PYTHON) -m venv .venv
	@$(PIP) torch==2.13.0 setuptools ninja
	@SEQLIGHT_BUILD=0 $(PIP) --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run
	@echo "adding the tools of tests, lint and types to .venv"
	@$(PIP) 'seqlight[dev]'  # already installed, so this adds the extra's packages and leaves the build alone
	@touch $@

.venv/.docs: .venv/.run
	@echo "adding Sphinx to .venv"
	@$(PIP) 'seqlight[docs]'
	@touch $@
