/* topics create|delete|reset|list: makes and removes the topics of one set (one TOPIC_PREFIX), by common/wire/topics.h.
 *
 * create   makes what is missing and is safe to repeat. Partition counts are fixed for the life of a set, because bronze
 *          mirrors raw partition for partition and stored offsets belong to them: a set that disagrees with itself, or
 *          with a count asked for explicitly, is refused (exit 78).
 * delete   removes topics and the committed offsets of our consumer groups, which would otherwise point into a log that
 *          is gone. Groups first: the broker refuses while a service is still a member, and then nothing has happened.
 * reset    delete, wait until the brokers no longer know the topics, create.
 *
 * Limits: settings of topics that exist are left as they are. Reads the whole cluster's topic list, since asking for a
 * topic by name might create it on a broker that is so configured. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/memory.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_error.h"
#include "service/config.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/service.h"
#include "service/stop.h"
#include "wire/topics.h"

enum {
	CALL_MS = 30000,    /* one request to the brokers */
	VISIBLE_MS = 30000, /* until a change is seen everywhere */
	LOADED_MS = 30000,  /* until a broker that has just started has loaded its groups */
	GROUP_EMPTY_MS =
		60000, /* a killed member leaves its group when its session ends, 45 s by default */
	PARTITIONS_MAX = 10000,
};

struct topics_config {
	struct service_config service;
	struct kafka_config kafka;
	const char *command;
	int64_t partitions;  /* 0: not asked for */
	int64_t replication; /* -1: the broker's default */
};

_Static_assert(TOPIC_DEFAULT_PARTITIONS == 4, "the help of PARTITIONS says 4");

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct topics_config, kafka);
static const struct config_option options[] = {
	{"TOPICS_COMMAND", CONFIG_CHOICE, offsetof(struct topics_config, command), NULL, 0, 0,
         "the command; also as the first word, as in: topics create", "create|delete|reset|list",
         NULL},
	{"PARTITIONS", CONFIG_INTEGER, offsetof(struct topics_config, partitions), "0", 0,
         PARTITIONS_MAX,
         "partitions of raw_events and bronze_events; 0: as the set has, or 4 for a new set", NULL,
         NULL},
	{"REPLICATION_FACTOR", CONFIG_INTEGER, offsetof(struct topics_config, replication), "-1",
         -1, 100, "copies of each partition; -1: the broker's default", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

struct admin {
	const struct topics_config *config;
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
};

/* What the brokers know of a set. */
struct set {
	int32_t partitions[TOPIC_COUNT]; /* 0: no such topic */
	bool led[TOPIC_COUNT];           /* every partition has a leader */
};

static int64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

/* Between two looks at the brokers. */
static void pause_ms(unsigned ms)
{
	health_alive();
	usleep(ms * 1000);
}

static bool is_over(int64_t deadline_ms)
{
	return now_ms() > deadline_ms || service_stopping();
}

static rd_kafka_AdminOptions_t *call_options(struct admin *admin, rd_kafka_admin_op_t call)
{
	rd_kafka_AdminOptions_t *call_with = rd_kafka_AdminOptions_new(admin->client, call);
	char why[256];

	rd_kafka_AdminOptions_set_request_timeout(call_with, CALL_MS, why, sizeof(why));
	/* Only some calls know a wait on the broker's side; the others refuse it, which changes nothing. */
	rd_kafka_AdminOptions_set_operation_timeout(call_with, CALL_MS, why, sizeof(why));
	return call_with;
}

/* The answer to the call just made; the caller destroys it. NULL and err where the call as a whole failed. */
static rd_kafka_event_t *answer(struct admin *admin, const char *what, struct err *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, CALL_MS + 5000);

	if (event && !rd_kafka_event_error(event))
		return event;
	err_set(err, ERR_RETRY, "%s: %s", what,
	        event ? rd_kafka_event_error_string(event) : "no answer");
	if (event)
		rd_kafka_event_destroy(event);
	return NULL;
}

/* ---- what there is */

static void note_topic(struct set *set, const struct topics_config *config,
                       const rd_kafka_metadata_topic_t *topic)
{
	char name[TOPIC_NAME_MAX + 1];

	for (int id = 0; id < TOPIC_COUNT; id++) {
		if (!topic_name(config->kafka.topic_prefix, (enum topic_id)id, name,
		                sizeof(name)) ||
		    strcmp(name, topic->topic) != 0)
			continue;
		set->partitions[id] = topic->partition_cnt;
		set->led[id] = topic->err == RD_KAFKA_RESP_ERR_NO_ERROR;
		for (int i = 0; i < topic->partition_cnt; i++)
			set->led[id] = set->led[id] && topic->partitions[i].leader >= 0;
	}
}

static bool read_set(struct admin *admin, const struct topics_config *config, struct set *set,
                     struct err *err)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 1, NULL, &metadata, CALL_MS);

	*set = (struct set){0};
	if (code)
		return err_set(err, ERR_RETRY, "no answer from Kafka at %s: %s",
		               config->kafka.brokers, rd_kafka_err2str(code));
	for (int i = 0; i < metadata->topic_cnt; i++)
		note_topic(set, config, &metadata->topics[i]);
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* Waits until all topics of the set are there and have leaders, or all are gone. */
static bool wait_visible(struct admin *admin, const struct topics_config *config, bool there,
                         struct err *err)
{
	int64_t deadline = now_ms() + VISIBLE_MS;
	struct set set;

	for (;;) {
		bool done = true;

		if (!read_set(admin, config, &set, err))
			return false;
		for (int id = 0; id < TOPIC_COUNT; id++)
			done = done && (there ? set.partitions[id] > 0 && set.led[id]
			                      : set.partitions[id] == 0);
		if (done)
			return true;
		if (is_over(deadline))
			return err_set(err, ERR_RETRY,
			               "topics %s* are still not %s after %d s: try again",
			               config->kafka.topic_prefix,
			               there ? "there with a leader for every partition" : "gone",
			               VISIBLE_MS / 1000);
		pause_ms(50);
	}
}

/* ---- create */

/* How many partitions the set has or is to have; refuses what cannot be one set. */
static bool plan_partitions(const struct topics_config *config, const struct set *set,
                            int32_t *partitions, struct err *err)
{
	int32_t raw = set->partitions[TOPIC_RAW_EVENTS],
		bronze = set->partitions[TOPIC_BRONZE_EVENTS];
	int32_t have = raw ? raw : bronze;

	if (raw && bronze && raw != bronze)
		return err_set(
			err, ERR_OPERATOR,
			"%sraw_events has %d partitions and %sbronze_events %d: bronze must mirror raw. The count of a set never "
			"changes; start a fresh set with another TOPIC_PREFIX, or empty this one (topics reset)",
			config->kafka.topic_prefix, (int)raw, config->kafka.topic_prefix,
			(int)bronze);
	if (have && config->partitions && have != config->partitions)
		return err_set(
			err, ERR_OPERATOR,
			"the topics %s* have %d partitions, not %d. The count of a set never changes: keys would move to other "
			"partitions; start a fresh set with another TOPIC_PREFIX, or empty this one (topics reset)",
			config->kafka.topic_prefix, (int)have, (int)config->partitions);
	*partitions = have                 ? have
	              : config->partitions ? (int32_t)config->partitions
	                                   : TOPIC_DEFAULT_PARTITIONS;
	for (int id = 0; id < TOPIC_COUNT; id++) {
		int32_t want = topic_partitions((enum topic_id)id, *partitions);

		if (set->partitions[id] && set->partitions[id] != want)
			return err_set(
				err, ERR_OPERATOR,
				"%s%s has %d partitions and should have %d; start a fresh set with another TOPIC_PREFIX, or empty "
				"this one (topics reset)",
				config->kafka.topic_prefix, topic_of((enum topic_id)id)->suffix,
				(int)set->partitions[id], (int)want);
	}
	return true;
}

static rd_kafka_NewTopic_t *new_topic(const struct topics_config *config, enum topic_id id,
                                      int32_t partitions, struct err *err)
{
	char name[TOPIC_NAME_MAX + 1], why[256];
	const struct topic *topic = topic_of(id);
	rd_kafka_NewTopic_t *new;

	if (!topic_name(config->kafka.topic_prefix, id, name, sizeof(name))) {
		err_set(err, ERR_FATAL, "the prefix is too long");
		return NULL;
	}
	new = rd_kafka_NewTopic_new(name, topic_partitions(id, partitions),
	                            (int)config->replication, why, sizeof(why));
	if (!new) {
		err_set(err, ERR_FATAL, "%s: %s", name, why);
		return NULL;
	}
	for (size_t i = 0; i < TOPIC_SETTINGS_MAX && topic->settings[i].name; i++)
		rd_kafka_NewTopic_set_config(new, topic->settings[i].name,
		                             topic->settings[i].value);
	return new;
}

static bool created(rd_kafka_event_t *event, struct err *err)
{
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
	                                            &count);

	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		/* Somebody else may be creating the same set: wait_visible and the check after it judge the outcome. */
		if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			return err_set(err, ERR_RETRY, "creating %s: %s",
			               rd_kafka_topic_result_name(results[i]),
			               rd_kafka_topic_result_error_string(results[i]));
	}
	return true;
}

static bool create_missing(struct admin *admin, const struct topics_config *config,
                           const struct set *set, int32_t partitions, struct err *err)
{
	rd_kafka_NewTopic_t *missing[TOPIC_COUNT];
	rd_kafka_AdminOptions_t *call = NULL;
	rd_kafka_event_t *event = NULL;
	size_t count = 0;
	bool ok = true;

	for (int id = 0; ok && id < TOPIC_COUNT; id++) {
		if (set->partitions[id])
			continue;
		missing[count] = new_topic(config, (enum topic_id)id, partitions, err);
		ok = missing[count] != NULL;
		count += ok;
	}
	if (!ok || count == 0)
		goto out;
	call = call_options(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(admin->client, missing, count, call, admin->queue);
	event = answer(admin, "creating topics", err);
	ok = event && created(event, err);
	if (ok)
		printf("created %zu topics %s* with %d partitions\n", count,
		       config->kafka.topic_prefix, (int)partitions);
out:
	if (event)
		rd_kafka_event_destroy(event);
	if (call)
		rd_kafka_AdminOptions_destroy(call);
	rd_kafka_NewTopic_destroy_array(missing, count);
	return ok;
}

static bool create(struct admin *admin, const struct topics_config *config, struct err *err)
{
	struct set set;
	int32_t partitions, after;

	return read_set(admin, config, &set, err) &&
	       plan_partitions(config, &set, &partitions, err) &&
	       create_missing(admin, config, &set, partitions, err) &&
	       wait_visible(admin, config, true, err) && read_set(admin, config, &set, err) &&
	       plan_partitions(config, &set, &after, err);
}

/* ---- delete */

struct group_round {
	size_t deleted;
	char busy[TOPIC_NAME_MAX + 1]; /* a group that still has members; empty: none has */
};

static bool take_group(const rd_kafka_group_result_t *result, struct group_round *round,
                       struct err *err)
{
	const rd_kafka_error_t *error = rd_kafka_group_result_error(result);
	rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
	const char *name = rd_kafka_group_result_name(result);

	if (code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP) {
		snprintf(round->busy, sizeof(round->busy), "%s", name);
		return true;
	}
	round->deleted += code == RD_KAFKA_RESP_ERR_NO_ERROR;
	return !code || code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND ||
	       err_set(err, kafka_err_missing_right(code) ? ERR_OPERATOR : ERR_RETRY,
	               "deleting group %s: %s", name, rd_kafka_error_string(error));
}

/* Deletes each group by its name. The list of groups would not do: a broker that has just started
 * (4.2.2) leaves groups out of it without an error. For a name it returns an error until the group
 * is loaded. */
static bool try_delete_groups(struct admin *admin, struct group_round *round, struct err *err)
{
	rd_kafka_DeleteGroup_t *wanted[TOPIC_GROUP_COUNT];
	rd_kafka_AdminOptions_t *call = call_options(admin, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
	const rd_kafka_group_result_t **results;
	rd_kafka_event_t *event;
	char name[TOPIC_NAME_MAX + 1];
	size_t count;
	bool ok = true;

	round->busy[0] = '\0';
	for (size_t i = 0; i < TOPIC_GROUP_COUNT; i++) {
		topic_group(admin->config->kafka.topic_prefix, i, name, sizeof(name));
		wanted[i] = rd_kafka_DeleteGroup_new(name);
	}
	rd_kafka_DeleteGroups(admin->client, wanted, TOPIC_GROUP_COUNT, call, admin->queue);
	rd_kafka_DeleteGroup_destroy_array(wanted, TOPIC_GROUP_COUNT);
	rd_kafka_AdminOptions_destroy(call);
	event = answer(admin, "deleting consumer groups", err);
	if (!event)
		return false;
	results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event),
	                                              &count);
	for (size_t i = 0; i < count; i++)
		ok = take_group(results[i], round, err) && ok;
	rd_kafka_event_destroy(event);
	return ok;
}

/* Waits for coordinators that load, and for members that leave. */
static bool delete_groups(struct admin *admin, struct err *err)
{
	int64_t began = now_ms();
	struct group_round round = {0};
	bool reported = false, ok;

	while (!(ok = try_delete_groups(admin, &round, err)) || round.busy[0]) {
		if (!ok && (err->class != ERR_RETRY || is_over(began + LOADED_MS)))
			return false;
		if (ok && is_over(began + GROUP_EMPTY_MS))
			return err_set(
				err, ERR_OPERATOR,
				"group %s still has members: stop the services first; nothing was "
				"deleted from the topics",
				round.busy);
		if (ok && !reported)
			log_warn("group_not_empty", log_str("group", round.busy),
			         log_str("detail",
			                 "waiting until its last member leaves; up to 45 s"));
		reported = reported || ok;
		pause_ms(ok ? 500 : 200);
	}
	if (round.deleted > 0)
		printf("deleted the offsets of %zu consumer groups\n", round.deleted);
	return true;
}

static bool deleted(rd_kafka_event_t *event, struct err *err)
{
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event),
	                                            &count);

	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		if (code && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			return err_set(err, ERR_RETRY, "deleting %s: %s",
			               rd_kafka_topic_result_name(results[i]),
			               rd_kafka_topic_result_error_string(results[i]));
	}
	return true;
}

static bool delete_topics(struct admin *admin, const struct topics_config *config, struct err *err)
{
	rd_kafka_DeleteTopic_t *doomed[TOPIC_COUNT];
	rd_kafka_AdminOptions_t *call;
	rd_kafka_event_t *event;
	char name[TOPIC_NAME_MAX + 1];
	size_t count = 0;
	struct set set;
	bool ok;

	if (!read_set(admin, config, &set, err))
		return false;
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (set.partitions[id] &&
		    topic_name(config->kafka.topic_prefix, (enum topic_id)id, name, sizeof(name)))
			doomed[count++] = rd_kafka_DeleteTopic_new(name);
	if (count == 0)
		return true;
	call = call_options(admin, RD_KAFKA_ADMIN_OP_DELETETOPICS);
	rd_kafka_DeleteTopics(admin->client, doomed, count, call, admin->queue);
	rd_kafka_DeleteTopic_destroy_array(doomed, count);
	rd_kafka_AdminOptions_destroy(call);
	event = answer(admin, "deleting topics", err);
	ok = event && deleted(event, err);
	if (event)
		rd_kafka_event_destroy(event);
	if (ok)
		printf("deleted %zu topics %s*\n", count, config->kafka.topic_prefix);
	return ok && wait_visible(admin, config, false, err);
}

/* ---- the commands */

static bool list(struct admin *admin, const struct topics_config *config, struct err *err)
{
	struct set set;

	if (!read_set(admin, config, &set, err))
		return false;
	for (int id = 0; id < TOPIC_COUNT; id++) {
		const char *suffix = topic_of((enum topic_id)id)->suffix;

		if (set.partitions[id])
			printf("%s%-*s %d partitions%s\n", config->kafka.topic_prefix, 18, suffix,
			       (int)set.partitions[id],
			       set.led[id] ? "" : ", some without a leader");
		else
			printf("%s%-*s does not exist\n", config->kafka.topic_prefix, 18, suffix);
	}
	return true;
}

static bool run(struct admin *admin, const struct topics_config *config, struct err *err)
{
	if (strcmp(config->command, "create") == 0)
		return create(admin, config, err);
	if (strcmp(config->command, "list") == 0)
		return list(admin, config, err);
	if (!delete_groups(admin, err) || !delete_topics(admin, config, err))
		return false;
	return strcmp(config->command, "delete") == 0 || create(admin, config, err);
}

/* ---- the program */

static bool topics_open(void *settings, void **state, struct err *err)
{
	const struct topics_config *config = settings;
	struct admin *admin = xrealloc(NULL, sizeof(*admin));
	char name[TOPIC_NAME_MAX + 1];
	rd_kafka_conf_t *conf;

	*admin = (struct admin){.config = config};
	*state = admin;
	if (config->replication == 0)
		return err_set(
			err, ERR_INPUT,
			"REPLICATION_FACTOR=0 means no copy at all; expected -1 (the broker's default) or at least 1");
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (!topic_name(config->kafka.topic_prefix, (enum topic_id)id, name, sizeof(name)))
			return err_set(
				err, ERR_INPUT,
				"TOPIC_PREFIX is too long: names of topics have at most %d bytes",
				TOPIC_NAME_MAX);
	conf = kafka_conf_new(&config->kafka, KAFKA_ADMIN, "topics", NULL, err);
	admin->client = conf ? kafka_client_new(conf, KAFKA_ADMIN, err) : NULL;
	if (!admin->client)
		return false;
	admin->queue = rd_kafka_queue_new(admin->client);
	return true;
}

static enum step topics_step(void *state, bool stopping, struct err *err)
{
	struct admin *admin = state;

	if (stopping)
		return STEP_DONE;
	return run(admin, admin->config, err) ? STEP_DONE : STEP_FAILED;
}

static void topics_close(void *state)
{
	struct admin *admin = state;

	if (!admin)
		return;
	if (admin->queue)
		rd_kafka_queue_destroy(admin->queue);
	if (admin->client)
		rd_kafka_destroy(admin->client);
	free(admin);
}

/* The command as a setting, and the short names of flags, in place of what was written. */
static void spell_out(int argc, char **argv)
{
	static const char *const names[][2] = {{"--brokers", "--kafka-brokers"},
	                                       {"--properties", "--kafka-properties"},
	                                       {"--prefix", "--topic-prefix"},
	                                       {"-h", "--help"}};
	static char command[64], spelled[sizeof(names) / sizeof(*names)][32];

	if (argc > 1 && argv[1][0] != '-' &&
	    snprintf(command, sizeof(command), "--topics-command=%s", argv[1]) <
	            (int)sizeof(command))
		argv[1] = command;
	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
		snprintf(spelled[n], sizeof(spelled[n]), "%s", names[n][1]);
		for (int i = 1; i < argc; i++)
			if (strcmp(argv[i], names[n][0]) == 0)
				argv[i] = spelled[n];
	}
}

static const struct service topics_program = {
	.name = "topics",
	.summary =
		"makes (create), removes (delete, reset) or shows (list) the topics of one set: one TOPIC_PREFIX",
	.tables = tables,
	.config_size = sizeof(struct topics_config),
	.open = topics_open,
	.step = topics_step,
	.close = topics_close,
};

int main(int argc, char **argv)
{
	spell_out(argc, argv);
	return service_main(&topics_program, argc, argv);
}
