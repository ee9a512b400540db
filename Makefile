# The two that do all the set-up: make run, make test.

GO ?= go
VERSION := 0.1.0

.PHONY: build run test lint bench compare fuzz crash deb clean

build:
	$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/tripost ./cmd/tripost

# A server with two accounts, on loopback ports, in ./quickstart.
run: build
	@./e2e/packages.sh curl
	./bin/tripost serve --quickstart

# Unit tests, dialogues, conformance, crashes, and real mail programs.
test: lint
	@./e2e/packages.sh
	GORACE=atexit_sleep_ms=0 $(GO) test -race -shuffle=on -timeout 60m ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff

# Go benchmarks, then a load run against the built binary.
bench: build
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...
	$(GO) run ./e2e/load -binary bin/tripost

# The built binary beside Dovecot, Cyrus and Postfix, where their packages are
# installed (Cyrus also: unpacked in /opt/cyrus) and this is root; brings docs/performance.md up to date. RUNS are
# those of e2e/load, growth among them.
SECONDS ?= 2
RUNS ?= receive,syncs,pop,imap,send,smtp,idle,push,memory
compare: build
	$(GO) run ./e2e/load -binary bin/tripost -run $(RUNS) -seconds $(SECONDS) -connections 5000 -report docs/performance.md

# Every fuzz target for FUZZTIME.
FUZZTIME ?= 1m
fuzz:
	GO=$(GO) FUZZTIME=$(FUZZTIME) ./e2e/fuzz.sh

# Kill under load, reopen, compare with what was acknowledged: the long form.
crash:
	TRIPOST_CRASH_ROUNDS=$${TRIPOST_CRASH_ROUNDS:-300} $(GO) test -count=1 -timeout 4h -run 'Crash|Kill|PowerCut|Fault' -v ./store/... ./e2e/...

# A Debian package of the binary, in dist/.
deb: build
	./packaging/deb.sh bin/tripost $(VERSION) dist

clean:
	rm -rf bin dist quickstart
