# make run          build and start Crier; settings as ARGS='--listen :3000' or CRIER_… variables
# make test         everything that continuous integration checks, but for
# make test-clients clients in Java and Python, with what they need from Maven and PyPI, and
# make fuzz         every decoder fuzzed for FUZZTIME=30s each, as many at a time as there are processors; in ten to fifteen minutes on two
# make deb          a Debian package in bin/ (docs/DEPLOY.md)
# make dist         programs for Linux, macOS and Windows in bin/dist/, with checksums (docs/DEPLOY.md)
# make bench        Crier and what else can be installed, measured into docs/BENCHMARKS.md, in about half an hour
# make bench-quick  Crier against the least that a server can do, and a bare handler, in less than two minutes
# make bench-growth Crier alone with 1,000 to 18,000 clients, and four of it with 50,000, measured into docs/BENCHMARKS.md
# make ledger       the long proof of callbacks, timed pushes and stored messages, under kills and faults, in about half an hour (docs/DURABILITY.md)
# make test-cluster the same over three servers with a Redis, in about ten minutes (docs/CLUSTER.md)
# make hostile      Crier and the official Socket.IO server attacked with all that is known, side by side, into docs/SECURITY.md, in about ten minutes;
#                   then 1,000 clients beside 1,000 that never read, into docs/RELIABILITY.md, in about seven, and 15,000 that all come back at once, in about one
# make restarts     Crier stopped and started 50 times under load, on ports that stay open, in two to six minutes (docs/RELIABILITY.md)
# make soak         a million clients that come and go, and a hundred thousand with the race detector: nothing of them may stay behind; an hour or so
# make vuln         the code against the database of known vulnerabilities in Go and its modules, which it asks over the network
# They install what they need on a fresh Debian or Ubuntu with Go and Node.

GO  ?= go
NPM ?= npm

.PHONY: run build client setup test lint unit e2e test-clients test-cluster deb dist bench bench-quick bench-growth ledger hostile restarts soak fuzz vuln fmt clean

run: build
	./bin/crier $(ARGS)

build: client
	$(GO) build -trimpath -o bin/crier .

# The official browser client and the charts of the dashboard, embedded by the build. Without npm the
# build works too: pages then load the client from a public CDN, and there are no charts.
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
	$(GO) test -race -timeout 15m $$($(GO) list ./... | grep -v '^crier/e2e')
	$(GO) test -run Allocations ./api/... # which the race detector adds to
	$(GO) test ./deploy/dist # checks types in one goroutine, for which the race detector takes minutes

# Tests wait for other programs as much as they compute: three at once on two processors. Always anew: go test would not see that the program has changed.
e2e: client e2e/node_modules/.stamp e2e/parsers/node_modules/.stamp
	$(GO) test -count=1 -race -parallel 3 -timeout 45m -skip '^TestForeignClients$$' ./e2e/...

# With CI=true nothing is skipped for want of something.
test-clients: client
	@.ci/setup clients
	e2e/foreign/prepare
	CI=true $(GO) test -count=1 -race -timeout 10m -run '^TestForeignClients$$' ./e2e

# Needs nothing but Go; bench also npm, for Node's server. WEB_MSG_SENDER=folder also measures that checkout of it. ARGS='-servers crier,node -only push'
# and the like: go run ./bench/compare -h
bench:
	$(GO) run ./bench/compare -warm-up 2s -doc docs/BENCHMARKS.md $(ARGS)

bench-quick:
	$(GO) run ./bench/compare -servers crier,ceiling,handler -only idle,broadcast,paced,push,new,lines,stream,events,churn -rounds 1 -warm-up 2s -duration 2s $(ARGS)

bench-growth:
	$(GO) run ./bench/compare -growth -doc docs/BENCHMARKS.md $(ARGS)

# BOOK=callbacks is only one of the books; ARGS='-seed 7' repeats a run; -h has the rest.
ledger: build e2e/node_modules/.stamp
	$(GO) run ./e2e/ledger $(or $(BOOK),all) $(ARGS)

# Three servers with a Redis, which are killed, stopped, cut off and restarted, in about ten minutes. ARGS='-seed 7' repeats a run.
CLUSTER = $(GO) run ./e2e/ledger $(1) -nodes 3 $(2) $(ARGS)
test-cluster: build e2e/node_modules/.stamp
	$(call CLUSTER,messages,-owed 50000 -users 120 -faults 15)
	$(call CLUSTER,callbacks,-owed 600 -users 150 -faults 8)
	$(call CLUSTER,schedules,-owed 500 -users 100 -faults 8)

# ARGS='-only placeholders' is one family. What is a matter of number comes once more, in full; go run ./e2e/hostile -long does that with all, in an hour or so.
# What make hostile does in full besides.
FULL = pings by|fragments without|announced and never|never polled|never join|namespaces|in a row|events without|HTTP/2 settings
hostile: build bench/peers/node/node_modules/.stamp
	$(GO) run ./e2e/hostile -node bench/peers/node -doc docs/SECURITY.md $(ARGS)
	$(GO) run ./e2e/hostile -long -only '$(FULL)' -doc docs/SECURITY.md
	$(GO) run ./e2e/hostile -slow -doc docs/RELIABILITY.md
	$(GO) run ./e2e/hostile -storm -doc docs/RELIABILITY.md

# ARGS='-seed 7' repeats a run; -h has the rest.
restarts: build
	$(GO) run ./e2e/restarts $(ARGS)

# ARGS='-cycles 100000' is a tenth.
soak: build
	$(GO) run ./e2e/soak $(ARGS)
	$(GO) build -race -o bin/crier-race .
	$(GO) run ./e2e/soak -binary bin/crier-race -cycles 100000 -round 10000

# ARGS='./api/fastpath FuzzSame' is one target; FUZZTIME=5m for longer. What it finds is kept in testdata/fuzz of the package, which every go test runs from then on.
fuzz:
	.ci/fuzz $(ARGS)

# Not a part of lint: what was published yesterday is no fault of a change, and without network there is no answer.
VULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
vuln:
	$(GO) run $(VULNCHECK) ./...

%/node_modules/.stamp: %/package-lock.json
	cd $* && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

# For another machine: ARCH=arm64. The version is the commit's date, unless VERSION=1.2.3. Into another folder: DEB=/tmp/.
ARCH    ?= $(shell $(GO) env GOARCH)
VERSION ?= $(shell git log -1 --date=format:%Y%m%d.%H%M%S --format=0~%cd.%h)
DEB     ?= bin/
NFPM     = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

deb: client
	mkdir -p bin/deb
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -trimpath -o bin/deb/crier .
	$(GO) run . completion bash >bin/deb/completion.bash
	ARCH=$(ARCH) VERSION='$(VERSION)' $(GO) run $(NFPM) package --config deploy/nfpm.yaml --packager deb --target $(DEB)

# ARGS=-changed also takes what is not committed.
dist: client
	$(GO) run ./deploy/dist $(ARGS)

fmt:
	$(GO) tool -modfile=.ci/tools/go.mod gofumpt -w $$(git ls-files --cached --others --exclude-standard '*.go')

clean:
	rm -rf bin web/node_modules bench/peers/node/node_modules e2e/node_modules e2e/parsers/node_modules e2e/foreign/java/*/lib e2e/foreign/java/*/classes e2e/foreign/python/*/ web/client/4 web/client/2 web/client/.stamp
