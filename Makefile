# Two commands matter: `make demo` and `make test`. Both set up all that they need.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CARGO_TERM_COLOR ?= auto

.PHONY: help demo test test-hosts test-pipelines bench lint build picture clean

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## Brings the nyc311 platform up on the local cloud, and runs three days of its pipeline there
	scripts/demo

test: ## Runs every test, on the strict local cloud and on stock moto
	scripts/test

test-pipelines: ## Runs only the pipelines' slow tests: Spark 2.4.4 beside 3.5, Airflow, the image
	scripts/test-pipelines

test-hosts: ## Runs only the tests on real Linux hosts (root)
	scripts/test-hosts

bench: ## Prints the tables of calls, seconds, memory and round trips; people on hosts beside Ansible
	scripts/bench

lint: ## Checks formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

build: ## Builds the small release binary
	cargo build --release --locked

picture: ## Makes docs/plan.svg from a real plan
	scripts/picture

clean: ## Removes what was built, and the local cloud's state
	cargo clean
	rm -rf .infra .cache
