# Targets of the local stack; deploy/local/stack does the work. Settings come from the environment or the
# command line: make up KAFKA_PORT=29092, make demo DATA=2019-Oct.csv.gz, make services
# REPLICAS_bronze_sink=2.
STACK := deploy/local/stack

# Variables of the command line (Q, ID, FILE, ROW) are in the environment of a recipe, so no shell reads their
# contents.

# Reading this file must not change what a bare `make` does.
stack_goal_before := $(.DEFAULT_GOAL)

.PHONY: deps up down status logs services stop-services reset wait tail psql topics lag why demo download dsn brokers registry lake-dir env rebuild-from-lake backup restore clean-local

deps: ## install missing Debian packages
	@deploy/local/deps $(if $(filter system,$(LIBRDKAFKA)),librdkafka) $(if $(filter 1,$(SECURE)),secure)
up: deps ## start Kafka, schema registry and PostgreSQL (SECURE=1: with TLS, passwords and rights)
	@$(STACK) up
down: ## stop our services, then Kafka, schema registry and PostgreSQL
	@$(STACK) down
status: ## show what runs and whether it is ready
	@$(STACK) status
logs: ## show the logs (on a terminal also new lines); N=name for one of them
	@if [ -t 1 ]; then $(STACK) logs -f $(N); else $(STACK) logs $(N); fi
services: ## start our services (REPLICAS_bronze_sink=2 for two replicas)
	@$(STACK) services
stop-services: ## stop our services
	@$(STACK) stop-services
reset: ## stop our services; empty topics, consumer groups, database and lake
	@$(STACK) reset
wait: ## wait until all rows sent so far are in PostgreSQL and in the reports
	@$(STACK) wait
tail: ## the live funnel of this stack in the terminal (q quits); records of a topic: TOPIC=bronze
	@eval "$$($(STACK) env)" && exec "$${BIN_DIR:-build/$(FLAVOUR)/bin}/funnel-tail" $(if $(TOPIC),--topic $(TOPIC))
psql: ## open the database of this stack; Q='SELECT ...' runs one query
	@exec psql "$$($(STACK) dsn)" $(if $(Q),-c "$$Q")
topics: ## list the topics of this stack
	@$(STACK) topics
lag: ## what each consumer group has not read yet
	@$(STACK) lag
why: ## what became of an event (ID=event id) or of a row (FILE=name ROW=number): stored, late, refused and why
	@deploy/local/why
demo: ## build, start everything, replay events and show numbers (DATA=file|folder|URL, EVENTS=n, FAIL_ABOVE=1%, RESET=1, SECURE=1)
	@deploy/local/demo
download: ## download the public months (MONTHS="2019-Oct 2019-Nov", DATA_DIR=data); continues if interrupted
	@deploy/local/download "$(or $(DATA_DIR),data)" $(MONTHS)
dsn: ## print the PostgreSQL connection string: psql "$$(make -s dsn)"
	@$(STACK) dsn
brokers: ## print the address of Kafka
	@$(STACK) brokers
registry: ## print the address of the schema registry
	@$(STACK) registry
lake-dir: ## print the folder of the lake
	@$(STACK) lake-dir
env: ## print all addresses for a shell: eval "$$(make -s env)"
	@$(STACK) env
rebuild-from-lake: ## disaster drill: empty topics and database, and fill them from the lake (CONFIRM=yes, LAKE_URL=...)
	@deploy/local/rebuild-from-lake
backup: ## back up PostgreSQL, schemas and positions while all runs (TO=folder KEEP=n LAKE_FILES=copy)
	@deploy/backup/backup
restore: ## restore a backup (FROM=folder; FORCE=yes replaces a filled database; CHECK=only changes nothing)
	@deploy/backup/restore
clean-local: ## stop everything and delete its data (keeps downloads)
	@$(STACK) clean

# If the project's Makefile includes this file, the programs are built first.
ifdef SERVICES
services: | bins tools $(if $(filter yes,$(LAKE)),lake)
reset: | tools
rebuild-from-lake: | bins tools lake
tail: | tools
backup restore: | tools
endif

.DEFAULT_GOAL := $(stack_goal_before)
