# `make run` builds and starts, `make test` checks everything. Both need a Rust toolchain; scripts/setup sees to
# the rest.

SHELL := /bin/bash
# Where rustup puts cargo, for shells that were not restarted since.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Where cargo builds, whoever decides that: CARGO_TARGET_DIR, a cargo configuration, or the default.
TARGET = $(shell cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

.PHONY: build run test format lint unit demo deny bench fuzz chaos

# The programs, in target/release: tinyscale, and bbb-sim, the simulated server.
build:
	@scripts/setup
	cargo build --release --locked --workspace

# With a servers.json in this folder: tinyscale for the servers in it. Without one: a demo.
run: build
	@if [ -e servers.json ]; then \
	    exec '$(TARGET)/release/tinyscale'; \
	else \
	    exec scripts/demo '$(TARGET)/release'; \
	fi

# Cheap checks first. The demo is checked with the debug build that the tests made.
test:
	@scripts/setup test
	@$(MAKE) --no-print-directory format lint unit demo deny
	@echo "make test: everything passed"

format:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit:
	cargo test --workspace --locked

demo:
	cargo build --workspace --locked
	scripts/check-demo '$(TARGET)/debug'

# Licences, sources and doubled crates; not installed for its sake, because that takes minutes.
deny:
	@if cargo deny --version >/dev/null 2>&1; then \
	    cargo deny --locked --workspace check bans licenses sources; \
	else \
	    echo "cargo-deny is not installed: licences and sources of the dependencies are not checked"; \
	fi

# CPU time per request beside nginx; benches/README.md.
bench: build
	scripts/bench

# Kills, freezes and slows servers and tinyscale for ten minutes, and counts what nobody may see; docs/chaos.md.
CHAOS_SECONDS ?= 600
chaos:
	cargo test --locked --test chaos -- --seconds $(CHAOS_SECONDS) --write docs/chaos.md

# Needs cargo-fuzz. SECONDS_EACH chooses how long.
SECONDS_EACH ?= 60
fuzz:
	scripts/fuzz $(SECONDS_EACH)
