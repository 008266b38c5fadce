# Dashboards: `make metabase` sets up a running Metabase, `make report` draws the same dashboards as one
# HTML file. deploy/metabase/provision --help lists the settings.
metabase_goal_before := $(.DEFAULT_GOAL)

.PHONY: metabase report test-metabase
metabase: ## set up a running Metabase: database, dashboards (settings: deploy/metabase/provision --help)
	@deploy/metabase/provision
report: ## draw the dashboards: build/report/index.html; FORMAT=csv: one CSV file per tile
	@deploy/report/report --dsn "$${POSTGRES_DSN:-$$(deploy/local/stack dsn dashboards)}" \
	  --output build/report/index.html --format "$(or $(FORMAT),html)"
test-metabase: bins ## dashboards: provisioning of a strict fake, every tile and the report on real PostgreSQL
	@FLAVOUR=$(FLAVOUR) tests/metabase/run

.DEFAULT_GOAL := $(metabase_goal_before)
