# The two that do all the set-up: make run, make test.

GO ?= go
VERSION := 0.1.0

.PHONY: build run test lint bench compare fuzz crash hostile deb clean

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

# The long forms of the tests that kill, cut, fill and flood the server; the
# variables are those of docs/promises.md. -timeout is that of each package.
LONG ?= Crash|Kill|PowerCut|Fault|Unreadable|Clock|FullDisk|FewFile|LittleMemory|NoDNS|Random|Model|Crowd|Exchange|Hostile
crash:
	TRIPOST_CRASH_ROUNDS=$${TRIPOST_CRASH_ROUNDS:-1000} TRIPOST_STORE_ROUNDS=$${TRIPOST_STORE_ROUNDS:-1000} \
	TRIPOST_IMAP_ROUNDS=$${TRIPOST_IMAP_ROUNDS:-100000} TRIPOST_CROWD_ROUNDS=$${TRIPOST_CROWD_ROUNDS:-50} \
	TRIPOST_EXCHANGE_MESSAGES=$${TRIPOST_EXCHANGE_MESSAGES:-2000} TRIPOST_HOSTILE=$${TRIPOST_HOSTILE:-3} \
	$(GO) test -count=1 -p 1 -timeout 6h -run '$(LONG)' -v ./...

# The hostile load of crash alone.
hostile:
	TRIPOST_HOSTILE=$${TRIPOST_HOSTILE:-3} $(GO) test -count=1 -timeout 1h -run '^TestHostile$$' -v ./e2e

# A Debian package of the binary, in dist/.
deb: build
	./packaging/deb.sh bin/tripost $(VERSION) dist

clean:
	rm -rf bin dist quickstart
