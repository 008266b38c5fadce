# Dashboards: `make metabase` sets up a running Metabase, `make report` draws the same dashboards as one
# HTML file. deploy/metabase/provision --help lists the settings.
metabase_goal_before := $(.DEFAULT_GOAL)

.PHONY: metabase report test-metabase
metabase: ## set up a running Metabase: database, dashboards (settings: deploy/metabase/provision --help)
	@deploy/metabase/provision
report: ## draw the dashboards as one HTML file: build/report/index.html
	@deploy/report/report --dsn "$${POSTGRES_DSN:-$$(deploy/local/stack dsn)}" \
	  --output build/report/index.html
test-metabase: bins ## dashboards: provisioning of a strict fake, every tile and the report on real PostgreSQL
	@FLAVOUR=$(FLAVOUR) tests/metabase/run

.DEFAULT_GOAL := $(metabase_goal_before)
