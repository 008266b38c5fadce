# Tests. `make test` is all of them on real parts; `make unit` takes seconds. See tests/all, tests/unit/run, tests/e2e/run.
tests_goal_before := $(.DEFAULT_GOAL)

# What the sanitized flavour runs of the scenarios: it is several times slower.
ASAN_SCENARIOS := 10 20 21 30 33 34 50 55 60
E2E_TOOLS       = $(B)/test/e2e-broker $(B)/test/e2e-lost_answers

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
	@FLAVOUR=asan E2E_KILL=funnel-aggregator E2E_EVENTS=12000 E2E_LONG=300 tests/all unit fuzz-corpus e2e $(ASAN_SCENARIOS)

e2e-tools: $(E2E_TOOLS)
$(B)/test/e2e-%: $(B)/obj/tests/e2e/%.o $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $^ $(LIBS) -o $@

-include tests/compose/compose.mk tests/bench/bench.mk tests/chaos/chaos.mk tests/trouble.mk tests/soak/soak.mk tests/fuzz/fuzz.mk tests/checks.mk

.DEFAULT_GOAL := $(tests_goal_before)
