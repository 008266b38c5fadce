# Targets for the tests; tests/README.md lists the suites. The work is done by tests/all,
# tests/unit/run and tests/e2e/run.
tests_goal_before := $(.DEFAULT_GOAL)

# The scenarios for the sanitized flavour, which is several times slower.
ASAN_SCENARIOS := 10 20 21 30 33 34 50 55 60
E2E_TOOLS       = $(B)/test/e2e-broker $(B)/test/e2e-lost_answers

.PHONY: test unit e2e e2e-long e2e-faults cases asan e2e-tools
test: deps ## all tests that a change must pass (tests/README.md)
	@tests/all
unit: unit-tests ## unit tests; T='csv_test clock_test' for some of them
	@FLAVOUR=$(FLAVOUR) tests/unit/run $(T)
e2e: all e2e-tools ## scenarios on real Kafka, registry and PostgreSQL; S='20 kill' for some of them
	@FLAVOUR=$(FLAVOUR) tests/e2e/run $(S)
e2e-long: deps ## the scenarios that take long, which `make test` leaves out
	@FLAVOUR=$(FLAVOUR) tests/all e2e-long
e2e-faults: ## a crash at every fault point of every service (FLAVOUR=fault)
	@FLAVOUR=fault tests/all e2e 70
cases: all e2e-tools ## every input of tests/cases on 1, 4 and 12 partitions, with a table (E2E_PARTITIONS="1 4" for some)
	@E2E_CASES=all SCENARIO_TIMEOUT=7200 FLAVOUR=$(FLAVOUR) tests/e2e/run 27
asan: deps ## unit tests and scenarios with the address, leak and undefined-behaviour sanitizers
	@FLAVOUR=asan E2E_KILL=funnel-aggregator E2E_EVENTS=12000 E2E_LONG=300 tests/all unit fuzz-corpus e2e $(ASAN_SCENARIOS)

e2e-tools: $(E2E_TOOLS)
$(B)/test/e2e-%: $(B)/obj/tests/e2e/%.o $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $^ $(LIBS) -o $@

.PHONY: test-secure
test-secure: all e2e-tools ## TLS, passwords and rights on real Kafka, registry and PostgreSQL, and what they refuse
	@deploy/local/deps secure
	@FLAVOUR=$(FLAVOUR) tests/secure/run $(S)

.PHONY: lake-s3 lake-tools
lake-tools: $(B)/test/lake-files
lake-s3: $(B)/test/lake-files ## the lake in a bucket of a real S3 server (SeaweedFS), through a network that fails
	@FLAVOUR=$(FLAVOUR) tests/lake/s3_test
$(B)/test/lake-%: $(B)/obj/tests/lake/%.o $(B)/lib/libfold.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $^ $(LIBS) -o $@

-include tests/backup/backup.mk tests/compose/compose.mk tests/bench/bench.mk tests/chaos/chaos.mk tests/trouble.mk tests/soak/soak.mk tests/fuzz/fuzz.mk tests/sim/sim.mk tests/airflow/airflow.mk tests/observability/observability.mk tests/kubernetes/kubernetes.mk tests/checks.mk

.DEFAULT_GOAL := $(tests_goal_before)
