# The two commands of the README are `make demo` and `make test`; each does its own set-up.
.PHONY: demo screenshots lighthouse package test test-all setup-demo setup-test console console-demo lint fmt bench clean-demo help
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CARGO_TERM_COLOR ?= auto

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: setup-demo console-demo ## build, start everything on this machine, play recorded attacks over five weeks, print the address
	cargo build --release --bin citywatch
	@target/release/citywatch up --config deploy/demo/city.toml

test: setup-test console ## what decides: formatting, lints, all tests, the real broker, the browser
	deploy/test.sh

test-all: test ## the same and the heavy checks
	-@deploy/otel-collector-build.sh
	deploy/lighthouse.sh
	CITYWATCH_ALL=1 cargo test --release --workspace --locked

setup-demo:
	@deploy/setup.sh --for demo

setup-test:
	@deploy/setup.sh --for test

console: alerting/console/dist/index.html ## the web console's assets, embedded in the binary

# The demo needs what builds the console, not what checks it: no browser driver, no linters.
console-demo: NPM_CI_FLAGS := --omit=dev
console-demo: alerting/console/dist/index.html

CONSOLE_SOURCES := $(shell find alerting/console -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/test-results/*' 2>/dev/null)
alerting/console/dist/index.html: $(CONSOLE_SOURCES)
	. deploy/steady.sh && cd alerting/console && export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 && \
	  again "npm ci" npm ci $(NPM_CI_FLAGS) --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

screenshots: setup-test console ## every screen of the console in both themes and languages, in screenshots/
	cargo build --bin citywatch
	CITYWATCH_SCREENSHOTS=1 deploy/browser-test.sh --project screenshots

lighthouse: setup-test console ## performance and accessibility of the console's main screens, as Lighthouse has them
	cargo build --bin citywatch
	deploy/lighthouse.sh

lint: ## formatting and clippy, warnings as errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## format the Rust code
	cargo fmt --all

bench: ## the measurements of bench/, on the recordings in ../shared, written to bench/results/
	cargo build --release --bin citywatch -p citywatch -p citywatch-bench
	cargo run --release -p citywatch-bench -- matching --save matching
	cargo run --release -p citywatch-bench -- streaming --save streaming
	cargo run --release -p citywatch-bench -- pipeline --rules rules/library --events ../shared/events/otrf/atomic/windows

package: ## a Debian package of the agent, in target/package
	cargo build --release --locked -p citywatch-collector --bin citywatch-agent
	@deploy/package-agent.sh target/release/citywatch-agent target/package

clean-demo: ## forget the demo's data
	rm -rf demo-data
