/* bronze-sink: reads raw events, writes valid events once and in standard form. This file declares;
 * bronze_fold.c and the task loop do the work. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/memory.h"
#include "bronze_fold.h"
#include "event/event_rules.h"
#include "service/config.h"
#include "service/event_rules_options.h"
#include "service/service.h"
#include "service/version.h"
#include "task_loop/task_loop_state.h"
#include "wire/schemas.h"

#define RULES_TEXT_MAX (EVENT_RULES_TEXT_MAX + 256)

struct bronze_config {
	struct service_config service;
	struct kafka_config kafka;
	struct task_loop_config loop;
	int64_t dedup_horizon_us;
	const char *dedup_key;
	struct event_rules_config rules;
};

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct bronze_config, kafka);
static const struct config_option loop_options[] = TASK_LOOP_OPTIONS(struct bronze_config, loop);
static const struct config_option registry_options[] =
	REGISTRY_OPTIONS(struct bronze_config, loop.registry, REGISTRY_URL_DEFAULT,
                         REGISTRY_URL_HELP);
static const struct config_option rules_options[] =
	EVENT_RULES_OPTIONS(struct bronze_config, rules);
static const struct config_option options[] = {
	{"DEDUP_HORIZON", CONFIG_DURATION, offsetof(struct bronze_config, dedup_horizon_us), "7d",
         INT64_C(3600000000), INT64_C(7776000000000),
         "event time before the clock within which duplicates are recognised; older events become "
         "dead letters",
         NULL, NULL},
	{"DEDUP_KEY", CONFIG_CHOICE, offsetof(struct bronze_config, dedup_key), "content", 0, 0,
         "what makes two events the same: their content, or their source file and row",
         "content|source", NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, registry_options, loop_options,
                                                     options,       rules_options,    NULL};

struct bronze {
	struct task_loop *loop;
	struct output_context outputs;
	struct event_rules rules;
	struct bronze_fold_config fold;
	struct task_loop_input input;
	char fingerprint[TASK_FINGERPRINT_MAX];
	char rules_text[RULES_TEXT_MAX];
};

/* Another version may validate records in another way, so its commit is a part of the rules. */
static void rules_format(const struct event_rules *rules, char out[RULES_TEXT_MAX])
{
	char text[EVENT_RULES_TEXT_MAX];

	event_rules_format(rules, text);
	snprintf(out, RULES_TEXT_MAX, "version=%s,commit=%s,%s", program_version, program_commit,
	         text);
}

static bool bronze_open(void *settings, void **state, struct err *err)
{
	const struct bronze_config *config = settings;
	struct bronze *bronze = xrealloc(NULL, sizeof(*bronze));
	unsigned writes = 1u << TOPIC_BRONZE_EVENTS | 1u << TOPIC_DEAD_LETTER | 1u << TOPIC_COUNTS;

	*bronze = (struct bronze){
		.fold = {.dedup_horizon_us = config->dedup_horizon_us,
	                 .dedup_by_source = strcmp(config->dedup_key, "source") == 0}};
	*state = bronze;
	bronze->fold.outputs = &bronze->outputs;
	bronze->fold.rules = &bronze->rules;
	if (!event_rules_read(&config->rules, &bronze->rules, err))
		return false;
	snprintf(bronze->fingerprint, sizeof(bronze->fingerprint), "dedup=%s,horizon_us=%" PRId64,
	         config->dedup_key, config->dedup_horizon_us);
	rules_format(&bronze->rules, bronze->rules_text);
	bronze->input = (struct task_loop_input){.topic_suffix = "raw_events",
	                                         .kind = SCHEMA_RAW,
	                                         .ops = &bronze_fold_ops,
	                                         .fold_config = &bronze->fold,
	                                         .fingerprint = bronze->fingerprint,
	                                         .rules = bronze->rules_text,
	                                         .main_output = TOPIC_BRONZE_EVENTS,
	                                         .rows = true};
	if (!task_loop_open(&bronze->loop, &config->service, &config->kafka, &config->loop,
	                    "bronze-sink", writes, &bronze->outputs, err) ||
	    !task_loop_partition_count(bronze->loop, "raw_events", &bronze->fold.partition_count,
	                               err))
		return false;
	if (bronze->fold.partition_count != bronze->outputs.partition_count[TOPIC_BRONZE_EVENTS])
		return err_set(
			err, ERR_OPERATOR,
			"raw_events has %" PRId32 " partitions and bronze_events has %" PRId32
			": expected the same number, which never changes; process into a fresh set "
			"(another TOPIC_PREFIX)",
			bronze->fold.partition_count,
			bronze->outputs.partition_count[TOPIC_BRONZE_EVENTS]);
	return task_loop_start(bronze->loop, &bronze->input, 1, err);
}

static enum step bronze_step(void *state, bool stopping, struct err *err)
{
	struct bronze *bronze = state;

	return task_loop_step(bronze->loop, stopping, err);
}

static void bronze_close(void *state)
{
	struct bronze *bronze = state;

	if (bronze)
		task_loop_close(bronze->loop);
	free(bronze);
}

static const struct service bronze_sink = {
	.name = "bronze-sink",
	.summary =
		"validates, standardises and de-duplicates raw events; everything else goes to the "
		"dead letters with its reason",
	.tables = tables,
	.config_size = sizeof(struct bronze_config),
	.open = bronze_open,
	.step = bronze_step,
	.close = bronze_close,
};

int main(int argc, char **argv)
{
	return service_main(&bronze_sink, argc, argv);
}
