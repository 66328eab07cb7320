# Each target calls a script of the same name, which installs what it needs where it can.

.PHONY: help run build test lint bench e2e fuzz
.DEFAULT_GOAL := help

help: ## what there is to make
	@grep -E '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /  make \1\t/' | expand -t 14

run: ## build what is missing and run the demo on http://127.0.0.1:8080
	@scripts/run

build: ## target/release/stoa
	@scripts/build

test: ## every test, with what they need installed first
	@scripts/test

lint: ## formatting, clippy with warnings as errors, dependency rules, types, requirements
	@scripts/lint

bench: ## the figures
	@scripts/bench

e2e: ## the chat page in a real browser, OpenAI's client libraries, MCP servers
	@scripts/e2e

fuzz: ## fuzz what reads addresses and protocols, SECONDS_EACH=60 for each target
	@scripts/fuzz
