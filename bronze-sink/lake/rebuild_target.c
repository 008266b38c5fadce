/* Before the first record, an empty transaction commits the position 0 of each partition. So a
 * process that is killed in its first transaction does not find topics with aborted records of
 * which it knows nothing.
 *
 * A client whose transaction was lost is not used again (task_loop_producer.c has the reason): the
 * process ends with 75, and the next one continues.
 *
 * Rejected: to keep LogAppendTime. The times of bronze records are in reports (announced_at), and
 * the time of a dead letter says when it was refused. Rejected: to count the records in the topic
 * to find the position. Aborted records and markers make that slow. */
#include "rebuild_target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_record.h"
#include "kafka/kafka_topic.h"
#include "kafka/send_offsets.h"
#include "kafka/txn_doubt.h"
#include "registry/registry.h"
#include "service/fault.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"

#define CALL_MS     30000
#define REGISTRY_MS 10000
#define POLL_MS     10
#define RETRY_MS    200
#define LEADER_US   INT64_C(30000000)
#define NAME        "lake-rebuild"

#define METADATA_MAX (TOPIC_NAME_MAX + 128)

struct rebuild_target {
	const struct rebuild_target_config *config;
	rd_kafka_t *client; /* queries; a consumer that joins no group */
	rd_kafka_t *producer;
	struct txn_doubt *doubt;
	char names[TOPIC_COUNT][TOPIC_NAME_MAX + 1];
	int32_t partitions[TOPIC_COUNT];
	int32_t schema_id[SCHEMA_COUNT];
	struct rebuild_progress *progress[TOPIC_COUNT]; /* per partition; NULL: not written */
	bool in_transaction, continues;
	bool broker_time; /* the broker has replaced the time of a record */
};

/* What the rebuild writes. */
static const enum topic_id written[] = {TOPIC_BRONZE_EVENTS, TOPIC_DEAD_LETTER, TOPIC_COUNTS};
#define WRITTEN_COUNT (sizeof(written) / sizeof(*written))

struct rebuild_target *rebuild_target_new(const struct rebuild_target_config *config)
{
	struct rebuild_target *target = xzalloc(1, sizeof(*target));

	target->config = config;
	return target;
}

static void producer_close(struct rebuild_target *target)
{
	if (target->producer)
		rd_kafka_destroy(target->producer);
	txn_doubt_free(target->doubt);
	target->producer = NULL;
	target->doubt = NULL;
}

void rebuild_target_free(struct rebuild_target *target)
{
	if (!target)
		return;
	if (target->producer && target->in_transaction)
		rd_kafka_error_destroy(rd_kafka_abort_transaction(target->producer, CALL_MS));
	producer_close(target);
	if (target->client) {
		rd_kafka_consumer_close(target->client);
		rd_kafka_destroy(target->client);
	}
	for (int topic = 0; topic < TOPIC_COUNT; topic++)
		free(target->progress[topic]);
	free(target);
}

int32_t rebuild_target_partitions(const struct rebuild_target *target, enum topic_id topic)
{
	return target->partitions[topic];
}

int32_t rebuild_target_schema_id(const struct rebuild_target *target, enum schema_kind kind)
{
	return target->schema_id[kind];
}

bool rebuild_target_continues(const struct rebuild_target *target)
{
	return target->continues;
}

struct rebuild_progress rebuild_target_progress(const struct rebuild_target *target,
                                                enum topic_id topic, int32_t partition)
{
	return target->progress[topic][partition];
}

/* ---- the producer */

/* A broker that has not seen the new setting of the topic yet stores its own time. */
static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	struct rebuild_target *target = opaque;
	rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;

	(void)client;
	rd_kafka_message_timestamp(message, &type);
	target->broker_time |= !message->err && type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
}

static bool producer_open(struct rebuild_target *target, struct err *err)
{
	char id[TOPIC_NAME_MAX + sizeof(NAME)];
	const char *const extra[] = {"transactional.id", id, "transaction.timeout.ms", "60000",
	                             NULL};
	rd_kafka_error_t *error;
	rd_kafka_conf_t *conf;

	snprintf(id, sizeof(id), "%s" NAME, target->config->kafka->topic_prefix);
	conf = kafka_conf_new(target->config->kafka, KAFKA_PRODUCER_TRANSACTIONAL, NAME, extra,
	                      err);
	if (!conf)
		return false;
	rd_kafka_conf_set_opaque(conf, target);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	target->doubt = txn_doubt_new();
	target->producer = txn_doubt_client_new(target->doubt, conf, err);
	if (!target->producer)
		return false;
	error = rd_kafka_init_transactions(target->producer, 2 * CALL_MS);
	return !error || kafka_err_take(err, error, "init transactions");
}

static bool begin(struct rebuild_target *target, struct err *err)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(target->producer);

	if (error)
		return kafka_err_take(err, error, "begin transaction");
	target->in_transaction = true;
	return true;
}

bool rebuild_target_add(struct rebuild_target *target, enum topic_id topic, int64_t time_ms,
                        const struct output *record, struct err *err)
{
	rd_kafka_headers_t *headers;
	rd_kafka_resp_err_t code;

	if (!target->in_transaction && !begin(target, err))
		return false;
	headers = record->header_count ? kafka_headers_new(record) : rd_kafka_headers_new(0);
	for (;;) {
		code = rd_kafka_producev(target->producer, RD_KAFKA_V_TOPIC(target->names[topic]),
		                         RD_KAFKA_V_PARTITION(record->partition),
		                         RD_KAFKA_V_TIMESTAMP(time_ms),
		                         RD_KAFKA_V_KEY(record->key.at, record->key.len),
		                         RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.at,
		                                          record->value.len),
		                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		                         RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		rd_kafka_poll(target->producer, POLL_MS);
	}
	if (!code)
		return true;
	rd_kafka_headers_destroy(headers);
	return err_set(err, code == RD_KAFKA_RESP_ERR__STATE ? ERR_ABORT : kafka_err_class(code),
	               "produce to %s: %s", target->names[topic], kafka_err_text(code));
}

/* Repeats one transactional call until it succeeds or cannot succeed. */
static bool repeat_call(const struct rebuild_target *target,
                        rd_kafka_error_t *(*call)(rd_kafka_t *, int), const char *what,
                        struct err *err)
{
	rd_kafka_error_t *error;

	while ((error = call(target->producer, CALL_MS))) {
		health_alive();
		txn_doubt_raise(target->doubt);
		if (kafka_err_take(err, error, what) || err->class != ERR_RETRY ||
		    service_stopping())
			return false;
		log_warn("retrying", log_str("phase", what), log_str("error", err->message));
	}
	return true;
}

/* "1,<events>,<last offset>,<its time> <source prefix>" */
static int metadata_format(const struct rebuild_target *target,
                           const struct rebuild_progress *progress, char out[METADATA_MAX])
{
	return snprintf(out, METADATA_MAX, "1,%" PRId64 ",%" PRId64 ",%" PRId64 " %s",
	                progress->events, progress->last_offset, progress->last_time_ms,
	                target->config->source_prefix);
}

static void add_position(const struct rebuild_target *target, rd_kafka_topic_partition_list_t *list,
                         enum topic_id topic, int32_t partition, struct rebuild_progress progress)
{
	rd_kafka_topic_partition_t *at =
		rd_kafka_topic_partition_list_add(list, target->names[topic], partition);

	at->offset = progress.next;
	at->metadata = xzalloc(1, METADATA_MAX);
	at->metadata_size = (size_t)metadata_format(target, &progress, at->metadata);
}

static void group_of(const struct rebuild_target *target, char *out, size_t cap)
{
	snprintf(out, cap, "%s" NAME, target->config->kafka->topic_prefix);
}

/* Takes the list. */
static bool commit_positions(struct rebuild_target *target, rd_kafka_topic_partition_list_t *list,
                             struct err *err)
{
	char group[TOPIC_NAME_MAX + sizeof(NAME)];

	group_of(target, group, sizeof(group));
	FAULT_POINT("before_send_offsets");
	if (!send_offsets_within(target->producer, list,
	                         rd_kafka_consumer_group_metadata_new(group), CALL_MS, err))
		return false;
	FAULT_POINT("before_commit");
	if (!repeat_call(target, rd_kafka_commit_transaction, "commit transaction", err))
		return false;
	FAULT_POINT("after_commit");
	target->in_transaction = false;
	if (!txn_doubt_replaces(target->doubt))
		return true;
	producer_close(target);
	return producer_open(target, err);
}

/* The delivery reports say whether the broker has kept the times. */
static bool times_kept(struct rebuild_target *target, struct err *err)
{
	while (rd_kafka_flush(target->producer, CALL_MS) && !service_stopping())
		health_alive();
	return !target->broker_time ||
	       err_set(err, ERR_RETRY,
	               "a broker has not applied message.timestamp.type=CreateTime of %s yet; run "
	               "the same command again",
	               target->names[TOPIC_BRONZE_EVENTS]);
}

bool rebuild_target_commit(struct rebuild_target *target, enum topic_id topic, int32_t partition,
                           struct rebuild_progress progress, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;

	if (!target->in_transaction && !begin(target, err))
		return false;
	if (!times_kept(target, err))
		return false;
	list = rd_kafka_topic_partition_list_new(1);
	add_position(target, list, topic, partition, progress);
	if (!commit_positions(target, list, err))
		return false;
	target->progress[topic][partition] = progress;
	return true;
}

/* ---- topics */

static bool name_topics(struct rebuild_target *target, struct err *err)
{
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (!topic_name(target->config->kafka->topic_prefix, (enum topic_id)id,
		                target->names[id], sizeof(target->names[id])))
			return err_set(
				err, ERR_INPUT,
				"TOPIC_PREFIX is too long: topic names have at most %d bytes",
				TOPIC_NAME_MAX);
	return true;
}

static bool register_schemas(struct rebuild_target *target, struct err *err)
{
	static const enum schema_kind kinds[] = {SCHEMA_BRONZE, SCHEMA_COUNTS};
	struct registry *registry = registry_new(target->config->registry, REGISTRY_MS, err);
	bool ok = registry != NULL;

	for (size_t i = 0; ok && i < sizeof(kinds) / sizeof(*kinds); i++)
		ok = registry_register(registry, target->config->kafka->topic_prefix, kinds[i],
		                       &target->schema_id[kinds[i]], err);
	registry_free(registry);
	return ok;
}

static bool client_open(struct rebuild_target *target, struct err *err)
{
	char group[TOPIC_NAME_MAX + sizeof(NAME)];
	const char *const extra[] = {"group.id", group, NULL};
	rd_kafka_conf_t *conf;

	group_of(target, group, sizeof(group));
	conf = kafka_conf_new(target->config->kafka, KAFKA_CONSUMER, NAME, extra, err);
	target->client = conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
	return target->client != NULL;
}

/* The topics that must be empty. The others have nothing that follows from bronze. */
static bool belongs(enum topic_id id)
{
	return id != TOPIC_PRODUCER_STATE && id != TOPIC_ALERTS;
}

static bool count_partitions(struct rebuild_target *target, struct err *err)
{
	int32_t *count = target->partitions;
	struct set_partitions set = {0};

	for (int id = 0; id < TOPIC_COUNT; id++)
		if (belongs((enum topic_id)id) &&
		    !kafka_partition_count(target->client, target->names[id], CALL_MS, &count[id],
		                           err))
			return err->class == ERR_OPERATOR
			               ? err_prefix(err, "create the topics first (topics create)")
			               : false;
	set.all = count[TOPIC_BRONZE_EVENTS];
	for (int id = 0; id < TOPIC_COUNT; id++)
		if (belongs((enum topic_id)id) &&
		    !topic_partitions_fit((enum topic_id)id, target->names[id], count[id],
		                          target->names[TOPIC_BRONZE_EVENTS], &set, err))
			return false;
	return set.all >= target->config->partitions ||
	       err_set(err, ERR_OPERATOR,
	               "%s has %" PRId32
	               " partitions, but the lake has records of partition %" PRId32
	               ": a set keeps its number of partitions; create the topics with that of the "
	               "lake (topics reset --partitions N empties them)",
	               target->names[TOPIC_BRONZE_EVENTS], set.all, target->config->partitions - 1);
}

/* A topic that was just created may not have leaders yet. */
static bool offset_range(struct rebuild_target *target, const char *topic, int32_t partition,
                         int64_t *low, int64_t *high, struct err *err)
{
	int64_t deadline_us = monotonic_us() + LEADER_US;

	while (!kafka_offset_range(target->client, topic, partition, CALL_MS, low, high, err)) {
		if (err->class != ERR_RETRY || service_stopping() || monotonic_us() > deadline_us)
			return false;
		health_alive();
		rd_kafka_poll(target->producer, RETRY_MS);
	}
	return true;
}

static bool is_empty(struct rebuild_target *target, enum topic_id id, bool *empty, struct err *err)
{
	int64_t low, high;

	*empty = true;
	for (int32_t p = 0; p < target->partitions[id] && *empty; p++) {
		if (!offset_range(target, target->names[id], p, &low, &high, err))
			return false;
		*empty = low == high;
	}
	return true;
}

static bool check_empty(struct rebuild_target *target, struct err *err)
{
	bool empty;

	for (int id = 0; id < TOPIC_COUNT; id++) {
		if (!belongs((enum topic_id)id) || (target->continues && id != TOPIC_RAW_EVENTS))
			continue;
		if (!is_empty(target, (enum topic_id)id, &empty, err))
			return false;
		if (!empty && target->continues)
			return err_set(
				err, ERR_OPERATOR,
				"%s is not empty any more: a producer has written to this set, so "
				"the rebuild cannot continue; empty the set (topics reset), and "
				"run the same command again",
				target->names[id]);
		if (!empty)
			return err_set(
				err, ERR_OPERATOR,
				"%s is not empty: a rebuild needs a set of empty topics; empty "
				"this set (topics reset), or choose another TOPIC_PREFIX, and "
				"SOURCE_PREFIX=%s for the topics in the lake",
				target->names[id], target->config->source_prefix);
	}
	return true;
}

/* ---- settings of topics */

static bool await_altered(rd_kafka_queue_t *queue, struct err *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, CALL_MS + 5000);
	const rd_kafka_IncrementalAlterConfigs_result_t *result;
	const rd_kafka_ConfigResource_t **resources;
	bool ok = event && !rd_kafka_event_error(event);
	size_t count = 0;

	if (!ok)
		err_set(err, ERR_RETRY, "cannot change the settings of topics: %s",
		        event ? rd_kafka_event_error_string(event) : "no answer from the brokers");
	result = ok ? rd_kafka_event_IncrementalAlterConfigs_result(event) : NULL;
	resources =
		result ? rd_kafka_IncrementalAlterConfigs_result_resources(result, &count) : NULL;
	for (size_t i = 0; ok && i < count; i++) {
		rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[i]);

		ok = !code || kafka_err_answer(err, code, "cannot change the settings of topic",
		                               rd_kafka_ConfigResource_name(resources[i]),
		                               rd_kafka_ConfigResource_error_string(resources[i]));
	}
	if (event)
		rd_kafka_event_destroy(event);
	return ok;
}

static bool alter(struct rebuild_target *target, enum topic_id topic, const char *name,
                  const char *value, struct err *err)
{
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, target->names[topic]);
	rd_kafka_AdminOptions_t *call =
		rd_kafka_AdminOptions_new(target->client,
	                                  RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(target->client);
	char why[256];
	bool ok;

	rd_kafka_AdminOptions_set_request_timeout(call, CALL_MS, why, sizeof(why));
	rd_kafka_error_destroy(rd_kafka_ConfigResource_add_incremental_config(
		resource, name, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, value));
	rd_kafka_IncrementalAlterConfigs(target->client, &resource, 1, call, queue);
	ok = await_altered(queue, err);
	if (ok)
		log_info("topic_setting_changed", log_str("topic", target->names[topic]),
		         log_str("setting", name), log_str("value", value));
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(call);
	rd_kafka_ConfigResource_destroy(resource);
	return ok;
}

static bool prepare_topics(struct rebuild_target *target, struct err *err)
{
	return alter(target, TOPIC_BRONZE_EVENTS, "retention.ms", "-1", err) &&
	       alter(target, TOPIC_DEAD_LETTER, "retention.ms", "-1", err) &&
	       alter(target, TOPIC_BRONZE_EVENTS, "message.timestamp.type", "CreateTime", err);
}

bool rebuild_target_finish(struct rebuild_target *target, struct err *err)
{
	return alter(target, TOPIC_BRONZE_EVENTS, "message.timestamp.type", "LogAppendTime", err);
}

/* ---- positions */

static bool take_position(struct rebuild_target *target, const rd_kafka_topic_partition_t *at,
                          struct rebuild_progress *progress, struct err *err)
{
	char text[METADATA_MAX] = ""; /* the library does not terminate it */
	const char *rest = text;
	int64_t numbers[4] = {0};

	if (at->metadata && at->metadata_size < sizeof(text))
		memcpy(text, at->metadata, at->metadata_size);

	if (!number_take_list(&rest, numbers, 4) || numbers[0] != 1 || *rest++ != ' ')
		return err_set(err, ERR_OPERATOR,
		               "the position of %s/%" PRId32
		               " was not written by this version of `lake rebuild`; empty the set "
		               "(topics reset), and run the same command again",
		               at->topic, at->partition);
	if (strcmp(rest, target->config->source_prefix) != 0)
		return err_set(
			err, ERR_OPERATOR,
			"%s/%" PRId32
			" has records of a rebuild from the topics %.200s*, and SOURCE_PREFIX is "
			"%s; empty the set (topics reset), and run the same command again",
			at->topic, at->partition, rest, target->config->source_prefix);
	*progress = (struct rebuild_progress){at->offset, numbers[1], numbers[2], numbers[3]};
	return true;
}

static rd_kafka_topic_partition_list_t *position_list(const struct rebuild_target *target)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

	for (size_t i = 0; i < WRITTEN_COUNT; i++)
		rd_kafka_topic_partition_list_add_range(list, target->names[written[i]], 0,
		                                        target->partitions[written[i]] - 1);
	return list;
}

static enum topic_id topic_by_name(const struct rebuild_target *target, const char *name)
{
	size_t i = 0;

	while (i + 1 < WRITTEN_COUNT && strcmp(target->names[written[i]], name) != 0)
		i++;
	return written[i];
}

static bool read_positions(struct rebuild_target *target, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = position_list(target);
	rd_kafka_resp_err_t code = rd_kafka_committed(target->client, list, CALL_MS);
	bool ok = true;

	for (int i = 0; i < list->cnt && !code; i++)
		code = list->elems[i].err;
	if (code)
		ok = err_set(err, kafka_err_missing_right(code) ? ERR_OPERATOR : ERR_RETRY,
		             "cannot read the positions of the rebuild: %s", kafka_err_text(code));
	for (int i = 0; i < list->cnt && ok; i++) {
		const rd_kafka_topic_partition_t *at = &list->elems[i];
		enum topic_id topic = topic_by_name(target, at->topic);

		if (at->offset < 0)
			continue;
		target->continues = true;
		ok = take_position(target, at, &target->progress[topic][at->partition], err);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

static const struct rebuild_progress no_progress = {0, 0, OFFSET_NONE, 0};

/* Commits the position 0 of each partition. */
static bool claim(struct rebuild_target *target, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;

	if (target->continues)
		return true;
	if (!begin(target, err))
		return false;
	list = rd_kafka_topic_partition_list_new(16);
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
		for (int32_t p = 0; p < target->partitions[written[i]]; p++)
			add_position(target, list, written[i], p, no_progress);
	return commit_positions(target, list, err);
}

static void make_room(struct rebuild_target *target)
{
	for (size_t i = 0; i < WRITTEN_COUNT; i++) {
		enum topic_id topic = written[i];

		target->progress[topic] = xzalloc((size_t)target->partitions[topic],
		                                  sizeof(*target->progress[topic]));
		for (int32_t p = 0; p < target->partitions[topic]; p++)
			target->progress[topic][p] = no_progress;
	}
}

bool rebuild_target_open(struct rebuild_target *target, struct err *err)
{
	if (!name_topics(target, err) || !client_open(target, err) ||
	    !count_partitions(target, err))
		return false;
	make_room(target);
	return producer_open(target, err) && read_positions(target, err) &&
	       check_empty(target, err) && register_schemas(target, err) &&
	       prepare_topics(target, err) && claim(target, err);
}
