/* schemas --dry-run | --yes: shows which schema ids the records of a set refer to, and whether the
 * registry knows them. With --yes it registers the schemas again under the same ids, in a registry
 * that has lost them.
 *
 * Registries assign ids in sequence: neither Confluent's nor Apicurio lets a client choose an id in
 * its ordinary mode (Confluent's IMPORT mode does; Apicurio 2.6 ignores a requested id). So the
 * program registers the schemas in the order of their ids, with fillers between them, and each id
 * that the registry assigns must be the expected one. wire/schema_ids.h has the rules.
 *
 * Services and producers must not run at the same time, because each schema that they register
 * takes an id too. After kill -9, run the same command again; it continues where it stopped.
 *
 * Limits: reads all topics from beginning to end. Has only the schemas of its own version; to get
 * the ids of earlier versions back, restore a backup of the registry. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"
#include "event/reason.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/topic_reader.h"
#include "registry/frame_decoder.h"
#include "registry/registry.h"
#include "service/config.h"
#include "service/health.h"
#include "service/service.h"
#include "service/stop.h"
#include "stream/record.h"
#include "wire/schema_ids.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define READ_TIMEOUT_MS 120000
#define REGISTRY_MS     5000
#define LEAVE_OUT_MAX   64

struct schemas_config {
	struct service_config service;
	struct kafka_config kafka;
	struct registry_config registry;
	const char *leave_out;
	bool dry_run, yes;
	int64_t fillers_max;
};

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct schemas_config, kafka);
static const struct config_option registry_options[] =
	REGISTRY_OPTIONS(struct schemas_config, registry, REGISTRY_URL_DEFAULT, REGISTRY_URL_HELP);
static const struct config_option options[] = {
	{"DRY_RUN", CONFIG_BOOLEAN, offsetof(struct schemas_config, dry_run), "false", 0, 0,
         "print which schema ids the records have, and whether the registry knows them", NULL,
         NULL},
	{"YES", CONFIG_BOOLEAN, offsetof(struct schemas_config, yes), "false", 0, 0,
         "print the same, and register the missing schemas under the same ids", NULL, NULL},
	{"LEAVE_OUT", CONFIG_TEXT, offsetof(struct schemas_config, leave_out), "", 0, 0,
         "schema ids to leave out because they are not ours, comma-separated", NULL, NULL},
	{"MAX_FILLERS", CONFIG_INTEGER, offsetof(struct schemas_config, fillers_max), "10000", 0,
         10000000,
         "largest number of filler schemas to register, which use up the ids between ours", NULL,
         NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, registry_options, options,
                                                     NULL};

/* The topics whose values have a schema id, or may have one. */
static const struct {
	enum topic_id topic;
	enum schema_kind kind;
} framed[] = {
	{TOPIC_RAW_EVENTS, SCHEMA_RAW},
	{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE},
	{TOPIC_LATE_EVENTS, SCHEMA_LATE},
	{TOPIC_COUNTS, SCHEMA_COUNTS},
	{TOPIC_SESSION_FUNNELS, SCHEMA_VISIT},
	{TOPIC_FUNNEL_PARTIALS, SCHEMA_PARTIAL},
	{TOPIC_AGGREGATED_EVENTS, SCHEMA_AGGREGATE},
	{TOPIC_ABANDONED_CARTS, SCHEMA_CART},
	{TOPIC_ALERTS, SCHEMA_ALERT},
};
#define FRAMED_COUNT (sizeof(framed) / sizeof(framed[0]))

struct schemas {
	const struct schemas_config *config;
	rd_kafka_t *client;
	struct registry *registry;
	struct schema_uses uses;
	int64_t leave_out[LEAVE_OUT_MAX];
	size_t leave_out_count;
};

static bool parse_settings(struct schemas *schemas, struct err *err)
{
	const char *text = schemas->config->leave_out;

	if (schemas->config->dry_run == schemas->config->yes)
		return err_set(
			err, ERR_INPUT,
			"expected either --dry-run, to see which schema ids the records have, or "
			"--yes, to register the missing schemas");
	while (*text) {
		if (schemas->leave_out_count == LEAVE_OUT_MAX ||
		    !number_take(&text, &schemas->leave_out[schemas->leave_out_count++]) ||
		    (*text && *text++ != ','))
			return err_set(
				err, ERR_INPUT,
				"invalid value \"%s\" for LEAVE_OUT: expected at most %d ids, "
				"comma-separated",
				schemas->config->leave_out, LEAVE_OUT_MAX);
	}
	return true;
}

static bool schemas_open(void *settings, void **state, struct err *err)
{
	struct schemas *schemas = xrealloc(NULL, sizeof(*schemas));
	const char *const extra[] = {"group.id", "schemas", NULL};
	rd_kafka_conf_t *conf;

	*schemas = (struct schemas){.config = settings};
	*state = schemas;
	if (!parse_settings(schemas, err))
		return false;
	schemas->registry = registry_new(&schemas->config->registry, REGISTRY_MS, err);
	conf = schemas->registry ? kafka_conf_new(&schemas->config->kafka, KAFKA_CONSUMER,
	                                          "schemas", extra, err)
	                         : NULL;
	schemas->client = conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
	return schemas->client != NULL;
}

/* ---- the schema ids of the records */

struct scan {
	struct schema_uses *uses;
	enum schema_kind kind;
};

static bool take_value(void *context, const struct input_record *record, bool *enough,
                       struct err *err)
{
	const struct scan *scan = context;

	(void)enough;
	(void)err;
	schema_uses_add(scan->uses, scan->kind, record->partition, record->offset, record->value);
	return true;
}

static bool read_topic(struct schemas *schemas, size_t number, struct err *err)
{
	struct scan scan = {&schemas->uses, framed[number].kind};
	char topic[TOPIC_NAME_MAX + 1];
	struct topic_reading all = {.topic = topic,
	                            .silence_ms = READ_TIMEOUT_MS,
	                            .take = take_value,
	                            .context = &scan};

	if (!topic_name(schemas->config->kafka.topic_prefix, framed[number].topic, topic,
	                sizeof(topic)))
		return err_set(err, ERR_INPUT,
		               "TOPIC_PREFIX is too long: topic names have at most %d bytes",
		               TOPIC_NAME_MAX);
	return topic_read_all(&schemas->config->kafka, schemas->client, &all, err);
}

/* ---- the state of the ids in the registry */

static bool is_left_out(const struct schemas *schemas, int32_t id)
{
	for (size_t i = 0; i < schemas->leave_out_count; i++)
		if (schemas->leave_out[i] == id)
			return true;
	return false;
}

static enum schema_use_state state_of(const struct schemas *schemas, const struct schema_use *use,
                                      enum reason reason)
{
	if (reason == REASON_NONE || (!use->fits && reason == REASON_MALFORMED_AVRO))
		return SCHEMA_USE_KNOWN; /* its records were never valid under this schema */
	if (is_left_out(schemas, use->id))
		return SCHEMA_USE_LEFT_OUT;
	if (!use->fits)
		return SCHEMA_USE_STRAY;
	return reason == REASON_UNKNOWN_SCHEMA_ID ? SCHEMA_USE_MISSING : SCHEMA_USE_TAKEN;
}

/* Decoders cache what the registry returns, so each round uses new ones. */
static bool ask_registry(struct schemas *schemas, struct err *err)
{
	struct frame_decoder *decoders[SCHEMA_COUNT];
	bool ok = true;

	for (int kind = 0; kind < SCHEMA_COUNT; kind++)
		decoders[kind] =
			frame_decoder_new(schemas->registry, schemas->config->kafka.topic_prefix,
		                          (enum schema_kind)kind);
	for (size_t i = 0; ok && i < schemas->uses.count; i++) {
		struct schema_use *use = &schemas->uses.at[i];
		struct span body;
		enum reason reason = REASON_NONE;

		health_alive();
		ok = use->sample.len == 0 ||
		     frame_decode(decoders[use->kind],
		                  (struct span){use->sample.at, use->sample.len}, &body, &reason,
		                  NULL, 0, err);
		if (ok)
			use->state = state_of(schemas, use, reason);
	}
	for (int kind = 0; kind < SCHEMA_COUNT; kind++)
		frame_decoder_free(decoders[kind]);
	return ok;
}

static size_t count_state(const struct schema_uses *uses, enum schema_use_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < uses->count; i++)
		count += uses->at[i].state == state;
	return count;
}

static void print_uses(const struct schemas *schemas)
{
	static const char *const words[] = {
		[SCHEMA_USE_KNOWN] = "known",
		[SCHEMA_USE_MISSING] = "the registry does not know it",
		[SCHEMA_USE_TAKEN] = "belongs to another schema in the registry",
		[SCHEMA_USE_STRAY] =
			"not known, and no record is valid under this version's schema of the "
			"topic: left out",
		[SCHEMA_USE_LEFT_OUT] = "left out by LEAVE_OUT",
	};
	const struct schema_uses *uses = &schemas->uses;

	for (size_t i = 0; i < uses->count; i++)
		printf("id %-6" PRId32 " %s%-18s %8" PRId64 " records, the first at %" PRId32
		       ":%" PRId64 ": %s\n",
		       uses->at[i].id, schemas->config->kafka.topic_prefix,
		       schema_texts[uses->at[i].kind].topic_suffix, uses->at[i].records,
		       uses->at[i].first_partition, uses->at[i].first_offset,
		       words[uses->at[i].state]);
	if (uses->left_out)
		printf("%" PRId64
		       " records have further ids, which were not checked: more than %d ids\n",
		       uses->left_out, SCHEMA_USES_MAX);
}

/* ---- registering */

/* The highest id below the first missing one that the registry knows, even if no topic uses it. */
static bool find_last_assigned(struct schemas *schemas, int32_t *last, struct err *err)
{
	int32_t first_missing = 0;
	struct span text;
	bool is_json_schema;

	schema_uses_bounds(&schemas->uses, last, &first_missing);
	for (int32_t id = first_missing - 1; id > *last; id--) {
		health_alive();
		switch (registry_schema(schemas->registry, id, &text, &is_json_schema, err)) {
		case REGISTRY_FOUND: *last = id; break; /* this also ends the loop */
		case REGISTRY_UNKNOWN_ID: break;
		case REGISTRY_FAILED: return false;
		}
	}
	return true;
}

static bool check_registrable(struct schemas *schemas, int32_t *last, struct err *err)
{
	const struct schema_uses *uses = &schemas->uses;
	int32_t first_missing;

	/* Checks first without a request for each id in between: there may be millions. */
	schema_uses_bounds(uses, last, &first_missing);
	return schema_uses_can_be_registered(uses, *last, schemas->config->fillers_max, err) &&
	       find_last_assigned(schemas, last, err) &&
	       schema_uses_can_be_registered(uses, *last, schemas->config->fillers_max, err);
}

static bool check_id(int32_t expected, int32_t given, struct err *err)
{
	return given == expected ||
	       err_set(err, ERR_OPERATOR,
	               "the registry assigned id %" PRId32 ", expected %" PRId32
	               ": it was not empty, or another client registers schemas at the same time. "
	               "Stop services and producers, empty the registry, and run this again",
	               given, expected);
}

static bool register_filler(struct schemas *schemas, int32_t id, struct err *err)
{
	char suffix[64], text[160];
	struct schema_text filler = {suffix, "funnel.Filler", text, false};
	int32_t given;

	snprintf(suffix, sizeof(suffix), "filler_of_id_%" PRId32, id);
	snprintf(
		text, sizeof(text),
		"{\"type\":\"fixed\",\"name\":\"Filler\",\"namespace\":\"funnel\",\"size\":%" PRId32
		"}",
		id);
	return registry_register_text(schemas->registry, schemas->config->kafka.topic_prefix,
	                              &filler, &given, err) &&
	       registry_delete_subject(schemas->registry, schemas->config->kafka.topic_prefix,
	                               suffix, err) &&
	       check_id(id, given, err);
}

static bool register_use(struct schemas *schemas, size_t number, struct err *err)
{
	const struct schema_use *use = &schemas->uses.at[number];
	struct schema_text schema = schema_texts[use->kind];
	struct buffer text = {0};
	int32_t given;
	bool ok;

	schema_use_text(&schemas->uses, number, &text);
	schema.text = text.at;
	ok = registry_register_text(schemas->registry, schemas->config->kafka.topic_prefix, &schema,
	                            &given, err) &&
	     check_id(use->id, given, err) &&
	     registry_guard(schemas->registry, schemas->config->kafka.topic_prefix, use->kind, err);
	buffer_free(&text);
	return ok;
}

static bool register_missing(struct schemas *schemas, struct err *err)
{
	int32_t last;
	int fillers = 0;
	size_t registered = 0;

	if (!check_registrable(schemas, &last, err))
		return false;
	for (size_t i = 0; i < schemas->uses.count; i++) {
		const struct schema_use *use = &schemas->uses.at[i];

		if (use->state != SCHEMA_USE_MISSING)
			continue;
		for (; last < use->id - 1; fillers++) {
			if (service_stopping())
				return err_set(err, ERR_RETRY,
				               "stopped by a signal; run the same command again");
			health_alive();
			if (!register_filler(schemas, ++last, err))
				return false;
		}
		if (!register_use(schemas, i, err))
			return false;
		last = use->id;
		registered++;
	}
	printf("registered %zu schemas, and %d fillers for the ids between them\n", registered,
	       fillers);
	return true;
}

static bool all_known(const struct schemas *schemas, struct err *err)
{
	size_t unknown = count_state(&schemas->uses, SCHEMA_USE_MISSING) +
	                 count_state(&schemas->uses, SCHEMA_USE_TAKEN);

	return !unknown ||
	       err_set(err, ERR_OPERATOR,
	               "the registry does not have the schemas of %zu schema ids of our records%s",
	               unknown,
	               schemas->config->dry_run ? ": it has lost its data, or is another registry; "
	                                          "--yes registers the missing schemas"
	                                        : "");
}

static enum step schemas_step(void *state, bool stopping, struct err *err)
{
	struct schemas *schemas = state;

	if (stopping)
		return STEP_DONE;
	for (size_t i = 0; i < FRAMED_COUNT; i++)
		if (!read_topic(schemas, i, err))
			return STEP_FAILED;
	schema_uses_sort(&schemas->uses);
	if (!ask_registry(schemas, err))
		return STEP_FAILED;
	print_uses(schemas);
	if (schemas->config->yes &&
	    (!register_missing(schemas, err) || !ask_registry(schemas, err)))
		return STEP_FAILED;
	if (!all_known(schemas, err))
		return STEP_FAILED;
	printf("the registry has the schemas of all %zu schema ids of our records\n",
	       count_state(&schemas->uses, SCHEMA_USE_KNOWN));
	return STEP_DONE;
}

static void schemas_close(void *state)
{
	struct schemas *schemas = state;

	if (!schemas)
		return;
	if (schemas->client) {
		rd_kafka_consumer_close(schemas->client);
		rd_kafka_destroy(schemas->client);
	}
	registry_free(schemas->registry);
	schema_uses_free(&schemas->uses);
	free(schemas);
}

static const struct service schemas_program = {
	.name = "schemas",
	.summary = "shows which schema ids the records have, and registers the schemas again under "
		   "the same ids in a registry that has lost them",
	.tables = tables,
	.config_size = sizeof(struct schemas_config),
	.open = schemas_open,
	.step = schemas_step,
	.close = schemas_close,
};

int main(int argc, char **argv)
{
	return service_main(&schemas_program, argc, argv);
}
