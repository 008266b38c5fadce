# The deployment by docker-compose.yml, run for real: see tests/compose/run.
.PHONY: test-compose
test-compose: bins tools ## docker-compose.yml for real: up, replay, recount, crash, recount, down
	@BIN_DIR=$(B)/bin tests/compose/run
