# Prometheus with our rules and dashboards' expressions. Not a part of `make test`: it installs Prometheus.
.PHONY: test-observability
test-observability: all ## metrics, alerts and dashboards against a real Prometheus and a private stack
	@FLAVOUR=$(FLAVOUR) tests/observability/run
