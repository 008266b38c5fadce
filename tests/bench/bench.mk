# Benchmarks of the running system; what they do and their settings are in tests/bench/bench.
.PHONY: bench bench-latency bench-reporting
bench: all bench-bins ## events per CPU second and peak memory of each service alone (EVENTS=2000000 RUNS=1)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench throughput
bench-latency: all bench-bins ## from raw append to visible aggregate, all services running (RATE=5000 MEASURE=20s RUNS=1)
	@BIN_DIR=$(abspath $(B)/bin) BENCH_BIN=$(abspath $(B)/bench) tests/bench/bench latency
bench-reporting: all ## every tile, every question and a refresh on many events in PostgreSQL alone (EVENTS=20000000 RUNS=5)
	@FLAVOUR=$(FLAVOUR) tests/bench/reporting
