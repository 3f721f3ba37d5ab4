# Everything there is to do with this repository; `make` alone lists it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Cargo uses all processors by itself; two at once only wait for each other's lock.
.NOTPARALLEL:

CARGO ?= cargo
# Options for the program that a target runs, as in make fuzz ARGS='--seed 1'.
ARGS ?=

# Pinned, so that what was green stays green until somebody raises it.
REDOCLY := @redocly/cli@2.77.0
SPECTRAL := @stoplight/spectral-cli@6.16.3

# $(call component,COMMAND,NAME): a plain word when a part of the toolchain is not installed.
component = @$(CARGO) $(1) --version >/dev/null 2>&1 || { \
	echo 'make $@: cargo $(1) is missing; install it with: rustup component add $(2)' >&2; exit 1; }

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build target/release/inkpot
	$(CARGO) build --release --locked

.PHONY: dist
dist: ## build target/dist/inkpot, optimized across crates: slower to build, a little faster to run
	$(CARGO) build --profile dist --locked

.PHONY: run
run: ## build and run the server; ARGS for its flags
	$(CARGO) run --release --locked -- $(ARGS)

.PHONY: deps
deps: ## install what the tests need (Debian, Ubuntu; elsewhere it is named)
	@tests/install-deps
	@tests/python-venv
	@tests/node-modules

# Tests at a time: twice as many as processors, since many wait for a server, a browser or a timeout.
TEST_THREADS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

.PHONY: test
test: deps ## all tests, on SQLite, a private MariaDB (or that of INKPOT_TEST_MYSQL_URL), private Redis
	INKPOT_TEST_REQUIRE_ALL=1 RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked

.PHONY: fmt-check
fmt-check: ## is the code formatted?
	$(call component,fmt,rustfmt)
	$(CARGO) fmt --all -- --check

.PHONY: clippy
clippy: ## lints; a warning is an error
	$(call component,clippy,clippy)
	$(CARGO) clippy --locked --all-targets -- -D warnings

.PHONY: doc
doc: ## the code's documentation, private items too; a warning is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

.PHONY: deny
deny: ## dependencies: advisories, licences, sources, duplicates (deny.toml); ARGS for cargo deny
	tests/deny $(ARGS)

# The API's description as the code has it; a test sees that it is. By way of a second file, so that a failure does not
# leave half of one.
.PHONY: openapi
openapi: ## write openapi.yaml from the code
	@mkdir -p target
	$(CARGO) run --locked -- openapi >target/openapi.yaml.part
	@mv target/openapi.yaml.part openapi.yaml

.PHONY: openapi-lint
openapi-lint: ## lint openapi.yaml with Redocly and Spectral (needs npx; skipped without it, except in CI)
	@if command -v npx >/dev/null; then \
		echo 'npx $(REDOCLY) lint openapi.yaml'; \
		REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --yes $(REDOCLY) lint openapi.yaml; \
		echo 'npx $(SPECTRAL) lint openapi.yaml'; \
		npx --yes $(SPECTRAL) lint --fail-severity hint openapi.yaml; \
	elif [[ -n $${CI-} ]]; then \
		echo 'make $@: npx is missing; install Node.js with npm' >&2; exit 1; \
	else \
		echo '***' >&2; \
		echo '*** SKIPPED: openapi.yaml was not linted, for there is no npx (Node.js) here.' >&2; \
		echo '***' >&2; \
	fi

# In this order: what is quick first, but nothing compiles without what deps installs.
.PHONY: ci
ci: fmt-check deps clippy deny doc test openapi-lint ## all that must be green before a commit
	@echo 'make ci: all green'

# For so many seconds each; a seed that is given comes first.
SOAK_SECONDS ?= 600

.PHONY: soak
soak: deps ## random use against models, with kills; SOAK_SECONDS each, INKPOT_TEST_SEED, ARGS='posts::' for one
	INKPOT_TEST_REQUIRE_ALL=1 INKPOT_TEST_SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --locked --test api model::$(ARGS)

.PHONY: test-cluster
test-cluster: deps ## servers on a Galera cluster of three nodes, behind haproxy and at each node, with a node that dies
	@tests/install-deps cluster
	tests/private-galera -- $(CARGO) test --locked --test api cluster:: -- --ignored

.PHONY: soak-deletions
soak-deletions: deps ## delete a user with 100,000 followers and a post with as many comments; says time, pieces and memory
	INKPOT_TEST_REQUIRE_ALL=1 INKPOT_TEST_ROWS=100000 $(CARGO) test --locked --test api large_deletions:: -- --test-threads=1 --nocapture

.PHONY: chaos
chaos: deps build ## faults of the database and floods of clients, for real; writes the table of docs/reliability.md
	ulimit -Sn "$$(ulimit -Hn)"; INKPOT_TEST_REQUIRE_ALL=1 INKPOT_TEST_PROGRAM=$(CURDIR)/target/release/inkpot \
		$(CARGO) test --locked --test api chaos::measured -- --ignored --nocapture --test-threads 1

.PHONY: soak-upgrades
soak-upgrades: deps ## upgrade a million posts from every earlier version, with kills
	INKPOT_TEST_REQUIRE_ALL=1 INKPOT_TEST_POSTS=1000000 $(CARGO) test --locked --test api upgrades::

# For so many seconds on each database; a seed that is given comes first.
FUZZ_SECONDS ?= 600

.PHONY: fuzz
fuzz: deps ## hostile clients for FUZZ_SECONDS, INKPOT_TEST_SEED; then the API by its description, ARGS for schemathesis
	INKPOT_TEST_REQUIRE_ALL=1 INKPOT_TEST_SOAK_SECONDS=$(FUZZ_SECONDS) $(CARGO) test --locked --test api fuzz::
	tests/fuzz $(ARGS)

.PHONY: trial
trial: trial-search trial-documents ## both trials with real documents, of the packages that this program is built of

.PHONY: trial-search
trial-search: deps ## the search: the READMEs of the crates in Cargo.lock, each by its crate's name
	INKPOT_TEST_REQUIRE_ALL=1 $(CARGO) test --locked --test api -- --ignored --nocapture trial::

.PHONY: trial-documents
trial-documents: deps build ## five thousand documents, found again by slug, tag, month, author and words; ARGS for its flags
	tests/trial $(ARGS)

.PHONY: screenshots
screenshots: deps build ## take the pictures of the README anew, into docs/pictures
	tests/screenshots

.PHONY: numbering-plans
numbering-plans: ## take which numbers countries have from the newest libphonenumber
	tests/numbering-plans

.PHONY: bench
bench: ## compare the server with bare ones; measure logins, jobs, sockets, the bus, what users would run; ARGS='--only hot,jobs --databases sqlite'
	@tests/install-deps bench
	benches/compare $(ARGS)

.PHONY: bench-scale
bench-scale: ## what pages of the list cost with up to a million posts; ARGS for its flags
	@tests/install-deps bench
	benches/scale $(ARGS)

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
