# A long run at an even rate. tests/soak/run describes it and its settings.
.PHONY: soak
soak: deps all ## steady load for SOAK_MINUTES=30 at RATE=2000: memory, descriptors, threads, lag
	@BIN_DIR=$(abspath $(B)/bin) tests/soak/run
