# Runs docker-compose.yml on a real Docker engine. tests/compose/run describes it.
.PHONY: test-compose
test-compose: bins tools ## docker-compose.yml on Docker: up, recounts, kills, a full disk, logins, secrets, down
	@BIN_DIR=$(B)/bin tests/compose/run && BIN_DIR=$(B)/bin tests/compose/secure
