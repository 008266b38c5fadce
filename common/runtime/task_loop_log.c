/* What topics hold, looked at when partitions come: by a reader of its own, which joins no group and lives for one look. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "group_offsets.h"
#include "log.h"
#include "table.h"
#include "task_loop_internal.h"

#define CALL_TIMEOUT_MS 10000
#define LOOK_DEADLINE_US (20 * INT64_C(1000000)) /* nobody polls meanwhile */
#define COUNTS_TAIL 20000                        /* offsets: a minute and more of commits of several instances */

/* A missing right is not waited for. */
static bool cannot_read(struct err *err, rd_kafka_resp_err_t code, const char *what, const char *topic, int32_t partition)
{
	return err_set(err, kafka_err_class(code) == ERR_REFUSE ? ERR_REFUSE : ERR_RETRY, "%s %s/%" PRId32 ": %s", what, topic, partition,
	               rd_kafka_err2str(code));
}

bool log_bounds(struct task_loop *loop, const char *topic, int32_t partition, int64_t *low, int64_t *high, struct err *err)
{
	rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(loop->consumer, topic, partition, low, high, CALL_TIMEOUT_MS);

	return code == RD_KAFKA_RESP_ERR_NO_ERROR || cannot_read(err, code, "offsets of", topic, partition);
}

static rd_kafka_t *look_client(struct task_loop *loop, const char *isolation, struct err *err)
{
	const char *const extra[] = {"group.id", "funnel-look", "isolation.level", isolation, NULL}; /* group.id must be there; nothing is joined or committed */
	rd_kafka_conf_t *conf = kafka_conf_new(&loop->kafka, KAFKA_CONSUMER, "look", extra, err);

	return conf ? kafka_client_new(conf, KAFKA_CONSUMER, err) : NULL;
}

/* One look: every committed record is shown to `take` until that has seen enough (false), or all partitions have ended. */
struct look {
	const char *topic;
	int32_t partition_count;
	int64_t tail; /* so many offsets before the end, at most */
	bool (*take)(void *context, const rd_kafka_message_t *message);
	void *context;
};

static bool place(struct task_loop *loop, const struct look *look, rd_kafka_topic_partition_list_t *list, struct err *err)
{
	int64_t low, high;

	for (int32_t p = 0; p < look->partition_count; p++) {
		if (!log_bounds(loop, look->topic, p, &low, &high, err))
			return false;
		rd_kafka_topic_partition_list_add(list, look->topic, p)->offset = high - low > look->tail ? high - look->tail : low;
	}
	return true;
}

/* All but a missing right librdkafka tries again by itself. */
static bool tolerable(const rd_kafka_message_t *message, const char *topic, struct err *err)
{
	return !message || !message->err || kafka_err_class(message->err) != ERR_REFUSE ||
	       cannot_read(err, message->err, "reading", topic, message->partition);
}

static bool read_on(rd_kafka_t *reader, const struct look *look, struct err *err)
{
	int64_t deadline_us = monotonic_us() + LOOK_DEADLINE_US;
	int32_t ended = 0;
	bool enough = false, ok = true;

	while (ok && ended < look->partition_count && !enough && monotonic_us() < deadline_us && !service_stopping()) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 200);

		health_alive();
		ok = tolerable(message, look->topic, err);
		if (message && !message->err)
			enough = !look->take(look->context, message);
		else if (message && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ended++;
		if (message)
			rd_kafka_message_destroy(message);
	}
	return ok && (enough || ended == look->partition_count || err_set(err, ERR_RETRY, "%s could not be read in time", look->topic));
}

static bool look_at(struct task_loop *loop, const struct look *look, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(look->partition_count);
	rd_kafka_t *reader = place(loop, look, list, err) ? look_client(loop, "read_committed", err) : NULL;
	bool ok = false;

	if (reader) {
		rd_kafka_assign(reader, list);
		ok = read_on(reader, look, err);
		rd_kafka_consumer_close(reader);
		rd_kafka_destroy(reader);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return ok;
}

/* ---- holds records */

static bool take_any(void *context, const rd_kafka_message_t *message)
{
	(void)message;
	*(bool *)context = true;
	return false;
}

bool log_holds_records(struct task_loop *loop, const char *topic, int32_t partition_count, bool *holds, struct err *err)
{
	*holds = false;
	return look_at(loop, &(struct look){topic, partition_count, INT64_MAX, take_any, holds}, err);
}

/* ---- last counted */

struct counted {
	const rd_kafka_topic_partition_list_t *partitions;
	struct span service;
	int32_t schema_id;
	int64_t *last;
};

/* A record of another schema version is left out: to resolve it would take the registry, and a look must not wait for that. */
static bool take_counts(void *context, const rd_kafka_message_t *message)
{
	const struct counted *counted = context;
	struct counts_record record;
	struct span body;
	int32_t schema_id;
	int64_t unknown_dead;

	if (!message->payload || frame_open((struct span){message->payload, message->len}, &schema_id, &body) != FRAME_ID ||
	    schema_id != counted->schema_id || !counts_decode(body, &record, &unknown_dead, NULL) || !span_equal(record.service, counted->service))
		return true;
	for (int i = 0; i < counted->partitions->cnt; i++) {
		const rd_kafka_topic_partition_t *partition = &counted->partitions->elems[i];

		if (partition->partition == record.partition && span_is(record.topic, partition->topic) && record.revision > counted->last[i])
			counted->last[i] = record.revision;
	}
	return true;
}

bool log_last_counted(struct task_loop *loop, const rd_kafka_topic_partition_list_t *partitions, int64_t *last, struct err *err)
{
	char topic[TOPIC_NAME_MAX + 1];
	struct counted counted = {partitions, span_of(loop->terms->service), loop->terms->schema_id[SCHEMA_COUNTS], last};

	for (int i = 0; i < partitions->cnt; i++)
		last[i] = -1;
	snprintf(topic, sizeof(topic), "%s%s", loop->kafka.topic_prefix, topic_of(TOPIC_COUNTS)->suffix);
	return look_at(loop, &(struct look){topic, loop->terms->partition_count[TOPIC_COUNTS], COUNTS_TAIL, take_counts, &counted}, err);
}

/* ---- committed offsets */

struct lookup {
	rd_kafka_topic_partition_list_t *list;
	struct span group;
	int64_t end; /* of the log, open transactions included */
	int64_t position;
};

static void take_offset(const struct lookup *lookup, const rd_kafka_message_t *message)
{
	struct group_offset found;
	rd_kafka_topic_partition_t *partition;
	char topic[TOPIC_NAME_MAX + 1];

	if (!group_offset_read((struct span){message->key, message->key_len}, (struct span){message->payload, message->len}, &found) ||
	    !span_equal(found.group, lookup->group) || found.topic.len > TOPIC_NAME_MAX)
		return;
	snprintf(topic, sizeof(topic), "%.*s", (int)found.topic.len, found.topic.at);
	partition = rd_kafka_topic_partition_list_find(lookup->list, topic, found.partition);
	if (!partition)
		return;
	free(partition->metadata);
	partition->metadata = NULL;
	partition->metadata_size = 0;
	partition->offset = found.offset < 0 ? RD_KAFKA_OFFSET_INVALID : found.offset;
	if (found.metadata.len > 0) {
		partition->metadata = xrealloc(NULL, found.metadata.len + 1);
		memcpy(partition->metadata, found.metadata.at, found.metadata.len);
		((char *)partition->metadata)[found.metadata.len] = '\0';
		partition->metadata_size = found.metadata.len;
	}
}

/* To the end of the log, and not only to the first open transaction: that could be one that is being committed. */
static bool read_offsets(rd_kafka_t *reader, struct lookup *lookup, struct err *err)
{
	int64_t deadline_us = monotonic_us() + LOOK_DEADLINE_US;
	bool ok = true;

	while (ok && lookup->position < lookup->end && monotonic_us() < deadline_us && !service_stopping()) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 200);

		health_alive();
		ok = tolerable(message, GROUP_OFFSETS_TOPIC, err);
		if (!message)
			continue;
		if (!message->err || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			lookup->position = message->offset + !message->err;
		if (!message->err)
			take_offset(lookup, message);
		rd_kafka_message_destroy(message);
	}
	return ok && (lookup->position >= lookup->end ||
	              err_set(err, ERR_RETRY, "%s could not be read to offset %" PRId64 " in time", GROUP_OFFSETS_TOPIC, lookup->end));
}

static bool end_of_log(struct task_loop *loop, int32_t partition, int64_t *low, int64_t *end, struct err *err)
{
	rd_kafka_t *client = look_client(loop, "read_uncommitted", err);
	rd_kafka_resp_err_t code;

	if (!client)
		return false;
	code = rd_kafka_query_watermark_offsets(client, GROUP_OFFSETS_TOPIC, partition, low, end, CALL_TIMEOUT_MS);
	rd_kafka_destroy(client);
	return !code || cannot_read(err, code, "offsets of", GROUP_OFFSETS_TOPIC, partition);
}

bool log_committed(struct task_loop *loop, rd_kafka_topic_partition_list_t *list, struct err *err)
{
	char group[256];
	struct lookup lookup = {.list = list};
	rd_kafka_topic_partition_list_t *places = rd_kafka_topic_partition_list_new(1);
	rd_kafka_t *reader = NULL;
	int32_t partitions, partition;
	bool ok;

	snprintf(group, sizeof(group), "%s%s", loop->kafka.topic_prefix, loop->service_name);
	lookup.group = span_of(group);
	for (int i = 0; i < list->cnt; i++) {
		list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
		list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	ok = kafka_partition_count(loop->consumer, GROUP_OFFSETS_TOPIC, CALL_TIMEOUT_MS, &partitions, err);
	partition = ok ? group_offsets_partition(lookup.group, partitions) : 0;
	ok = ok && end_of_log(loop, partition, &lookup.position, &lookup.end, err) && (reader = look_client(loop, "read_committed", err));
	if (ok) {
		rd_kafka_topic_partition_list_add(places, GROUP_OFFSETS_TOPIC, partition)->offset = lookup.position;
		rd_kafka_assign(reader, places);
		ok = read_offsets(reader, &lookup, err);
		rd_kafka_consumer_close(reader);
		rd_kafka_destroy(reader);
	}
	rd_kafka_topic_partition_list_destroy(places);
	if (ok)
		log_warn("offsets_from_the_log", "group=%s partition=%s/%" PRId32 " end=%" PRId64, group, GROUP_OFFSETS_TOPIC, partition, lookup.end);
	return ok;
}
