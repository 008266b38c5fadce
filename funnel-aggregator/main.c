/* funnel-aggregator: folds bronze events into visits and live funnel aggregates. Both halves, the
 * session half and the merge half, run in one process. This file only declares; the folds do the
 * work. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/memory.h"
#include "event/window.h"
#include "merge_fold.h"
#include "service/config.h"
#include "service/service.h"
#include "session_fold.h"
#include "stages.h"
#include "task_loop/task_loop_state.h"
#include "wire/schemas.h"

struct aggregator_config {
	struct service_config service;
	struct kafka_config kafka;
	struct task_loop_config loop;
	const char *rollups, *stages, *abandoned_carts, *salt;
	int64_t disorder_us, grace_us;
};

static bool rollups_check(const char *text, struct err *err)
{
	struct rollup_list list;

	return rollups_parse(text, &list, err);
}

static bool stages_check(const char *text, struct err *err)
{
	struct stages stages;

	return stages_parse(text, &stages, err);
}

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct aggregator_config, kafka);
static const struct config_option registry_options[] =
	REGISTRY_OPTIONS(struct aggregator_config, loop.registry, REGISTRY_URL_DEFAULT,
                         REGISTRY_URL_HELP);
static const struct config_option loop_options[] =
	TASK_LOOP_OPTIONS(struct aggregator_config, loop);
static const struct config_option options[] = {
	{"ROLLUPS", CONFIG_TEXT, offsetof(struct aggregator_config, rollups),
         "1m:all 1m:category1 1h:category 1d:all 1d:category 1d:brand", 0, 0,
         "rollups as window:group, space-separated; a window is 1m, 5m/1m (size/slide) or "
         "1d+1h (size+step)",
         NULL, rollups_check},
	{"STAGES", CONFIG_TEXT, offsetof(struct aggregator_config, stages), "view,cart,purchase", 0,
         0, "ordered stages of the funnel, comma-separated, at least two", NULL, stages_check},
	{"DISORDER", CONFIG_DURATION, offsetof(struct aggregator_config, disorder_us), "5s", 0,
         INT64_C(86400000000), "the watermark is the clock minus this", NULL, NULL},
	{"GRACE", CONFIG_DURATION, offsetof(struct aggregator_config, grace_us), "10m", 0,
         INT64_C(604800000000), "how long a window takes events after its end", NULL, NULL},
	{"ABANDONED_CARTS", CONFIG_CHOICE, offsetof(struct aggregator_config, abandoned_carts),
         "off", 0, 0,
         "write closed visits with a cart and without a purchase to the topic of abandoned carts; "
         "pseudonymous needs PSEUDONYM_SALT",
         "off|pseudonymous|plain", NULL},
	{"PSEUDONYM_SALT", CONFIG_SECRET, offsetof(struct aggregator_config, salt), "", 0, 0,
         "salt of the pseudonyms in the topic of abandoned carts", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, registry_options, loop_options,
                                                     options, NULL};

struct aggregator {
	struct task_loop *loop;
	struct output_context outputs;
	struct session_fold_config session;
	struct merge_fold_config merge;
	struct task_loop_input inputs[2];
	char fingerprint[TASK_FINGERPRINT_MAX];
};

static enum abandoned_carts carts_of(const struct aggregator_config *config)
{
	if (strcmp(config->abandoned_carts, "off") == 0)
		return CARTS_OFF;
	return strcmp(config->abandoned_carts, "plain") == 0 ? CARTS_PLAIN : CARTS_PSEUDONYMOUS;
}

static bool aggregator_open(void *settings, void **state, struct err *err)
{
	const struct aggregator_config *config = settings;
	struct aggregator *a = xrealloc(NULL, sizeof(*a));
	unsigned writes = 1u << TOPIC_DEAD_LETTER | 1u << TOPIC_LATE_EVENTS | 1u << TOPIC_COUNTS |
	                  1u << TOPIC_SESSION_FUNNELS | 1u << TOPIC_FUNNEL_PARTIALS |
	                  1u << TOPIC_AGGREGATED_EVENTS;

	*a = (struct aggregator){.session = {.disorder_us = config->disorder_us,
	                                     .grace_us = config->grace_us,
	                                     .abandoned_carts = carts_of(config),
	                                     .salt = config->salt},
	                         .merge = {.grace_us = config->grace_us}};
	*state = a;
	if (a->session.abandoned_carts != CARTS_OFF)
		writes |= 1u << TOPIC_ABANDONED_CARTS;
	if (a->session.abandoned_carts == CARTS_PSEUDONYMOUS && *config->salt == '\0')
		return err_set(
			err, ERR_INPUT,
			"invalid value \"\" for PSEUDONYM_SALT: ABANDONED_CARTS=pseudonymous "
			"needs a salt; that of the reports is mart.secret in PostgreSQL");
	a->session.outputs = a->merge.outputs = &a->outputs;
	a->outputs.stages = config->stages;
	snprintf(a->fingerprint, sizeof(a->fingerprint),
	         "stages=%s,disorder_us=%" PRId64 ",grace_us=%" PRId64, config->stages,
	         config->disorder_us, config->grace_us);
	a->inputs[0] = (struct task_loop_input){
		"bronze_events", SCHEMA_BRONZE,           &session_fold_ops,
		&a->session,     a->fingerprint,          TOPIC_FUNNEL_PARTIALS,
		.rows = true,    .writer = "bronze-sink", .source_suffix = "raw_events"};
	a->inputs[1] =
		(struct task_loop_input){"funnel_partials", SCHEMA_PARTIAL, &merge_fold_ops,
	                                 &a->merge,         a->fingerprint, TOPIC_AGGREGATED_EVENTS,
	                                 .trim = true};
	if (!rollups_parse(config->rollups, &a->session.rollups, err) ||
	    !stages_parse(config->stages, &a->session.stages, err) ||
	    !task_loop_open(&a->loop, &config->service, &config->kafka, &config->loop,
	                    "funnel-aggregator", writes, &a->outputs, err) ||
	    !task_loop_partition_count(a->loop, "bronze_events", &a->merge.source_count, err))
		return false;
	if (a->merge.source_count > MERGE_SOURCES_MAX)
		return err_set(err, ERR_OPERATOR,
		               "bronze_events has %" PRId32 " partitions; at most %d are supported",
		               a->merge.source_count, MERGE_SOURCES_MAX);
	if (!merge_fold_fits(a->merge.source_count, &a->session.rollups, err))
		return false;
	return task_loop_start(a->loop, a->inputs, 2, err);
}

static enum step aggregator_step(void *state, bool stopping, struct err *err)
{
	struct aggregator *a = state;

	return task_loop_step(a->loop, stopping, err);
}

static void aggregator_close(void *state)
{
	struct aggregator *a = state;

	if (a)
		task_loop_close(a->loop);
	free(a);
}

static const struct service funnel_aggregator = {
	.name = "funnel-aggregator",
	.summary = "folds bronze events into visits and live funnel aggregates by window and group",
	.tables = tables,
	.config_size = sizeof(struct aggregator_config),
	.open = aggregator_open,
	.step = aggregator_step,
	.close = aggregator_close,
};

int main(int argc, char **argv)
{
	return service_main(&funnel_aggregator, argc, argv);
}
