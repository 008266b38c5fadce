/* topics create|delete|reset|list|lag|plan|positions: creates and removes the topics of one set
 * (one TOPIC_PREFIX), as listed in wire/topics.h.
 *
 * create   creates the missing topics; safe to repeat. The partition counts of a set are fixed,
 *          because bronze_events mirrors raw_events partition for partition, and committed offsets
 *          belong to partitions. If the counts do not fit each other or PARTITIONS, the command
 *          refuses (exit 78).
 * delete   removes the topics and the committed offsets of our consumer groups, which would
 *          otherwise point into a log that no longer exists. Groups first: the broker refuses to
 *          delete a group that still has a member, and then no topic has been deleted.
 * reset    delete, wait until the topics are gone from all brokers, create.
 * lag      shows what each consumer group has not read yet (topics_lag.c).
 * plan     prints what `create` would make of nothing, for those who create topics by other means.
 *          It asks no broker.
 * positions  prints settings, bounds and committed offsets for programs (topics_positions.c).
 *
 * Limits: the settings of existing topics are not changed. Reads the topic list of the complete
 * cluster, because a request for a topic by name may create it on some brokers. */
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
#include "kafka/kafka_refusal.h"
#include "service/config.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/service.h"
#include "service/stop.h"
#include "topics_lag.h"
#include "topics_positions.h"
#include "wire/topics.h"

enum {
	CALL_MS = 30000,    /* one request to the brokers */
	VISIBLE_MS = 30000, /* until all brokers show a change */
	LOADED_MS = 120000, /* until a broker that has just started has loaded its groups */
	/* A killed member leaves its group when its session ends, after 45 s by default. */
	GROUP_EMPTY_MS = 60000,
	PARTITIONS_MAX = 10000,
};

struct topics_config {
	struct service_config service;
	struct kafka_config kafka;
	const char *command;
	int64_t partitions;  /* 0: not set */
	int64_t replication; /* -1: the broker's default */
};

_Static_assert(TOPIC_DEFAULT_PARTITIONS == 4, "the help of PARTITIONS says 4");

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct topics_config, kafka);
static const struct config_option options[] = {
	{"TOPICS_COMMAND", CONFIG_CHOICE, offsetof(struct topics_config, command), NULL, 0, 0,
         "the command; can also be the first word, as in: topics create",
         "create|delete|reset|list|lag|plan|positions", NULL},
	{"PARTITIONS", CONFIG_INTEGER, offsetof(struct topics_config, partitions), "0", 0,
         PARTITIONS_MAX,
         "partitions of raw_events and of bronze_events; 0: those of the set, or 4 for a new set; "
         "the topics that funnel-aggregator writes have a quarter of them",
         NULL, NULL},
	{"REPLICATION_FACTOR", CONFIG_INTEGER, offsetof(struct topics_config, replication), "-1",
         -1, 100, "replicas of each partition; -1: the broker's default", NULL, NULL},
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

struct admin {
	const struct topics_config *config;
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
};

/* The topics of a set, as the brokers report them. */
struct set {
	int32_t partitions[TOPIC_COUNT]; /* 0: the topic does not exist */
	bool has_leaders[TOPIC_COUNT];   /* every partition has a leader */
};

static int64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

/* Waits before the next request. */
static void pause_ms(unsigned ms)
{
	health_alive();
	usleep(ms * 1000);
}

static bool deadline_passed(int64_t deadline_ms)
{
	return now_ms() > deadline_ms || service_stopping();
}

static rd_kafka_AdminOptions_t *new_options(struct admin *admin, rd_kafka_admin_op_t operation)
{
	rd_kafka_AdminOptions_t *call = rd_kafka_AdminOptions_new(admin->client, operation);
	char why[256];

	rd_kafka_AdminOptions_set_request_timeout(call, CALL_MS, why, sizeof(why));
	/* Only some calls wait on the broker; for the others this has no effect. */
	rd_kafka_AdminOptions_set_operation_timeout(call, CALL_MS, why, sizeof(why));
	return call;
}

/* Waits for the result of the request just made; the caller destroys it. NULL and err: the request
 * failed. */
static rd_kafka_event_t *await_result(struct admin *admin, const char *what, struct err *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, CALL_MS + 5000);

	if (event && !rd_kafka_event_error(event))
		return event;
	err_set(err, ERR_RETRY, "%s: %s", what,
	        event ? rd_kafka_event_error_string(event) : "no answer from the brokers");
	if (event)
		rd_kafka_event_destroy(event);
	return NULL;
}

/* ---- the topics that exist */

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
		set->has_leaders[id] = topic->err == RD_KAFKA_RESP_ERR_NO_ERROR;
		for (int i = 0; i < topic->partition_cnt; i++)
			set->has_leaders[id] =
				set->has_leaders[id] && topic->partitions[i].leader >= 0;
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
		               config->kafka.brokers, kafka_err_text(code));
	for (int i = 0; i < metadata->topic_cnt; i++)
		note_topic(set, config, &metadata->topics[i]);
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* Waits until all topics of the set exist and have leaders, or until all are gone. */
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
			done = done && (there ? set.partitions[id] > 0 && set.has_leaders[id]
			                      : set.partitions[id] == 0);
		if (done)
			return true;
		if (deadline_passed(deadline))
			return err_set(
				err, ERR_RETRY,
				there ? "some topics %s* do not exist or have no leader after "
					"%d s; run the same command again"
				      : "some topics %s* still exist after %d s; run the same "
					"command again",
				config->kafka.topic_prefix, VISIBLE_MS / 1000);
		pause_ms(50);
	}
}

/* ---- create */

static int32_t wanted_partitions(const struct topics_config *config)
{
	return config->partitions ? (int32_t)config->partitions : TOPIC_DEFAULT_PARTITIONS;
}

static bool full_name(const struct topics_config *config, enum topic_id id,
                      char name[TOPIC_NAME_MAX + 1], struct err *err)
{
	return topic_name(config->kafka.topic_prefix, id, name, TOPIC_NAME_MAX + 1) ||
	       err_set(err, ERR_FATAL,
	               "TOPIC_PREFIX is too long: topic names have at most %d bytes",
	               TOPIC_NAME_MAX);
}

/* like: the topic that has the number of the set. */
static bool topic_fits(const struct topics_config *config, enum topic_id id, int32_t count,
                       enum topic_id like, struct set_partitions *set, struct err *err)
{
	char name[TOPIC_NAME_MAX + 1], like_name[TOPIC_NAME_MAX + 1];
	struct err why;

	if (!full_name(config, id, name, err) || !full_name(config, like, like_name, err))
		return false;
	return topic_partitions_fit(id, name, count, like_name, set, &why) ||
	       err_set(err, why.class, "%s; or empty this set (topics reset)", why.message);
}

/* The partition counts that the set has or will have. Refuses topics that cannot be one set. */
static bool plan_partitions(const struct topics_config *config, const struct set *set,
                            struct set_partitions *partitions, struct err *err)
{
	int32_t raw = set->partitions[TOPIC_RAW_EVENTS],
		bronze = set->partitions[TOPIC_BRONZE_EVENTS];
	int32_t have = raw ? raw : bronze;

	if (raw && bronze && raw != bronze)
		return err_set(
			err, ERR_OPERATOR,
			"%sraw_events has %d partitions and %sbronze_events has %d: expected the "
			"same number, which never changes. Start a fresh set with another "
			"TOPIC_PREFIX, or empty this set (topics reset)",
			config->kafka.topic_prefix, (int)raw, config->kafka.topic_prefix,
			(int)bronze);
	if (have && config->partitions && have != config->partitions)
		return err_set(
			err, ERR_OPERATOR,
			"the topics %s* have %d partitions, and PARTITIONS is %d. The partition "
			"count of a set never changes, because keys would move to other "
			"partitions. Start a fresh set with another TOPIC_PREFIX, or empty this "
			"set (topics reset)",
			config->kafka.topic_prefix, (int)have, (int)config->partitions);
	*partitions = (struct set_partitions){.all = have ? have : wanted_partitions(config)};
	for (enum topic_id id = 0; id < TOPIC_COUNT; id++)
		if (set->partitions[id] &&
		    !topic_fits(config, id, set->partitions[id],
		                raw ? TOPIC_RAW_EVENTS : TOPIC_BRONZE_EVENTS, partitions, err))
			return false;
	return true;
}

static rd_kafka_NewTopic_t *new_topic(const struct topics_config *config, enum topic_id id,
                                      struct set_partitions partitions, struct err *err)
{
	char name[TOPIC_NAME_MAX + 1], why[256];
	const struct topic *topic = topic_of(id);
	rd_kafka_NewTopic_t *new;

	if (!full_name(config, id, name, err))
		return NULL;
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

static bool all_created(rd_kafka_event_t *event, struct err *err)
{
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
	                                            &count);

	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		/* Another client may create the same set: wait_visible and the check after it
		 * decide. */
		if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			return kafka_err_answer(err, code, "cannot create topic",
			                        rd_kafka_topic_result_name(results[i]),
			                        rd_kafka_topic_result_error_string(results[i]));
	}
	return true;
}

static bool create_missing(struct admin *admin, const struct topics_config *config,
                           const struct set *set, struct set_partitions partitions, struct err *err)
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
	call = new_options(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_CreateTopics(admin->client, missing, count, call, admin->queue);
	event = await_result(admin, "cannot create topics", err);
	ok = event && all_created(event, err);
	if (ok)
		printf("created %zu topics %s*; raw_events has %d partitions\n", count,
		       config->kafka.topic_prefix, (int)partitions.all);
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
	struct set_partitions partitions, after;

	return read_set(admin, config, &set, err) &&
	       plan_partitions(config, &set, &partitions, err) &&
	       create_missing(admin, config, &set, partitions, err) &&
	       wait_visible(admin, config, true, err) && read_set(admin, config, &set, err) &&
	       plan_partitions(config, &set, &after, err);
}

/* ---- delete */

struct group_round {
	size_t deleted;
	char busy[TOPIC_NAME_MAX + 1]; /* a group that still has members; "": none */
};

static bool note_result(const rd_kafka_group_result_t *result, struct group_round *round,
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
	       kafka_err_answer(err, code, "cannot delete consumer group", name,
	                        rd_kafka_error_string(error));
}

/* Deletes each group by its name. The list of groups is not enough: a broker (4.2.2) that has just
 * started leaves groups out of it without an error. For a name, it returns an error until the group
 * is loaded. */
static bool try_delete_groups(struct admin *admin, struct group_round *round, struct err *err)
{
	rd_kafka_DeleteGroup_t *wanted[TOPIC_GROUP_COUNT];
	rd_kafka_AdminOptions_t *call = new_options(admin, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
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
	event = await_result(admin, "cannot delete consumer groups", err);
	if (!event)
		return false;
	results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event),
	                                              &count);
	for (size_t i = 0; i < count; i++)
		ok = note_result(results[i], round, err) && ok;
	rd_kafka_event_destroy(event);
	return ok;
}

/* Deletes the groups. Waits for coordinators that load them and for members that leave. */
static bool delete_groups(struct admin *admin, struct err *err)
{
	int64_t began = now_ms();
	struct group_round round = {0};
	bool reported = false, ok;

	while (!(ok = try_delete_groups(admin, &round, err)) || round.busy[0]) {
		if (!ok && (err->class != ERR_RETRY || deadline_passed(began + LOADED_MS)))
			return false;
		if (ok && deadline_passed(began + GROUP_EMPTY_MS))
			return err_set(
				err, ERR_OPERATOR,
				"group %s still has members: stop the services first; no topic was "
				"deleted",
				round.busy);
		if (ok && !reported)
			log_warn("group_not_empty", log_str("group", round.busy),
			         log_str("detail",
			                 "waiting until its last member leaves, up to 60 s"));
		reported = reported || ok;
		pause_ms(ok ? 500 : 200);
	}
	if (round.deleted > 0)
		printf("deleted %zu consumer groups with their committed offsets\n", round.deleted);
	return true;
}

static bool all_deleted(rd_kafka_event_t *event, struct err *err)
{
	size_t count;
	const rd_kafka_topic_result_t **results =
		rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event),
	                                            &count);

	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		if (code && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			return kafka_err_answer(err, code, "cannot delete topic",
			                        rd_kafka_topic_result_name(results[i]),
			                        rd_kafka_topic_result_error_string(results[i]));
	}
	return true;
}

static bool delete_topics(struct admin *admin, const struct topics_config *config, struct err *err)
{
	rd_kafka_DeleteTopic_t *to_delete[TOPIC_COUNT];
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
			to_delete[count++] = rd_kafka_DeleteTopic_new(name);
	if (count == 0)
		return true;
	call = new_options(admin, RD_KAFKA_ADMIN_OP_DELETETOPICS);
	rd_kafka_DeleteTopics(admin->client, to_delete, count, call, admin->queue);
	rd_kafka_DeleteTopic_destroy_array(to_delete, count);
	rd_kafka_AdminOptions_destroy(call);
	event = await_result(admin, "cannot delete topics", err);
	ok = event && all_deleted(event, err);
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
			       set.has_leaders[id] ? "" : ", some without a leader");
		else
			printf("%s%-*s does not exist\n", config->kafka.topic_prefix, 18, suffix);
	}
	return true;
}

static bool lag(struct admin *admin, const struct topics_config *config, struct err *err)
{
	struct set set;

	return read_set(admin, config, &set, err) &&
	       topics_lag_print(admin->client, config->kafka.topic_prefix, set.partitions, CALL_MS,
	                        err);
}

static bool positions(struct admin *admin, const struct topics_config *config, struct err *err)
{
	struct set set;

	return read_set(admin, config, &set, err) &&
	       topics_positions_print(admin->client, config->kafka.topic_prefix, set.partitions,
	                              CALL_MS, err);
}

static bool is_plan(const struct topics_config *config)
{
	return strcmp(config->command, "plan") == 0;
}

/* One line for each topic of a new set: name, partitions, settings. */
static void plan(const struct topics_config *config)
{
	struct set_partitions partitions = set_partitions_new(wanted_partitions(config));

	for (int id = 0; id < TOPIC_COUNT; id++) {
		const struct topic *topic = topic_of((enum topic_id)id);

		printf("%s%s %d", config->kafka.topic_prefix, topic->suffix,
		       (int)topic_partitions((enum topic_id)id, partitions));
		for (size_t i = 0; i < TOPIC_SETTINGS_MAX && topic->settings[i].name; i++)
			printf(" %s=%s", topic->settings[i].name, topic->settings[i].value);
		printf("\n");
	}
}

static bool run(struct admin *admin, const struct topics_config *config, struct err *err)
{
	if (is_plan(config)) {
		plan(config);
		return true;
	}
	if (strcmp(config->command, "create") == 0)
		return create(admin, config, err);
	if (strcmp(config->command, "list") == 0)
		return list(admin, config, err);
	if (strcmp(config->command, "lag") == 0)
		return lag(admin, config, err);
	if (strcmp(config->command, "positions") == 0)
		return positions(admin, config, err);
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
		return err_set(err, ERR_INPUT,
		               "invalid value 0 for REPLICATION_FACTOR: expected -1 (the broker's "
		               "default) or at least 1");
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (!topic_name(config->kafka.topic_prefix, (enum topic_id)id, name, sizeof(name)))
			return err_set(
				err, ERR_INPUT,
				"TOPIC_PREFIX is too long: topic names have at most %d bytes",
				TOPIC_NAME_MAX);
	if (is_plan(config))
		return true;
	conf = kafka_conf_new(&config->kafka, KAFKA_ADMIN, "topics", NULL, err);
	admin->client = conf ? kafka_client_new(conf, KAFKA_ADMIN, err) : NULL;
	if (!admin->client)
		return false;
	admin->queue = rd_kafka_queue_new(admin->client);
	return !kafka_refused(admin->client, err);
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

/* Replaces the command and the short names of flags by the names of settings. */
static void expand_arguments(int argc, char **argv)
{
	static const char *const names[][2] = {{"--brokers", "--kafka-brokers"},
	                                       {"--properties", "--kafka-properties"},
	                                       {"--prefix", "--topic-prefix"},
	                                       {"-h", "--help"}};
	static char command[64], expanded[sizeof(names) / sizeof(*names)][32];

	if (argc > 1 && argv[1][0] != '-' &&
	    snprintf(command, sizeof(command), "--topics-command=%s", argv[1]) <
	            (int)sizeof(command))
		argv[1] = command;
	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
		snprintf(expanded[n], sizeof(expanded[n]), "%s", names[n][1]);
		for (int i = 1; i < argc; i++)
			if (strcmp(argv[i], names[n][0]) == 0)
				argv[i] = expanded[n];
	}
}

static const struct service topics_program = {
	.name = "topics",
	.summary =
		"creates (create), removes (delete, reset) or shows (list) the topics of one set, "
		"which have one TOPIC_PREFIX, what its consumer groups have not read yet (lag), or "
		"what create makes (plan)",
	.tables = tables,
	.config_size = sizeof(struct topics_config),
	.open = topics_open,
	.step = topics_step,
	.close = topics_close,
};

int main(int argc, char **argv)
{
	expand_arguments(argc, argv);
	return service_main(&topics_program, argc, argv);
}
