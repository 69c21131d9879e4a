# Sets the variables that choose the Go toolchain, SIMD and XLA's plugins, and has a target for every task.
# It needs Go 1.21 or later, Python 3.11 or later with venv, gcc and make, and installs the rest into this folder
# (.venv, .plugins) and into Go's own caches.

PYTHON ?= python3

# go.mod requires Go 1.27. This lets an older go download it; Docker images of Go set it to "local".
export GOTOOLCHAIN := auto
# Makes matrix products on the pure Go backend twenty times as fast.
export GOEXPERIMENT := simd
# `make xla` and `make cuda` install plugins; nothing is downloaded in the middle of a run.
export GOMLX_NO_AUTO_INSTALL := 1
export GCML_PLUGIN_DIR := $(CURDIR)/.plugins
# Go, pip and go-xla need a home folder for their caches.
ifeq ($(HOME),)
export HOME := $(CURDIR)/.cache/home
endif

VENV := .venv
VPYTHON := $(VENV)/bin/python
PIP := $(VPYTHON) -m pip --quiet --disable-pip-version-check
GOFILES = find . -name '*.go' -not -path './.*' -not -path './*/.*'

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz torture onnx-conformance zoo zoo-wheels zoo-light zoo-torch zoo-exporters zoo-keras zoo-gomlx lab lab-setup xla goxla cuda lint bench benchstat benchstat-baseline notebooks results docker-test docs rename audit dist dist-check

help: ## list the targets
	@echo 'make TARGET, with one of:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r t d; do printf '%-20s %s\n' "$$t" "$$d"; done

demo: $(VPYTHON) ## train on real images without and with the penalty, and compare (a minute, after building)
	@$(VPYTHON) scripts/plugin.py cpu --optional
	@go run ./cmd/gcml demo

test: lint $(VENV)/kernel.stamp ## lint, and all tests on both backends, of scripts and notebooks too
	@$(VPYTHON) scripts/plugin.py cpu --optional
	@$(VPYTHON) scripts/gotest.py -timeout 20m ./...
	@$(VPYTHON) -m unittest discover --buffer -s scripts -p '*_test.py'
	@! command -v chromium >/dev/null || $(PIP) install --require-hashes --requirement scripts/notebooks/requirements-browser.txt || \
	  echo 'the browser test is skipped: Playwright cannot be installed'
	@$(VPYTHON) -m unittest discover --buffer -s scripts/notebooks -p '*_test.py'
	@$(VPYTHON) scripts/notebooks/execute.py --jobs 2
	@test -z "$$CI" || $(VPYTHON) docker/image_test.py --if-possible  # Ten minutes, if there is an engine with the base images.

onnx-conformance: xla ## run ONNX's own conformance suite on both backends and variants of its forms, and write docs/coverage-onnx.md
	@$(PYTHON) -m venv .cache/onnx && .cache/onnx/bin/pip install --quiet --require-hashes --requirement scripts/requirements-onnx.txt
	@.cache/onnx/bin/python scripts/onnx-conformance.py $(CURDIR)/.cache/onnx/suite
	@GCML_ONNX_SUITE=$(CURDIR)/.cache/onnx/suite GCML_ONNX_TABLE=$(CURDIR)/docs/coverage-onnx.md \
		go test ./internal/onnxmodel -run '^(TestConformance|TestConformanceOnXLA|TestVariants)$$' -timeout 1h -count 1 -v

zoo: zoo-wheels zoo-light zoo-torch zoo-exporters zoo-keras zoo-gomlx ## measure real networks, compare with the frameworks they come from, and write docs/zoo*.md (a quarter of an hour, and a download of 4 GB)

.cache/zoo/stamp: scripts/requirements-zoo.txt
	@$(PYTHON) -m venv .cache/zoo && .cache/zoo/bin/pip install --quiet --require-hashes --requirement $< && touch $@

zoo-wheels: xla .cache/zoo/stamp ## of these only the networks that Python wheels carry
	@go build -o .cache/zoo/gcml ./cmd/gcml
	@.cache/zoo/bin/python scripts/zoo.py .cache/zoo/gcml .cache/zoo docs/zoo.md

zoo-light: xla .cache/zoo/stamp ## of these only the networks of ONNX's own tests
	@go build -o .cache/zoo/gcml ./cmd/gcml
	@.cache/zoo/bin/python scripts/zoo_light.py .cache/zoo/gcml .cache/zoo docs/zoo-light.md

.cache/zoo-torch/stamp: scripts/requirements-zoo-torch.txt
	@$(PYTHON) -m venv .cache/zoo-torch && .cache/zoo-torch/bin/pip install --quiet --no-deps --require-hashes --requirement $< && touch $@

zoo-torch: xla .cache/zoo-torch/stamp ## of these only torchvision's networks, compared with PyTorch
	@mkdir -p .cache/zoo && go build -o .cache/zoo/gcml ./cmd/gcml
	@.cache/zoo-torch/bin/python scripts/zoo_torch.py .cache/zoo/gcml .cache/zoo docs/zoo-torch.md

zoo-exporters: xla .cache/zoo-torch/stamp ## of these only U-Nets and detectors of both PyTorch exporters
	@mkdir -p .cache/zoo && go build -o .cache/zoo/gcml ./cmd/gcml
	@.cache/zoo-torch/bin/python scripts/zoo_exporters.py .cache/zoo/gcml .cache/zoo docs/zoo-exporters.md

.cache/zoo-keras/stamp: scripts/requirements-zoo-keras.txt
	@$(PYTHON) -m venv .cache/zoo-keras && .cache/zoo-keras/bin/pip install --quiet --require-hashes --requirement $< && touch $@

zoo-keras: xla .cache/zoo-keras/stamp ## of these only Keras networks of tf2onnx, compared with TensorFlow
	@mkdir -p .cache/zoo && go build -o .cache/zoo/gcml ./cmd/gcml
	@.cache/zoo-keras/bin/python scripts/zoo_keras.py .cache/zoo/gcml .cache/zoo docs/zoo-keras.md

# The wheel of ONNX Runtime has the library that GoMLX's exporter needs.
zoo-gomlx: xla .cache/zoo/stamp ## of these only networks that GoMLX exported to ONNX, compared with themselves
	@ONNXRUNTIME_SHARED_LIBRARY_PATH=$$(find $(CURDIR)/.cache/zoo -name 'libonnxruntime.so.*' | head -1) \
		go run -tags onnx ./scripts/zoo_gomlx .cache/zoo docs/zoo-gomlx.md

# Power cuts are copies of a mounted ext4 image, and need root. The test says which kinds it could not try.
DURATION ?= 1h
torture: ## interrupt runs at random (kills, failing writes, power cuts) for an hour, or DURATION=10m
	@GCML_TORTURE=$(DURATION) go test ./experiments/training -run '^TestTorture$$' -timeout 0 -count 1 -v

.PHONY: criteria
criteria: ## record the last commit as the one that fixed the criteria of new claims
	@test -z "$$(git status --porcelain experiments)" || { echo 'commit the change of experiments first'; exit 1; }
	@go test ./experiments -run '^TestSmoke$$' -count 1 -args -criteria

# It compares every row of docs/coverage.md on XLA, too.
FUZZ_MODELS ?= 2000
FUZZ_TIME ?= 30s
fuzz: xla ## compare 2,000 random models with the oracle, and feed random bytes to each parser for 30 seconds
	@GCML_REQUIRE_XLA=1 GCML_COVERAGE=all go test ./gcml -run TestCoverage -count 1 -timeout 1h
	@GCML_REQUIRE_XLA=1 GCML_SEED=$${GCML_SEED:-random} RAPID_CHECKS=$(FUZZ_MODELS) \
	  go test ./gcml -run TestRandomPrograms -v -timeout 6h
	@grep -roE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' . | sed 's|/[^/]*:func | |' | while read -r folder target; do \
	  echo "$$folder $$target"; go test "$$folder" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 1s || exit 1; done

lab: lab-setup ## open the notebooks in JupyterLab, as copies in the folder lab, which are yours to change
	@$(VPYTHON) scripts/notebooks/copies.py lab
	@$(VENV)/bin/jupyter lab --notebook-dir=. --LabApp.news_url=None --LabApp.default_url=/lab/tree/lab/00_start_here.ipynb $$(test "$$(id -u)" != 0 || echo --allow-root) $(LABFLAGS)

lab-setup: $(VENV)/kernel.stamp ## install what `make lab` needs, and build everything once
	@$(VPYTHON) scripts/plugin.py cpu --optional
	@echo 'building everything, so that the first cell starts quickly'; go build ./...

xla: $(VPYTHON) ## install the XLA plugin for the CPU
	@$(VPYTHON) scripts/plugin.py cpu

goxla: $(VPYTHON) ## install go-xla's own XLA plugin for the CPU, on platforms without a wheel (not pinned by hash)
	@$(VPYTHON) scripts/plugin.py cpu --goxla

cuda: $(VPYTHON) ## install the XLA plugin for NVIDIA GPUs and CUDA 13 (2.5 GB)
	@$(VPYTHON) scripts/plugin.py cuda

# The checksums in golangci-lint's own module pin its dependencies.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

lint: $(VENV)/hadolint.stamp ## check format, go vet, types on other platforms, golangci-lint, widths, go.mod, Dockerfiles, workflows
	@unformatted=$$($(GOFILES) -exec "$$(go env GOROOT)/bin/gofmt" -l {} +); \
	  test -z "$$unformatted" || { echo "not as gofmt writes it:"; echo "$$unformatted"; exit 1; }
	@go vet ./...
	@go run ./scripts/typecheck GOFLAGS=-tags=noxla
	@go run ./scripts/typecheck GOOS=darwin GOARCH=arm64
	@go run $(GOLANGCI_LINT) run --show-stats=false ./...
	@$(VPYTHON) scripts/comment_width.py
	@go mod tidy -diff
	@$(VENV)/bin/hadolint docker/Dockerfile .devcontainer/Dockerfile
	@go run $(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*.yml

bench: xla ## measure against JAX and PyTorch (a download of 2 GB), and write the documentation's tables
	@go run ./bench --python $(PYTHON)
	@go run ./bench readme

# Ten minutes on a machine that does nothing else. Compare only with a baseline of the same machine.
BENCHMARK = GCML_REQUIRE_XLA=1 go test -run '^$$' -bench '^Benchmark(Measure|PenaltyStep)$$' -count 8 -timeout 1h ./gcml ./regularizers
BENCHMARK_BASELINE ?= bench/baseline.txt
BENCHMARK_NOW := .cache/benchmark.txt
BENCHSTAT := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

benchstat-baseline: xla ## time measurements and penalties, and save the times for `make benchstat`
	@mkdir -p .cache
	@$(BENCHMARK) > $(BENCHMARK_NOW) || { cat $(BENCHMARK_NOW); exit 1; }
	@mv $(BENCHMARK_NOW) $(BENCHMARK_BASELINE)

benchstat: xla ## time measurements and penalties, and compare with the baseline of this machine
	@test -f $(BENCHMARK_BASELINE) || { echo 'there is no $(BENCHMARK_BASELINE): run `make benchstat-baseline` before the change'; exit 1; }
	@mkdir -p .cache
	@$(BENCHMARK) > $(BENCHMARK_NOW) || { cat $(BENCHMARK_NOW); exit 1; }
	@go run $(BENCHSTAT) $(BENCHMARK_BASELINE) $(BENCHMARK_NOW)

notebooks: $(VENV)/kernel.stamp ## execute all notebooks at smoke scale, without saving them
	@$(VPYTHON) scripts/plugin.py cpu --optional
	@$(VPYTHON) scripts/notebooks/execute.py --jobs 2

# Results name their commit, so `report publish` refuses those of a tree with changes.
results: xla ## run all experiments at laptop scale and publish them to results/ (takes hours)
	@go build -buildvcs=true -o bin/gcml ./cmd/gcml
	@for number in $$(bin/gcml list | sed -n 's/^\([0-9][0-9]\) .*/\1/p'); do bin/gcml run $$number --yes || exit 1; done
	@bin/gcml demo --yes
	@bin/gcml report publish out/*-laptop out/demo
	@bin/gcml report readme
	@bin/gcml report --out results/report.html

docker-test: $(VPYTHON) ## build the image, with Docker or Podman, and use it (ten minutes the first time)
	@$(VPYTHON) docker/image_test.py

docs: .cache/docs.stamp ## build the documentation, notebooks and package reference as a site, in site/
	@.cache/docs-venv/bin/python scripts/site.py site

rename: $(VPYTHON) ## give the module another path: make rename MODULE=example.org/you/gcml
	@$(VPYTHON) scripts/rename.py '$(MODULE)'

audit: $(VENV)/audit.stamp ## look up known vulnerabilities of the Go modules and Python packages, online
	@go run golang.org/x/vuln/cmd/govulncheck@v1.3.0 ./...
	@for pins in */requirements*.txt scripts/*/*.txt; do echo "$$pins"; \
	  $(VENV)/bin/pip-audit --disable-pip --require-hashes --requirement $$pins || exit 1; done

# The newest version whose modules the module proxy all had when it was pinned.
GORELEASER = github.com/goreleaser/goreleaser/v2@v2.15.1

dist: ## build the files of a release from a tagged commit: programs, their SHA-256 and bill of materials
	@GOBIN='$(CURDIR)/.cache/bin' go install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0
	@PATH='$(CURDIR)/.cache/bin':"$$PATH" go run $(GORELEASER) release --clean --skip=publish

dist-check: ## check the configuration of a release
	@go run $(GORELEASER) check

$(VPYTHON):
	@$(PYTHON) -m venv $(VENV)

# The site's tools, in an environment of their own, because JupyterLab needs other versions of their packages.
.cache/docs.stamp: docs/requirements.txt
	@$(PYTHON) -m venv .cache/docs-venv
	@.cache/docs-venv/bin/pip --quiet --disable-pip-version-check install --require-hashes --requirement $<
	@touch $@

# JupyterLab and what executes notebooks.
$(VENV)/jupyter.stamp: scripts/notebooks/requirements.txt | $(VPYTHON)
	@echo 'installing JupyterLab into $(VENV)'
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

$(VENV)/hadolint.stamp: docker/requirements-lint.txt | $(VPYTHON)
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

$(VENV)/audit.stamp: scripts/requirements-audit.txt | $(VPYTHON)
	@$(PIP) install --require-hashes --requirement $<
	@touch $@

# The GoNB kernel, and goimports, which it needs.
$(VENV)/kernel.stamp: $(VENV)/jupyter.stamp go.mod scripts/kernel.py
	@echo 'installing the GoNB kernel into $(VENV)'
	@GOBIN='$(CURDIR)/$(VENV)/bin' go install github.com/janpfeifer/gonb golang.org/x/tools/cmd/goimports
	@$(VPYTHON) scripts/kernel.py
	@touch $@
