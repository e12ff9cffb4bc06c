# make run          build and start Crier; settings as ARGS='--listen :3000' or CRIER_… variables
# make test         everything that continuous integration checks
# make bench-quick  figures of speed and memory, in about two minutes (docs/BENCHMARKS.md)
# make ledger       the long proof of callbacks, timed pushes and stored messages, under kills and faults, in about half an hour (docs/DURABILITY.md)
# They install what they need on a fresh Debian or Ubuntu with Go and Node.

GO  ?= go
NPM ?= npm

.PHONY: run build client setup test lint unit e2e bench-quick ledger fmt clean

run: build
	./bin/crier $(ARGS)

build: client
	$(GO) build -trimpath -o bin/crier .

# The official browser client, embedded by the build. Without npm the build
# works too: pages then load the client from a public CDN.
client:
	@.ci/setup run
	@if command -v $(NPM) >/dev/null; then $(MAKE) --no-print-directory web/client/.stamp; \
	else echo "npm is missing: building without the browser client, which pages will load from a public CDN"; fi

web/client/.stamp: web/package-lock.json web/scripts/client.mjs
	cd web && $(NPM) ci --no-audit --no-fund --loglevel=error && $(NPM) run --silent build
	@touch $@

setup:
	@.ci/setup test

test: setup lint unit e2e

lint:
	.ci/lint

unit: client
	$(GO) test -race -timeout 5m $$($(GO) list ./... | grep -v '^crier/e2e')

e2e: client e2e/node_modules/.stamp e2e/parsers/node_modules/.stamp
	$(GO) test -race -timeout 25m ./e2e/...

# Needs nothing but Go. ARGS='-only memory' and the like: go run ./bench/quick -h
bench-quick:
	$(GO) run ./bench/quick $(ARGS)

# BOOK=callbacks is only one of the books; ARGS='-seed 7' repeats a run; -h has the rest.
ledger: build e2e/node_modules/.stamp
	$(GO) run ./e2e/ledger $(or $(BOOK),all) $(ARGS)

%/node_modules/.stamp: %/package-lock.json
	cd $* && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

fmt:
	$(GO) tool -modfile=.ci/tools/go.mod gofumpt -w $$(git ls-files --cached --others --exclude-standard '*.go')

clean:
	rm -rf bin web/node_modules e2e/node_modules e2e/parsers/node_modules web/client/4 web/client/2 web/client/.stamp
