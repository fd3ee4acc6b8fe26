# Everything a developer types. Needs Go and make; what else is missing, the launcher in internal/dev finds or installs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# ONCE, MBOX, MESSAGES, REPORT, CRITERIA, ACTION, TIMESCALE, SEED, ONLY, FULL and COUNT reach the programs from the command line or the
# environment without being named here: naming them in an export would set them to nothing.

DEV := .dev/bin/dev

# A cold build downloads modules and compiles hundreds of packages: keep the first visible, count the second.
progress = awk '/^go: downloading / { print; fflush(); next } \
	/^[^ :]+$$/ { if (++n % 50 == 0) { print "  compiled " n " packages"; fflush() } next } { print; fflush() }'

.PHONY: help demo run test fuzz attack bench trust emulate faults screenshots check build fmt clean dev

help: ## Show what there is
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  settings of demo: ONCE=1 MBOX=file MESSAGES=30000 REPORT=out.json CRITERIA={...} ACTION=trash TIMESCALE=60'
	@echo '  settings of test: ARGS="-run Name ./internal/store" SEED=n RACE=1 (-race everywhere) FULL=1 (every switch and storm of Gmail)'
	@echo '  settings of faults: ONLY=F-01,F-09 FULL=1 COUNT=n SEED=n'

demo: dev ## Run the main job end to end, then stay up (ONCE=1 ends after the walk)
	@exec $(DEV) demo

run: dev ## Start the whole stack without the walk
	@exec $(DEV) run

test: dev ## Run every test against PostgreSQL and Redis of its own, with -race but in the slow packages
	@exec $(DEV) test $(ARGS)

fuzz: dev ## Let each native fuzz target run for a while (FUZZTIME=10m or 30000x each, ONLY=FuzzSearch)
	@exec $(DEV) fuzz

attack: dev ## Let attackers that others wrote loose on a stack of its own: sqlmap, ffuf, dredd, slowhttptest, gosec, govulncheck, gitleaks (ONLY=sqlmap)
	@exec $(DEV) attack

bench: dev ## Measure the figures against limits of the same run (ONLY=submit one row, FULL=1 up to 10^7 jobs, SEED=n one part of truth)
	@exec $(DEV) bench

trust: dev ## Print which requirements of security are met, from the tests that show them (ONLY=JWT-1,TEN-6)
	@exec $(DEV) trust

emulate: dev ## Run the main job at an emulator of Gmail that others wrote, and compare it with ours (needs node and npm)
	@exec $(DEV) emulate

faults: dev ## Strike at a whole installation in every way of the list and ask the simulated Gmail what really happened
	@go build -v -buildvcs=false -o .dev/bin/faults ./internal/faults 2>&1 | $(progress)
	@exec .dev/bin/faults

screenshots: dev ## Draw the pages at three widths, light and dark, into .dev/screens
	@SHOTS=$(CURDIR)/.dev/screens $(DEV) test -run 'Journey|Pages|ByPage|Failures|Demo|Text' ./internal/e2e

check: dev ## gofmt, vet, staticcheck, the import arrows, generated files
	@echo 'check: gofmt'
	@bad="$$(gofmt -l $(wildcard cmd internal migrations))"; [ -z "$$bad" ] || { echo "not formatted (make fmt):"; echo "$$bad"; exit 1; }
	@echo 'check: go vet'
	@go vet ./...
	@echo 'check: staticcheck'
	@go tool -modfile=internal/tools/lint/go.mod staticcheck ./...
	@echo 'check: import arrows'
	@go test ./internal/arch
	@echo 'check: generated files'
	@$(DEV) check

build: ## Build api, worker and scheduler into bin/
	@echo 'building api, worker and scheduler'
	@mkdir -p bin
	@go build -v -trimpath -buildvcs=false -o bin/ ./cmd/... 2>&1 | $(progress)

fmt: ## Format all Go code
	@gofmt -w $(wildcard cmd internal migrations)

clean: ## Remove what was built and the private data, unless a run is using them
	@for lock in .dev/*/lock; do \
		[ ! -e "$$lock" ] || flock -n "$$lock" true || { echo "$$lock is held by a run: end it first"; exit 1; }; done
	@rm -rf .dev bin

dev:
	@mkdir -p .dev/bin
	@[ -x $(DEV) ] || echo 'building the launcher (the first time downloads modules and compiles for some minutes)'
	@go build -v -buildvcs=false -o $(DEV) ./internal/dev 2>&1 | $(progress)
