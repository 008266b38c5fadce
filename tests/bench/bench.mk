# Benchmarks of the running system. tests/bench/bench describes them and their settings.
.PHONY: bench bench-folds bench-pipeline bench-loading bench-lake bench-latency bench-reporting bench-peers bench-month bench-month-selftest
bench: all bench-bins ## events per CPU second and peak memory of each service alone (EVENTS=2000000 RUNS=1)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench throughput
bench-folds: $(B)/bench/bench_folds ## the folds without Kafka: instructions and allocations per event (EVENTS=20000)
	@tests/bench/instructions $(B)/bench/bench_folds
bench-pipeline: all bench-bins ## CPU time of each part, from rows to reports, all together (EVENTS=2000000 RUNS=1)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench pipeline
bench-month: all bench-bins ## a month of events, file to reports, recounted with DuckDB: time, memory, disk (EVENTS=42448764 KEEP=false)
	@BIN_DIR=$(abspath $(B)/bin) tests/bench/month
bench-month-selftest: all ## the recount of bench-month reports each of some changed rows (EVENTS=50000)
	@BIN_DIR=$(abspath $(B)/bin) EVENTS=$(or $(EVENTS),50000) SELFTEST=true tests/bench/month
bench-loading: all bench-bins ## pg-loader compared with COPY of the same rows, one and two at a time (EVENTS=2000000 RUNS=1)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench loading
bench-lake: all bench-bins ## the lake: rows per CPU second, bytes per event, compaction (EVENTS=2000000)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench lake
bench-latency: all bench-bins ## time from append to raw topic to visible aggregate, all services (RATE=5000 or RATES='1000 5000', MEASURE=20s RUNS=1)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench latency
bench-reporting: all ## every tile, question and refresh on many events in PostgreSQL alone (EVENTS=20000000 RUNS=5)
	@FLAVOUR=$(FLAVOUR) tests/bench/reporting
LOAD_EVENTS ?= 50000
bench-peers: all bench-bins deps ## other stream processors and loaders on the same raw topic, rows compared (EVENTS=2000000 RUNS=1 LOAD_EVENTS=50000 PEERS= LOADERS=)
	@deploy/local/deps jdk
	@[ "$(PEERS)" = none ] || BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) \
	  tests/bench/peers/run $(PEERS)
	@[ "$(LOADERS)" = none ] || BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) \
	  EVENTS=$(LOAD_EVENTS) tests/bench/peers/loaders $(LOADERS)
