# Faults at random moments with a seed, then a recount. tests/chaos/10_chaos.sh describes it.
.PHONY: chaos
chaos: all e2e-tools ## faults at random moments for CHAOS_SECONDS=900, then a recount (CHAOS_SEED=n repeats a run)
	@SCENARIO_TIMEOUT=$$(($${CHAOS_SECONDS:-900} * 3 + 3000)) E2E_SCENARIOS=tests/chaos FLAVOUR=$(FLAVOUR) \
		tests/chaos/private_network tests/e2e/run chaos
