# Everything a user or a developer runs. Python and packages live in .venv, made when first needed.

Q ?= I want to exchange 42 US dollars to Canadian dollars
EVAL_URL ?=
EVAL_ARGS ?=
ARGS ?=

PYTHON := .venv/bin/python
RUNTIME := .venv/.runtime
DEVELOPMENT := .venv/.development
CLIENTS := .venv-clients/.installed
LMDEPLOY := .venv-lmdeploy/.installed
GPU := .venv/.gpu
MCP := .venv/.mcp
NATIVE := .venv/.native
BFCL := .venv-bfcl/.installed
CHECKS := .venv-checks/.installed
PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin
PYTORCH := https://download.pytorch.org/whl/cpu
LMDEPLOY_TESTS := tests/engines/test_engine_contract.py tests/engines/test_lmdeploy.py \
	tests/engines/test_structural_tag.py tests/test_gpu_benchmark.py

.PHONY: help serve ask chat gpu mcp native test test-clients test-lmdeploy test-gpu lint check platforms audit fuzz \
	soak coverage eval bench bfcl bento containerfile fix clean

help: ## Show this list
	@echo "make TARGET, where TARGET is:"
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1 \t/p' $(MAKEFILE_LIST) | expand -t 18

serve: $(RUNTIME) ## Serve the assistant on PORT (3000) and the model's /v1 on the next port
	@exec $(PYTHON) -m function_calling serve

ask: export QUERY = $(value Q)
ask: $(RUNTIME) ## Ask the assistant Q="…"; serves it for the question if need be
	@exec $(PYTHON) -m function_calling ask "$$QUERY"

chat: $(RUNTIME) ## Talk with the model in the terminal, with the tools of TOOLS
	@exec $(PYTHON) -m function_calling chat

gpu: $(GPU) ## Install LMDeploy into .venv, for Llama 3.1 on an NVIDIA GPU from 8 GB on

mcp: $(MCP) ## Install what /mcp and `function_calling mcp` need into .venv

native: $(NATIVE) ## Build llama.cpp for this machine's own processor (Linux; 10 minutes and more)

test: $(DEVELOPMENT) ## Run all tests, also those with real weights and real servers
	@$(PYTHON) -m pytest -q -n auto --dist worksteal -m "not model and not serve and not lmdeploy and not gpu"
	@exec $(PYTHON) -m pytest -q -m "(model or serve) and not lmdeploy and not gpu"

# What a client warns of is for its authors to mend.
test-clients: $(CLIENTS) $(RUNTIME) ## Run published clients of OpenAI's API against the model's /v1
	@exec .venv-clients/bin/python -m pytest -q -W ignore --timeout 900 tests/clients

test-lmdeploy: $(LMDEPLOY) ## Run LMDeploy's tests, without a GPU: over a native half of their own
	@exec .venv-lmdeploy/bin/python -m pytest -q -W ignore --timeout 900 -m lmdeploy $(LMDEPLOY_TESTS)

test-gpu: $(DEVELOPMENT) ## Run LMDeploy's model on this machine's GPU; after `make gpu`
	@if PYTHONPATH=. $(PYTHON) tests/gpu_engine.py; then \
		exec $(PYTHON) -m pytest -q -W ignore -m gpu \
			tests/engines/test_engine_contract.py tests/engines/test_gpu.py; \
	fi

lint: $(DEVELOPMENT) ## Check format, style and types
	@$(PYTHON) -m ruff format --quiet --check .
	@$(PYTHON) -m ruff check --quiet .
	@$(PYTHON) -m mypy --no-error-summary

check: lint ## Lint, and run the tests that need no model
	@exec $(PYTHON) -m pytest -q -n auto --dist worksteal

# Without building anything; uv shows what has no wheel.
platforms: $(DEVELOPMENT) ## Ask the package index for wheels of all pins, for each Python and platform
	@for python in 3.11 3.12 3.13 3.14; do \
		for platform in $(PLATFORMS); do echo $$python $$platform; done; \
	done | xargs -P 4 -L 1 sh -c 'UV_NATIVE_TLS=1 $(PYTHON) -m uv pip compile --quiet --no-config --no-build \
		--python-version $$0 --python-platform $$1 requirements-mcp.txt >/dev/null && \
		echo "Python $$0 on $$1: every pin has a wheel"'

# One file after the other, since their pins differ. But for PyTorch, what requirements-lmdeploy.txt has is in them.
audit: $(CHECKS) ## Ask the package index for known vulnerabilities of all pins
	@for file in requirements.txt requirements-dev.txt requirements-clients.txt requirements-checks.txt; do \
		.venv-checks/bin/pip-audit --progress-spinner off --disable-pip --no-deps -r $$file || exit 1; \
	done

fuzz: $(DEVELOPMENT) $(CHECKS) ## Send odd requests to all routes, and odd texts to all readers
	@FUZZ_CASES=1000 exec $(PYTHON) -m pytest -q -m "not model" tests/fuzz

coverage: $(DEVELOPMENT) ## Tell which lines no test without a model runs
	@$(PYTHON) -m coverage run -m pytest -q -m "not model and not serve"
	@exec $(PYTHON) -m coverage report --skip-covered --skip-empty

eval: $(DEVELOPMENT) ## Judge the assistant's answers, at EVAL_URL or on servers of its own
	@exec $(PYTHON) -m benchmarks.eval_exchange $(if $(EVAL_URL),--url $(EVAL_URL)) $(EVAL_ARGS)

bench: $(DEVELOPMENT) ## Measure this project beside others; ARGS="door layer" does parts
	@exec $(PYTHON) -m benchmarks.bench $(ARGS)

bfcl: $(DEVELOPMENT) $(BFCL) ## Ask the Berkeley leaderboard's questions; ARGS="--url …" asks other servers
	@PYTHONPATH=.venv-bfcl exec $(PYTHON) -m benchmarks.bfcl $(ARGS)

soak: $(DEVELOPMENT) ## Send mixed traffic for ten minutes, and judge replies, slots, memory and open files
	@exec $(PYTHON) -m benchmarks.soak $(ARGS)

bento: $(RUNTIME) ## Build the Bento, and tell what is in it and how big it is
	@exec $(PYTHON) deploy/pack.py

containerfile: $(RUNTIME) ## Build the Bento, and lay out what Docker builds its image from
	@exec $(PYTHON) deploy/pack.py --context build/image

fix: $(DEVELOPMENT) ## Format the code and mend what ruff can mend
	@$(PYTHON) -m ruff format --quiet .
	@$(PYTHON) -m ruff check --fix .

clean: ## Remove all environments and all caches here; downloaded weights stay
	@rm -rf .venv .venv-clients .venv-lmdeploy .venv-bfcl .venv-checks build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PYTHON):
	@for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec "$$python" -m venv --clear .venv; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed; none of python3.11 to python3.14, python3 and python is." >&2; exit 1

# pip's warnings are left out; its errors are not.
$(RUNTIME): $(PYTHON) requirements-cpu.txt
	@echo "Installing requirements-cpu.txt into .venv (a minute or two, once)"
	@$(PYTHON) -m pip install -qq --disable-pip-version-check -r requirements-cpu.txt
	@touch $@

$(GPU): $(RUNTIME) requirements.txt
	@echo "Installing requirements.txt into .venv (4.6 GB, several minutes, once)"
	@$(PYTHON) -m pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

$(MCP): $(RUNTIME) requirements-mcp.txt
	@echo "Installing requirements-mcp.txt into .venv"
	@$(PYTHON) -m pip install -qq --disable-pip-version-check -r requirements-mcp.txt
	@touch $@

$(NATIVE): $(RUNTIME) $(wildcard deploy/native/*)
	@echo "Building llama.cpp for this machine's processor (10 minutes and more, once)"
	@deploy/native/build.sh $(PYTHON)
	@touch $@

$(DEVELOPMENT): $(RUNTIME) requirements-mcp.txt requirements-dev.txt
	@echo "Installing requirements-dev.txt into .venv"
	@$(PYTHON) -m pip install -qq --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Without dependencies, and then a check, so that nothing comes in which is not in the list.
$(CLIENTS): $(PYTHON) requirements-clients.txt
	@echo "Installing requirements-clients.txt into .venv-clients"
	@$(PYTHON) -m venv --clear .venv-clients
	@.venv-clients/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements-clients.txt
	@.venv-clients/bin/python -m pip check -qq --disable-pip-version-check
	@touch $@

# Without dependencies, as LMDeploy's would bring CUDA: several gigabytes. PyPI's own PyTorch would, too.
$(LMDEPLOY): $(PYTHON) requirements-lmdeploy.txt
	@echo "Installing requirements-lmdeploy.txt into .venv-lmdeploy (1.4 GB, a few minutes, once)"
	@$(PYTHON) -m venv --clear .venv-lmdeploy
	@.venv-lmdeploy/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile --extra-index-url $(PYTORCH) "$$(grep '^torch==' $(word 2,$^))"
	@.venv-lmdeploy/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile -r $(word 2,$^)
	@touch $@

$(CHECKS): $(PYTHON) requirements-checks.txt
	@echo "Installing requirements-checks.txt into .venv-checks"
	@$(PYTHON) -m venv --clear .venv-checks
	@.venv-checks/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements-checks.txt
	@.venv-checks/bin/python -m pip check -qq --disable-pip-version-check
	@touch $@

# Its questions and its judge alone: its dependencies are the clients of all vendors.
$(BFCL): $(PYTHON)
	@rm -rf .venv-bfcl
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --no-deps --target .venv-bfcl bfcl-eval==2026.3.23
	@touch $@
