# Yizhan (驿站). `make help` lists the targets: the text after ## is the help.
SHELL := /bin/bash
.DELETE_ON_ERROR:

PORT  ?= 8080
DATA  ?= data/demo
SPEED ?= 10

export CGO_ENABLED ?= 0
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
BUILD   := go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
DIST    := cloud/internal/web/dist

.PHONY: help run build test arm size lint fuzz e2e ui soak bench bench-encoding bench-uplink bench-ingest bench-parcel bench-notice bench-gateway bench-loss bench-spool mutate deps clean

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## the demo county at http://127.0.0.1:$(PORT) (PORT, DATA, SPEED)
	bin/firmware-sim county -bin bin -data $(DATA) -port $(PORT) -speed $(SPEED)

build: ui ## the three programs in bin/
	@mkdir -p bin
	$(BUILD) -o bin/ ./gateway ./cloud ./firmware-sim

test: deps ui lint size ## everything that must hold; ends with go test's own lines
	GOARCH=386 go test ./devices/... ./broker/... ./gateway/...
	go test ./firmware-sim/internal/bench ./firmware-sim/internal/soak
	CGO_ENABLED=1 go test -race -timeout 20m ./...

arm: ## the gateway for arm v6, v7 and arm64 in bin/
	@mkdir -p bin
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -o bin/gateway-armv6 ./gateway
	GOOS=linux GOARCH=arm GOARM=7 $(BUILD) -o bin/gateway-armv7 ./gateway
	GOOS=linux GOARCH=arm64 $(BUILD) -o bin/gateway-arm64 ./gateway

size: arm ## fails when a stripped gateway is over 14 MB
	@for f in bin/gateway-arm*; do n=$$(stat -c %s $$f); printf '%s %d bytes\n' $$f $$n; \
	  [ $$n -le 14000000 ] || { echo "$$f is over 14 MB"; exit 1; }; done

lint: ui ## gofmt, vet, and the rules of the house
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not gofmt-ed: $$bad"; exit 1; }
	go vet ./...

fuzz: ## each parser for FUZZTIME (20s)
	@configs/house/fuzz $(or $(FUZZTIME),20s)

e2e: build deps ## the console in a real browser
	go test -count 1 -run E2E ./cloud/...

ui: $(DIST)/index.html ## the console, built from cloud/ui

$(DIST)/index.html: $(shell git ls-files cloud/ui)
	cd cloud/ui && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

ifdef SEED
soak: ## 1,000 simulations under faults (SEEDS), 200 kills on either database (KILLS), InfluxDB away (AWAY, 10m): under 45 min; SEED=42 traces one
	YIZHAN_SEED=$(SEED) go test -count 1 -run '^TestSeeds$$' -v ./firmware-sim/internal/soak
else
soak: deps ui
	@configs/house/soak $(or $(SEEDS),1000) $(or $(KILLS),200) $(or $(AWAY),10m)
endif

bench: ## benchmarks of the parsers, the spool and the broker
	go test -run '^$$' -bench . -benchmem ./devices/... ./broker/... ./gateway/...

bench-encoding: ## bytes a reading of each kind: JSON, CBOR, Protobuf, columns; plain, with zstd, with a dictionary
	go test -run '^$$' -bench Encodings -benchtime 50x ./broker/frame

bench-uplink: ## a day's backlog over 512 kbit/s: share of the line, bytes a reading, delay of live readings
	@mkdir -p bin
	go build -trimpath -o bin/bench-uplink ./gateway/bench-uplink
	bin/bench-uplink

bench-ingest: deps ## readings a second from MQTT to committed in Postgres, beside raw COPY
	@mkdir -p bin
	go build -trimpath -o bin/bench-ingest ./cloud/bench-ingest
	bin/bench-ingest

bench-parcel: deps ## parcel events a second on Postgres, beside raw COPY; queries at 1 million parcels, 10 million events
	go build -trimpath -o bin/bench-parcel ./cloud/bench-parcel
	bin/bench-parcel -query 1000000

bench-notice: ## door closed to message in its provider's hands, key to pulse with and without a link: real programs, 200 parcels (PARCELS) on SQLite and Postgres, 15 min
	go test -run '^$$' -bench Notice -benchtime $(or $(PARCELS),200)x -timeout 60m ./firmware-sim

mutate: deps ui ## breaks each mechanism of the promises and tells which test notices
	go run ./firmware-sim/mutate

bench-gateway: ## what a gateway costs: acknowledgements beside bare mochi, CPU, memory and bytes a reading
	@mkdir -p bin
	$(BUILD) -o bin/ ./gateway
	go build -trimpath -o bin/bench-gateway ./gateway/bench-gateway
	bin/bench-gateway

bench-spool: ## what a durable record costs beside bare loops, in bytes, writes and flushes of the device; opening 10 GiB
	@mkdir -p bin
	go build -trimpath -o bin/bench-spool ./gateway/bench-spool
	bin/bench-spool

bench-loss: deps build ## the same faults through ours, a Mosquitto bridge and Paho's file store: what is lost
	go build -trimpath -o bin/bench-loss ./firmware-sim/bench-loss
	bin/bench-loss

deps: ## what the tests need, installed where it is missing
	@.ci/deps

clean: ## removes what was built, keeps data/
	rm -rf bin cloud/ui/node_modules
