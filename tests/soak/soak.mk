# A long steady run; what it does and its settings are in tests/soak/run.
.PHONY: soak
soak: deps all ## steady load for SOAK_MINUTES=30 at RATE=2000: memory, descriptors, threads, lag
	@BIN_DIR=$(abspath $(B)/bin) tests/soak/run
