/* topics create|delete|reset|list: makes and removes the topics of one set (one TOPIC_PREFIX), by common/core/topics.h.
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
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "err.h"
#include "kafka.h"
#include "topics.h"

enum {
	CALL_MS = 30000,         /* one request to the brokers */
	VISIBLE_MS = 30000,      /* until a change is seen everywhere */
	GROUP_EMPTY_MS = 60000,  /* a killed member leaves its group when its session ends, 45 s by default */
	PARTITIONS_MAX = 10000,
	GROUPS_MAX = 64,
};

struct options {
	const char *command, *brokers, *properties, *prefix;
	int32_t partitions;  /* 0: not asked for */
	int32_t replication; /* -1: the broker's default */
};

struct admin {
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
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- options */

static void usage(FILE *out)
{
	fprintf(out, "usage: topics create|delete|reset|list [options]\n"
		     "  --brokers HOST:PORT,...    KAFKA_BROKERS, default 127.0.0.1:19092\n"
		     "  --properties NAME=VALUE,.. KAFKA_PROPERTIES, further librdkafka properties\n"
		     "  --prefix TEXT              TOPIC_PREFIX, default ecommerce_\n"
		     "  --partitions N             PARTITIONS, default: as the set has, else %d\n"
		     "  --replication-factor N     default -1: the broker's\n",
		TOPIC_DEFAULT_PARTITIONS);
}

static bool parse_number(const char *name, const char *text, long min, long max, int32_t *out, struct err *err)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return err_set(err, ERR_INPUT, "%s=%s is not a number from %ld to %ld", name, text, min, max);
	*out = (int32_t)value;
	return true;
}

static const char *from_env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static bool parse_flag(struct options *options, const char *flag, const char *value, struct err *err)
{
	if (strcmp(flag, "--brokers") == 0 || strcmp(flag, "--kafka-brokers") == 0)
		options->brokers = value;
	else if (strcmp(flag, "--properties") == 0 || strcmp(flag, "--kafka-properties") == 0)
		options->properties = value;
	else if (strcmp(flag, "--prefix") == 0 || strcmp(flag, "--topic-prefix") == 0)
		options->prefix = value;
	else if (strcmp(flag, "--partitions") == 0)
		return parse_number(flag, value, 1, PARTITIONS_MAX, &options->partitions, err);
	else if (strcmp(flag, "--replication-factor") == 0)
		return parse_number(flag, value, -1, 100, &options->replication, err) &&
		       (options->replication != 0 || err_set(err, ERR_INPUT, "%s=0 means no copy at all", flag));
	else
		return err_set(err, ERR_INPUT, "unknown option %s", flag);
	return true;
}

static bool parse_options(int argc, char **argv, struct options *options, struct err *err)
{
	const char *partitions = from_env("PARTITIONS", NULL);
	char name[TOPIC_NAME_MAX + 1];

	*options = (struct options){
		.command = "",
		.brokers = from_env("KAFKA_BROKERS", "127.0.0.1:19092"),
		.properties = from_env("KAFKA_PROPERTIES", ""),
		.prefix = from_env("TOPIC_PREFIX", "ecommerce_"),
		.replication = -1,
	};
	if (argc < 2)
		return err_set(err, ERR_INPUT, "say what to do: create, delete, reset or list");
	options->command = argv[1];
	if (partitions && !parse_number("PARTITIONS", partitions, 1, PARTITIONS_MAX, &options->partitions, err))
		return false;
	for (int i = 2; i < argc; i += 2) {
		if (i + 1 == argc)
			return err_set(err, ERR_INPUT, "%s needs a value", argv[i]);
		if (!parse_flag(options, argv[i], argv[i + 1], err))
			return false;
	}
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (!topic_name(options->prefix, (enum topic_id)id, name, sizeof(name)))
			return err_set(err, ERR_INPUT, "the prefix is too long: names of topics have at most %d bytes", TOPIC_NAME_MAX);
	return true;
}

/* ---- the connection */

static bool set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		return err_set(err, ERR_INPUT, "property %s: %s", name, why);
	return true;
}

static bool set_properties(rd_kafka_conf_t *conf, const char *properties, struct err *err)
{
	char *copy = strdup(properties), *rest = copy, *property;
	bool ok = copy != NULL || err_set(err, ERR_FATAL, "out of memory");

	while (ok && (property = strtok_r(rest, ",", &rest))) {
		char *value = strchr(property, '=');

		if (value) {
			*value++ = '\0';
			ok = set_property(conf, property, value, err);
		} else {
			ok = err_set(err, ERR_INPUT, "property %s has no value: write name=value,name=value", property);
		}
	}
	free(copy);
	return ok;
}

/* Every call returns its own error. Without a callback librdkafka logs a line at every attempt to
 * connect (2.15.1: 20 a second). */
static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
	(void)client;
	(void)code;
	(void)reason;
	(void)opaque;
}

static bool admin_open(struct admin *admin, const struct options *options, struct err *err)
{
	rd_kafka_conf_t *conf;
	char why[256];

	if (!kafka_library_check(rd_kafka_version(), err))
		return false;
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set_error_cb(conf, on_error);
	/* A producer: the kind of client that joins no group and holds nothing open. */
	if (!set_properties(conf, options->properties, err) || !set_property(conf, "bootstrap.servers", options->brokers, err) ||
	    !set_property(conf, "client.id", "topics", err)) {
		rd_kafka_conf_destroy(conf);
		return false;
	}
	admin->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!admin->client) {
		rd_kafka_conf_destroy(conf);
		return err_set(err, ERR_FATAL, "no Kafka client: %s", why);
	}
	admin->queue = rd_kafka_queue_new(admin->client);
	return true;
}

static void admin_close(struct admin *admin)
{
	if (admin->queue)
		rd_kafka_queue_destroy(admin->queue);
	if (admin->client)
		rd_kafka_destroy(admin->client);
}

static rd_kafka_AdminOptions_t *call_options(struct admin *admin, rd_kafka_admin_op_t call)
{
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->client, call);
	char why[256];

	rd_kafka_AdminOptions_set_request_timeout(options, CALL_MS, why, sizeof(why));
	/* Only some calls know a wait on the broker's side; the others refuse it, which changes nothing. */
	rd_kafka_AdminOptions_set_operation_timeout(options, CALL_MS, why, sizeof(why));
	return options;
}

/* The answer to the call just made; the caller destroys it. NULL and err where the call as a whole failed. */
static rd_kafka_event_t *answer(struct admin *admin, const char *what, struct err *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, CALL_MS + 5000);

	if (event && !rd_kafka_event_error(event))
		return event;
	err_set(err, ERR_RETRY, "%s: %s", what, event ? rd_kafka_event_error_string(event) : "no answer");
	if (event)
		rd_kafka_event_destroy(event);
	return NULL;
}

/* ---- what there is */

static void note_topic(struct set *set, const struct options *options, const rd_kafka_metadata_topic_t *topic)
{
	char name[TOPIC_NAME_MAX + 1];

	for (int id = 0; id < TOPIC_COUNT; id++) {
		if (!topic_name(options->prefix, (enum topic_id)id, name, sizeof(name)) || strcmp(name, topic->topic) != 0)
			continue;
		set->partitions[id] = topic->partition_cnt;
		set->led[id] = topic->err == RD_KAFKA_RESP_ERR_NO_ERROR;
		for (int i = 0; i < topic->partition_cnt; i++)
			set->led[id] = set->led[id] && topic->partitions[i].leader >= 0;
	}
}

static bool read_set(struct admin *admin, const struct options *options, struct set *set, struct err *err)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 1, NULL, &metadata, CALL_MS);

	*set = (struct set){0};
	if (code)
		return err_set(err, ERR_RETRY, "no answer from Kafka at %s: %s", options->brokers, rd_kafka_err2str(code));
	for (int i = 0; i < metadata->topic_cnt; i++)
		note_topic(set, options, &metadata->topics[i]);
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* Waits until all topics of the set are there and have leaders, or all are gone. */
static bool wait_visible(struct admin *admin, const struct options *options, bool there, struct err *err)
{
	int64_t deadline = now_ms() + VISIBLE_MS;
	struct set set;

	for (;;) {
		bool done = true;

		if (!read_set(admin, options, &set, err))
			return false;
		for (int id = 0; id < TOPIC_COUNT; id++)
			done = done && (there ? set.partitions[id] > 0 && set.led[id] : set.partitions[id] == 0);
		if (done)
			return true;
		if (now_ms() > deadline)
			return err_set(err, ERR_RETRY, "topics %s* are still not %s after %d s: try again", options->prefix,
				       there ? "there with a leader for every partition" : "gone", VISIBLE_MS / 1000);
		sleep_ms(50);
	}
}

/* ---- create */

/* How many partitions the set has or is to have; refuses what cannot be one set. */
static bool plan_partitions(const struct options *options, const struct set *set, int32_t *partitions, struct err *err)
{
	int32_t raw = set->partitions[TOPIC_RAW_EVENTS], bronze = set->partitions[TOPIC_BRONZE_EVENTS];
	int32_t have = raw ? raw : bronze;

	if (raw && bronze && raw != bronze)
		return err_set(err, ERR_REFUSE, "%sraw_events has %d partitions and %sbronze_events %d: bronze must mirror raw. The count of a set never "
			       "changes; start a fresh set with another TOPIC_PREFIX, or empty this one (topics reset)",
			       options->prefix, (int)raw, options->prefix, (int)bronze);
	if (have && options->partitions && have != options->partitions)
		return err_set(err, ERR_REFUSE, "the topics %s* have %d partitions, not %d. The count of a set never changes: keys would move to other "
			       "partitions; start a fresh set with another TOPIC_PREFIX, or empty this one (topics reset)",
			       options->prefix, (int)have, (int)options->partitions);
	*partitions = have ? have : options->partitions ? options->partitions : TOPIC_DEFAULT_PARTITIONS;
	for (int id = 0; id < TOPIC_COUNT; id++) {
		int32_t want = topic_partitions((enum topic_id)id, *partitions);

		if (set->partitions[id] && set->partitions[id] != want)
			return err_set(err, ERR_REFUSE, "%s%s has %d partitions and should have %d; start a fresh set with another TOPIC_PREFIX, or empty "
				       "this one (topics reset)",
				       options->prefix, topic_of((enum topic_id)id)->suffix, (int)set->partitions[id], (int)want);
	}
	return true;
}

static rd_kafka_NewTopic_t *new_topic(const struct options *options, enum topic_id id, int32_t partitions, struct err *err)
{
	char name[TOPIC_NAME_MAX + 1], why[256];
	const struct topic *topic = topic_of(id);
	rd_kafka_NewTopic_t *new;

	if (!topic_name(options->prefix, id, name, sizeof(name))) {
		err_set(err, ERR_FATAL, "the prefix is too long");
		return NULL;
	}
	new = rd_kafka_NewTopic_new(name, topic_partitions(id, partitions), options->replication, why, sizeof(why));
	if (!new) {
		err_set(err, ERR_FATAL, "%s: %s", name, why);
		return NULL;
	}
	for (size_t i = 0; i < TOPIC_SETTINGS_MAX && topic->settings[i].name; i++)
		rd_kafka_NewTopic_set_config(new, topic->settings[i].name, topic->settings[i].value);
	return new;
}

static bool created(rd_kafka_event_t *event, struct err *err)
{
	size_t count;
	const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);

	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		/* Somebody else may be creating the same set: wait_visible and the check after it judge the outcome. */
		if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			return err_set(err, ERR_RETRY, "creating %s: %s", rd_kafka_topic_result_name(results[i]), rd_kafka_topic_result_error_string(results[i]));
	}
	return true;
}

static bool create_missing(struct admin *admin, const struct options *options, const struct set *set, int32_t partitions, struct err *err)
{
	rd_kafka_NewTopic_t *missing[TOPIC_COUNT];
	rd_kafka_AdminOptions_t *call = NULL;
	rd_kafka_event_t *event = NULL;
	size_t count = 0;
	bool ok = true;

	for (int id = 0; ok && id < TOPIC_COUNT; id++) {
		if (set->partitions[id])
			continue;
		missing[count] = new_topic(options, (enum topic_id)id, partitions, err);
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
		printf("created %zu topics %s* with %d partitions\n", count, options->prefix, (int)partitions);
out:
	if (event)
		rd_kafka_event_destroy(event);
	if (call)
		rd_kafka_AdminOptions_destroy(call);
	rd_kafka_NewTopic_destroy_array(missing, count);
	return ok;
}

static bool create(struct admin *admin, const struct options *options, struct err *err)
{
	struct set set;
	int32_t partitions, after;

	return read_set(admin, options, &set, err) && plan_partitions(options, &set, &partitions, err) &&
	       create_missing(admin, options, &set, partitions, err) && wait_visible(admin, options, true, err) &&
	       read_set(admin, options, &set, err) && plan_partitions(options, &set, &after, err);
}

/* ---- delete */

struct groups {
	char *names[GROUPS_MAX];
	size_t count;
};

static void groups_free(struct groups *groups)
{
	while (groups->count > 0)
		free(groups->names[--groups->count]);
}

/* The set's consumer groups that the brokers know. */
static bool find_groups(struct admin *admin, const struct options *options, struct groups *groups, struct err *err)
{
	rd_kafka_AdminOptions_t *call = call_options(admin, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);
	const rd_kafka_ConsumerGroupListing_t **listings;
	const rd_kafka_error_t **errors;
	rd_kafka_event_t *event;
	size_t count, error_count;
	bool ok = true;

	*groups = (struct groups){0};
	rd_kafka_ListConsumerGroups(admin->client, call, admin->queue);
	rd_kafka_AdminOptions_destroy(call);
	event = answer(admin, "listing consumer groups", err);
	if (!event)
		return false;
	errors = rd_kafka_ListConsumerGroups_result_errors(rd_kafka_event_ListConsumerGroups_result(event), &error_count);
	if (error_count > 0)
		ok = err_set(err, ERR_RETRY, "listing consumer groups: %s", rd_kafka_error_string(errors[0]));
	listings = rd_kafka_ListConsumerGroups_result_valid(rd_kafka_event_ListConsumerGroups_result(event), &count);
	for (size_t i = 0; ok && i < count; i++) {
		const char *name = rd_kafka_ConsumerGroupListing_group_id(listings[i]);

		if (!topic_is_group_of_set(options->prefix, name))
			continue;
		ok = groups->count < GROUPS_MAX && (groups->names[groups->count] = strdup(name));
		if (ok)
			groups->count++;
		else
			err_set(err, ERR_FATAL, "more than %d consumer groups of one set", GROUPS_MAX);
	}
	rd_kafka_event_destroy(event);
	return ok;
}

/* A broker that has just started is still reading who is in which group. */
static bool find_groups_patiently(struct admin *admin, const struct options *options, struct groups *groups, struct err *err)
{
	int64_t deadline = now_ms() + VISIBLE_MS;

	while (!find_groups(admin, options, groups, err)) {
		groups_free(groups);
		if (err->class != ERR_RETRY || now_ms() > deadline)
			return false;
		sleep_ms(200);
	}
	return true;
}

/* One round over all groups: *busy is the first that still has members, or NULL. */
static bool try_delete_groups(struct admin *admin, struct groups *groups, const char **busy, struct err *err)
{
	rd_kafka_DeleteGroup_t *wanted[GROUPS_MAX];
	rd_kafka_AdminOptions_t *call = call_options(admin, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
	const rd_kafka_group_result_t **results;
	rd_kafka_event_t *event;
	size_t count;
	bool ok = true;

	*busy = NULL;
	for (size_t i = 0; i < groups->count; i++)
		wanted[i] = rd_kafka_DeleteGroup_new(groups->names[i]);
	rd_kafka_DeleteGroups(admin->client, wanted, groups->count, call, admin->queue);
	rd_kafka_DeleteGroup_destroy_array(wanted, groups->count);
	rd_kafka_AdminOptions_destroy(call);
	event = answer(admin, "deleting consumer groups", err);
	if (!event)
		return false;
	results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
	for (size_t i = 0; ok && i < count; i++) {
		const rd_kafka_error_t *error = rd_kafka_group_result_error(results[i]);
		rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;

		if (code == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP)
			for (size_t g = 0; g < groups->count; g++)
				*busy = strcmp(groups->names[g], rd_kafka_group_result_name(results[i])) == 0 ? groups->names[g] : *busy;
		else if (code && code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
			ok = err_set(err, ERR_RETRY, "deleting group %s: %s", rd_kafka_group_result_name(results[i]), rd_kafka_error_string(error));
	}
	rd_kafka_event_destroy(event);
	return ok;
}

static bool delete_groups(struct admin *admin, const struct options *options, struct err *err)
{
	int64_t deadline = now_ms() + GROUP_EMPTY_MS;
	struct groups groups;
	const char *busy = NULL;
	bool told = false, ok = find_groups_patiently(admin, options, &groups, err);

	while (ok && groups.count > 0) {
		ok = try_delete_groups(admin, &groups, &busy, err);
		if (!ok || !busy)
			break;
		if (now_ms() > deadline) {
			ok = err_set(err, ERR_REFUSE, "group %s still has members: stop the services first; nothing was deleted from the topics", busy);
			break;
		}
		if (!told)
			fprintf(stderr, "topics: waiting for the last member to leave %s (one that was killed takes up to 45 s)\n", busy);
		told = true;
		sleep_ms(500);
	}
	if (ok && groups.count > 0)
		printf("deleted the offsets of %zu consumer groups\n", groups.count);
	groups_free(&groups);
	return ok;
}

static bool deleted(rd_kafka_event_t *event, struct err *err)
{
	size_t count;
	const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);

	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		if (code && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			return err_set(err, ERR_RETRY, "deleting %s: %s", rd_kafka_topic_result_name(results[i]), rd_kafka_topic_result_error_string(results[i]));
	}
	return true;
}

static bool delete_topics(struct admin *admin, const struct options *options, struct err *err)
{
	rd_kafka_DeleteTopic_t *doomed[TOPIC_COUNT];
	rd_kafka_AdminOptions_t *call;
	rd_kafka_event_t *event;
	char name[TOPIC_NAME_MAX + 1];
	size_t count = 0;
	struct set set;
	bool ok;

	if (!read_set(admin, options, &set, err))
		return false;
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (set.partitions[id] && topic_name(options->prefix, (enum topic_id)id, name, sizeof(name)))
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
		printf("deleted %zu topics %s*\n", count, options->prefix);
	return ok && wait_visible(admin, options, false, err);
}

/* ---- the commands */

static bool list(struct admin *admin, const struct options *options, struct err *err)
{
	struct set set;

	if (!read_set(admin, options, &set, err))
		return false;
	for (int id = 0; id < TOPIC_COUNT; id++) {
		const char *suffix = topic_of((enum topic_id)id)->suffix;

		if (set.partitions[id])
			printf("%s%-*s %d partitions%s\n", options->prefix, 18, suffix, (int)set.partitions[id], set.led[id] ? "" : ", some without a leader");
		else
			printf("%s%-*s does not exist\n", options->prefix, 18, suffix);
	}
	return true;
}

static bool run(struct admin *admin, const struct options *options, struct err *err)
{
	if (strcmp(options->command, "create") == 0)
		return create(admin, options, err);
	if (strcmp(options->command, "list") == 0)
		return list(admin, options, err);
	if (!delete_groups(admin, options, err) || !delete_topics(admin, options, err))
		return false;
	return strcmp(options->command, "delete") == 0 || create(admin, options, err);
}

static int exit_code(const struct err *err)
{
	switch (err->class) {
	case ERR_NONE: return 0;
	case ERR_INPUT: return 64;
	case ERR_RETRY:
	case ERR_ABORT:
	case ERR_FENCED: return 75;
	case ERR_REFUSE: return 78;
	case ERR_FATAL: return 70;
	}
	return 70;
}

static bool known_command(const char *command)
{
	static const char *const commands[] = {"create", "delete", "reset", "list"};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(command, commands[i]) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct err err = {ERR_NONE, ""};
	struct options options;
	struct admin admin = {NULL, NULL};
	bool ok;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	ok = parse_options(argc, argv, &options, &err) &&
	     (known_command(options.command) || err_set(&err, ERR_INPUT, "unknown command %s", options.command));
	if (!ok)
		usage(stderr);
	ok = ok && admin_open(&admin, &options, &err) && run(&admin, &options, &err);
	admin_close(&admin);
	if (!ok)
		fprintf(stderr, "topics: %s\n", err.message);
	return ok ? 0 : exit_code(&err);
}
