# Faults at random, seeded moments, then a recount; what it does and its settings are in tests/chaos/10_chaos.sh.
.PHONY: chaos
chaos: all e2e-tools ## faults at random moments for CHAOS_SECONDS=900, then a recount (CHAOS_SEED=n for the same again)
	@SCENARIO_TIMEOUT=$$(($${CHAOS_SECONDS:-900} * 3 + 3000)) E2E_SCENARIOS=tests/chaos FLAVOUR=$(FLAVOUR) tests/e2e/run chaos
