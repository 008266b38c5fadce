# Tests. `make test` is all of them on real parts; `make unit` takes seconds. See tests/all, tests/unit/run, tests/e2e/run.
tests_goal_before := $(.DEFAULT_GOAL)

# What the sanitized flavour runs of the scenarios: it is several times slower.
ASAN_SCENARIOS := 10 20 21 30 50
E2E_TOOLS       = $(B)/test/e2e-broker

.PHONY: test unit e2e e2e-faults asan e2e-tools
test: deps ## everything: unit tests, the oracle's own test, and the pipeline on real parts
	@tests/all
unit: unit-tests ## unit tests; T='csv_test clock_test' for some
	@FLAVOUR=$(FLAVOUR) tests/unit/run $(T)
e2e: all e2e-tools ## the pipeline on real parts; S='20 kill' for some scenarios
	@FLAVOUR=$(FLAVOUR) tests/e2e/run $(S)
e2e-faults: ## crashes at every fault point of every service (FLAVOUR=fault)
	@FLAVOUR=fault tests/all e2e 70
asan: deps ## unit tests and scenarios under address, leak and undefined-behaviour sanitizers
	@FLAVOUR=asan E2E_KILL=funnel-aggregator E2E_EVENTS=12000 E2E_LONG=300 tests/all unit e2e $(ASAN_SCENARIOS)

.PHONY: e2e-kafka
e2e-kafka: all e2e-tools ## outages of the broker itself; known to fail now and then, see README
	@E2E_KAFKA_OUTAGES=1 FLAVOUR=$(FLAVOUR) tests/e2e/run 32

e2e-tools: $(E2E_TOOLS)
$(B)/test/e2e-broker: $(B)/obj/tests/e2e/broker.o
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $^ -lrdkafka -o $@

-include tests/compose/compose.mk tests/bench/bench.mk tests/trouble.mk

.DEFAULT_GOAL := $(tests_goal_before)
