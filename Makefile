# The entry points. `make help` lists them; what each does stands in scripts/ where it is more than a line.
SHELL       := /bin/sh
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

MODULES  := proto services loadtest
PROGRAMS := smaran jarvis mesh fleet stage
VERSION  := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -X github.com/smaran-v2/smaran/services/version.Revision=$(VERSION)
# The race detector needs cgo, and so a C compiler.
RACE     := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && echo -race)
TOOLS    := bin/tools
FUZZTIME ?= 20s
SOAK     ?= 10m
# Further arguments of a run: make demo ARGS='--seed 7'
ARGS     ?=

export GOWORK := off

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the programs into bin/
	@mkdir -p bin
	cd services && go build -trimpath -ldflags '$(LDFLAGS)' -o ../bin/ $(PROGRAMS:%=./cmd/%)
	cd loadtest && go build -trimpath -ldflags '$(LDFLAGS)' -o ../bin/ ./cmd/loadtest

.PHONY: demo
demo: build ## run every backend through one short script, and write a report (4 minutes)
	@exec bin/loadtest demo $(ARGS)

.PHONY: stage
stage: build ## run two backends side by side, and open the page that shows them (Ctrl-C ends it all)
	@exec bin/fleet up --stage 127.0.0.1:7080 --backend handoff --beside istio-hash --listen 127.0.0.1:8080 --open $(ARGS)

.PHONY: compare
compare: build ## run every backend through every scenario, and write a report (says how long first)
	@exec bin/loadtest compare $(ARGS)

.PHONY: claims
claims: build ## measure what the scenarios don't, and give every claim its verdict
	@exec bin/loadtest claims $(ARGS)

.PHONY: test
test: $(TOOLS)/gotestsum ## run all tests; what is skipped is listed with its reason
	@PATH='$(CURDIR)/$(TOOLS)':"$$PATH" RACE='$(RACE)' GOTESTSUM='$(CURDIR)/$(TOOLS)/gotestsum' scripts/test $(MODULES)

.PHONY: e2e-compose
e2e-compose: ## build the images, and try every backend end to end with docker compose (20 minutes)
	@VERSION='$(VERSION)' scripts/images smaran jarvis stage loadtest
	@cd loadtest && E2E=1 go test -count=1 -timeout 40m -v ./e2e/compose

.PHONY: e2e-kind
e2e-kind: ## build the images, and try every backend end to end in the kind cluster (1 hour; scripts/kind-up makes it)
	@VERSION='$(VERSION)' scripts/images
	@scripts/kind-load
	@cd loadtest && E2E=1 E2E_CONTEXT="$${E2E_CONTEXT:-kind-$${KIND_CLUSTER:-smaran}}" go test -count=1 -timeout 90m -v ./e2e/kind

.PHONY: bench
bench: ## run the benchmarks; each compares with a named peer in the same run
	@scripts/bench

.PHONY: soak
soak: ## run pods through random faults for SOAK (default 10m), and check the history; SOAK_SEED=n replays
	@cd services && SOAK='$(SOAK)' go test $(RACE) -count=1 -timeout 0 -v -run '^TestOwnershipHistory' ./jarvis

.PHONY: fuzz
fuzz: ## fuzz every parser and codec for FUZZTIME each (default 20s)
	@FUZZTIME='$(FUZZTIME)' scripts/fuzz

.PHONY: lint
lint: $(TOOLS)/staticcheck $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-connect-go ## gofmt, vet, staticcheck, shellcheck, buf, bans, freshness of generated code
	@PATH='$(CURDIR)/$(TOOLS)':"$$PATH" scripts/lint $(MODULES)

.PHONY: generate
generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-connect-go ## write what is generated: Go from .proto files, compose's Envoys, copies of image pins
	cd proto && PATH='$(CURDIR)/$(TOOLS)':"$$PATH" buf generate
	cd services && go test ./mesh/envoyconfig -run Compose -update
	scripts/pins

.PHONY: prometheus
prometheus: $(TOOLS)/prometheus $(TOOLS)/promtool ## build Prometheus and promtool into bin/tools, for the tests of deploy/observability (2 minutes)

.PHONY: images
images: ## build the container images, and check their size
	@VERSION='$(VERSION)' scripts/images

.PHONY: up
up: ## run it with docker compose (SMARAN_BACKEND=redis chooses; Ctrl-C stops)
	@VERSION='$(VERSION)' exec docker compose up --build

.PHONY: down
down: ## remove all that docker compose made
	@docker compose --profile '*' down --volumes

.PHONY: clean
clean: ## remove bin/ and out/
	rm -rf bin out

# Development tools are pinned in a module of their own.
$(TOOLS)/gotestsum: TOOL = gotest.tools/gotestsum
$(TOOLS)/staticcheck: TOOL = honnef.co/go/tools/cmd/staticcheck
$(TOOLS)/buf: TOOL = github.com/bufbuild/buf/cmd/buf
$(TOOLS)/protoc-gen-go: TOOL = google.golang.org/protobuf/cmd/protoc-gen-go
$(TOOLS)/protoc-gen-connect-go: TOOL = connectrpc.com/connect/cmd/protoc-gen-connect-go
$(TOOLS)/%: tools/go.mod
	@mkdir -p $(TOOLS)
	go build -C tools -o ../$@ $(TOOL)

# Prometheus' own, with the discoveries that deploy/observability uses and no page.
PROMETHEUS_TAGS := remove_all_sd,enable_dns_sd,enable_http_sd,enable_kubernetes_sd
$(TOOLS)/prometheus $(TOOLS)/promtool: $(TOOLS)/%: tools/prometheus/go.mod
	@mkdir -p $(TOOLS)
	CGO_ENABLED=0 go build -C tools/prometheus -tags $(PROMETHEUS_TAGS) -o ../../$@ github.com/prometheus/prometheus/cmd/$*
