# The local stack's targets; what they do is in deploy/local/stack. Settings come from the environment or the command
# line: make up KAFKA_PORT=29092, make demo DATA=2019-Oct.csv.gz, make services REPLICAS_bronze_sink=2.
STACK := deploy/local/stack

# Reading this file must not change what a bare `make` does.
stack_goal_before := $(.DEFAULT_GOAL)

.PHONY: deps up down status logs services stop-services reset wait demo dsn brokers registry env clean-local

deps: ## install missing Debian packages
	@deploy/local/deps $(if $(filter system,$(LIBRDKAFKA)),librdkafka)
up: deps ## start Kafka, schema registry and PostgreSQL
	@$(STACK) up
down: ## stop our services and the stack
	@$(STACK) down
status: ## what runs, and whether it is healthy
	@$(STACK) status
logs: ## the logs (follows on a terminal); N=name for one
	@if [ -t 1 ]; then $(STACK) logs -f $(N); else $(STACK) logs $(N); fi
services: ## start our services (REPLICAS_bronze_sink=2 and the like)
	@$(STACK) services
stop-services: ## stop our services, cleanly
	@$(STACK) stop-services
reset: ## empty the system: topics, group offsets, tables
	@$(STACK) reset
wait: ## wait until everything produced is in PostgreSQL
	@$(STACK) wait
demo: ## from nothing to numbers: DATA=file|folder or EVENTS=n, RESET=1
	@deploy/local/demo
dsn: ## PostgreSQL connection string: psql "$$(make -s dsn)"
	@$(STACK) dsn
brokers: ## Kafka's address
	@$(STACK) brokers
registry: ## the schema registry's address
	@$(STACK) registry
env: ## addresses for a shell: eval "$$(make -s env)"
	@$(STACK) env
clean-local: ## stop everything and delete its data (keeps downloads)
	@$(STACK) clean

# With the project's Makefile, what is started is built first.
ifdef SERVICES
services: | bins tools
reset: | tools
endif

.DEFAULT_GOAL := $(stack_goal_before)
