# Dashboards: `make metabase` sets up a Metabase that runs, `make report` draws the same as one HTML file. What they need to be
# told is in deploy/metabase/provision --help.
metabase_goal_before := $(.DEFAULT_GOAL)

.PHONY: metabase report test-metabase
metabase: ## set Metabase up: database, dashboards (settings: deploy/metabase/provision --help)
	@deploy/metabase/provision
report: ## the dashboards as one HTML file from PostgreSQL: build/report/index.html
	@deploy/report/report --dsn "$${POSTGRES_DSN:-$$(deploy/local/stack dsn)}" --output build/report/index.html
test-metabase: bins ## dashboards: provisioning against a strict fake, every tile and the report on real PostgreSQL
	@FLAVOUR=$(FLAVOUR) tests/metabase/run

.DEFAULT_GOAL := $(metabase_goal_before)
