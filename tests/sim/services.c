/* The oracle needs the inputs and fold settings that main.c puts together. It gets them by calling
 * the service's own open function while the functions of the task loop are captured: the linker's
 * --wrap leads its calls here. */
#include "sim/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "service/config.h"
#include "sim/cluster.h"
#include "sim/substitutes.h"
#include "wire/topics.h"

int bronze_sink_main(int argc, char **argv);
int funnel_aggregator_main(int argc, char **argv);
int pg_loader_main(int argc, char **argv);

bool __wrap_task_loop_open(struct task_loop **loop, const struct service_config *service,
                           const struct kafka_config *kafka, const struct task_loop_config *config,
                           const char *service_name, unsigned writes,
                           struct output_context *context, struct err *err);
bool __real_task_loop_open(struct task_loop **loop, const struct service_config *service,
                           const struct kafka_config *kafka, const struct task_loop_config *config,
                           const char *service_name, unsigned writes,
                           struct output_context *context, struct err *err);
bool __wrap_task_loop_partition_count(struct task_loop *loop, const char *topic_suffix,
                                      int32_t *count, struct err *err);
bool __real_task_loop_partition_count(struct task_loop *loop, const char *topic_suffix,
                                      int32_t *count, struct err *err);
bool __wrap_task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs,
                            size_t input_count, struct err *err);
bool __real_task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs,
                            size_t input_count, struct err *err);

static struct {
	const struct service *service;
	void *settings[SIM_TUNINGS][SETTINGS_COUNT];
} loaded[SIM_SERVICE_COUNT];

static struct sim_service_inputs *capturing; /* NULL: the real functions are called */

static const struct change {
	enum sim_settings settings;
	const char *name, *value, *ordinary;
} changes[] = {
	{SETTINGS_TYPES, "ALLOWED_EVENT_TYPES", "view,purchase", "view,cart,purchase"},
	{SETTINGS_PRICE, "MAX_PRICE", "45", "1000"},
	{SETTINGS_OTHER_STATE, "DEDUP_HORIZON", "2d", "1d"},
	{SETTINGS_OTHER_STATE, "GRACE", "20m", "10m"},
};

static void apply(int settings)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const struct change *change = &changes[i];

		setenv(change->name,
		       (int)change->settings == settings ? change->value : change->ordinary, 1);
	}
}

static const struct tuning {
	const char *idle_timeout, *batch_records, *batch_bytes, *commit_interval,
		*transaction_timeout;
	int64_t idle_us;
} tunings[SIM_TUNINGS] = {
	{"2s", "40", "64m", "100ms", "10s", 2000000},
	{"500ms", "4", "64m", "5ms", "10s", 500000},
	{"2s", "1000", "64k", "2s", "3s", 2000000},
	{"5s", "100000", "64m", "10s", "30s", 5000000},
};
static const struct tuning *tuned = tunings; /* of the schedule */

static void tune(const struct tuning *tuning)
{
	setenv("IDLE_TIMEOUT", tuning->idle_timeout, 1);
	setenv("BATCH_RECORDS", tuning->batch_records, 1);
	setenv("BATCH_BYTES", tuning->batch_bytes, 1);
	setenv("COMMIT_INTERVAL", tuning->commit_interval, 1);
	setenv("TRANSACTION_TIMEOUT", tuning->transaction_timeout, 1);
}

void services_tune(int tuning)
{
	tuned = &tunings[tuning];
}

int64_t services_idle_us(void)
{
	return tuned->idle_us;
}

static void load(enum sim_service number, int (*run)(int, char **))
{
	static char name[] = "sim";
	char *argv[] = {name, NULL};

	run(1, argv);
	loaded[number].service = sim_captured_service();
	for (int i = 0; i < SIM_TUNINGS * SETTINGS_COUNT; i++) {
		void *settings = xzalloc(1, loaded[number].service->config_size);

		loaded[number].settings[i / SETTINGS_COUNT][i % SETTINGS_COUNT] = settings;
		tune(&tunings[i / SETTINGS_COUNT]);
		apply(i % SETTINGS_COUNT);
		if (config_load(loaded[number].service->tables, name, name, 1, argv, settings) !=
		    CONFIG_OK)
			exit(64);
	}
}

void services_load(void)
{
	setenv("TOPIC_PREFIX", SIM_PREFIX, 1);
	setenv("ROLLUPS", "1m:all 1h:category1 1d:brand", 1);
	load(SIM_BRONZE_SINK, bronze_sink_main);
	load(SIM_AGGREGATOR, funnel_aggregator_main);
	setenv("POSTGRES_DSN", "postgresql://sim", 1);
	setenv("MIGRATE", "false", 1);
	setenv("REPORTING_INTERVAL", "0s", 1);
	setenv("SEND_ALERTS", "false", 1);
	setenv("BATCH_ROWS", "60", 1);
	load(SIM_LOADER, pg_loader_main);
}

const struct service *service_of(enum sim_service number)
{
	return loaded[number].service;
}

void *service_settings(enum sim_service number, enum sim_settings kind, const char *instance)
{
	size_t size = loaded[number].service->config_size;
	void *settings = xrealloc(NULL, size);

	memcpy(settings, loaded[number].settings[tuned - tunings][kind], size);
	((struct service_config *)settings)->instance_id = strdup(instance);
	return settings;
}

void services_capture(enum sim_service number, enum sim_settings settings,
                      struct sim_service_inputs *captured)
{
	struct err err = {ERR_NONE, ""};
	void *state = NULL;

	capturing = captured;
	if (!loaded[number].service->open(service_settings(number, settings, "oracle"), &state,
	                                  &err)) {
		fprintf(stderr, "sim: %s\n", err.message);
		exit(70);
	}
	capturing = NULL;
}

static int32_t partitions_of(const char *suffix)
{
	char topic[64];

	snprintf(topic, sizeof(topic), SIM_PREFIX "%s", suffix);
	return cluster_topic(topic)->partition_count;
}

bool __wrap_task_loop_open(struct task_loop **loop, const struct service_config *service,
                           const struct kafka_config *kafka, const struct task_loop_config *config,
                           const char *service_name, unsigned writes,
                           struct output_context *context, struct err *err)
{
	if (!capturing)
		return __real_task_loop_open(loop, service, kafka, config, service_name, writes,
		                             context, err);
	*loop = NULL;
	capturing->name = context->service = service_name;
	capturing->context = context;
	for (int kind = 0; kind < SCHEMA_COUNT; kind++)
		context->schema_id[kind] = sim_registry_id((enum schema_kind)kind);
	for (enum topic_id topic = 0; topic < TOPIC_COUNT; topic++)
		if (writes & (1u << topic))
			context->partition_count[topic] = partitions_of(topic_of(topic)->suffix);
	return true;
}

bool __wrap_task_loop_partition_count(struct task_loop *loop, const char *topic_suffix,
                                      int32_t *count, struct err *err)
{
	if (!capturing)
		return __real_task_loop_partition_count(loop, topic_suffix, count, err);
	*count = partitions_of(topic_suffix);
	return true;
}

bool __wrap_task_loop_start(struct task_loop *loop, const struct task_loop_input *inputs,
                            size_t input_count, struct err *err)
{
	if (!capturing)
		return __real_task_loop_start(loop, inputs, input_count, err);
	capturing->inputs = inputs;
	capturing->input_count = input_count;
	return true;
}
