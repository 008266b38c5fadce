# Real trouble at full length: full disks, refusals, locks, frozen processes, long outages
# (tests/e2e/8?_*.sh). `make test` runs a short part of it. With E2E_MEMORY_AWAY=600, PostgreSQL is
# down for ten minutes.
.PHONY: trouble
trouble: all e2e-tools ## real trouble at full length; S='82 85' for some scenarios
	@E2E_TROUBLE=1 SCENARIO_TIMEOUT=2400 FLAVOUR=$(FLAVOUR) tests/e2e/run $(or $(S),34 35 80 81 82 83 84 85 86)
