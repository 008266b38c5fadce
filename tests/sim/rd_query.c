/* Requests that change nothing, apart from fetches: metadata, offsets; and DeleteRecords. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/choice.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/process.h"
#include "sim/rd_client.h"
#include "sim/story.h"
#include "wire/group_offsets.h"

#define RETRY_US 20000
#define HANG_US  INT64_C(3000000)
#define HANGS    31

/* Waits before another try. False: the time is over. */
static bool again(int64_t until_us)
{
	process_sleep(RETRY_US);
	return sim_now_us() < until_us;
}

bool rd_ask(rd_kafka_t *client, const char *what)
{
	uint32_t hangs = choose(CHOICE_HANG, process_current()->actor, HANGS);

	if (hangs) {
		story("%s hangs for %u s", what, hangs * 3);
		process_sleep(hangs * HANG_US);
	}
	return !(rd_is_silent(client, CHOICE_LOST) && client->silence == RD_NO_BROKER) &&
	       network_read(what);
}

/* ---- metadata */

/* Without the right to describe a topic, the broker leaves it out. */
static bool is_hidden(const struct sim_topic *topic)
{
	if (sim_now_us() >= cluster.hidden_until_us ||
	    strcmp(topic->name, GROUP_OFFSETS_TOPIC) != 0)
		return false;
	process_current()->excused = true;
	return true;
}

static struct rd_kafka_metadata *metadata_new(void)
{
	struct rd_kafka_metadata *metadata = xzalloc(1, sizeof(*metadata));

	metadata->topics = xzalloc(cluster.topic_count + 1, sizeof(*metadata->topics));
	for (size_t t = 0; t < cluster.topic_count; t++) {
		const struct sim_topic *topic = &cluster.topics[t];
		rd_kafka_metadata_topic_t *to = &metadata->topics[metadata->topic_cnt];

		if (topic->missing || is_hidden(topic))
			continue;
		metadata->topic_cnt++;
		to->topic = strdup(topic->name);
		to->partition_cnt = topic->partition_count;
		to->partitions = xzalloc((size_t)topic->partition_count, sizeof(*to->partitions));
		for (int32_t p = 0; p < topic->partition_count; p++)
			to->partitions[p] = (rd_kafka_metadata_partition_t){
				.id = p,
				.leader = log_is_away(&topic->logs[p]) ? -1 : 1,
				.replica_cnt = 1,
				.isr_cnt = 1};
	}
	return metadata;
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *client, int all, rd_kafka_topic_t *only,
                                      const struct rd_kafka_metadata **metadata, int timeout_ms)
{
	int64_t until_us = sim_now_us() + (int64_t)timeout_ms * 1000;

	(void)all, (void)only;
	while (!rd_ask(client, "Metadata"))
		if (!again(until_us))
			return RD_KAFKA_RESP_ERR__TIMED_OUT;
	*metadata = metadata_new();
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
	for (int i = 0; i < metadata->topic_cnt; i++) {
		free(metadata->topics[i].topic);
		free(metadata->topics[i].partitions);
	}
	free(metadata->topics);
	free((void *)(uintptr_t)metadata);
}

/* ---- offsets */

static rd_kafka_resp_err_t list_offsets(rd_kafka_t *client, const char *topic, int32_t partition,
                                        int64_t until_us, const struct partition_log **log)
{
	if (rd_right_is_missing("ListOffsets"))
		return RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
	for (;;) {
		bool answered = rd_ask(client, "ListOffsets");

		*log = answered ? cluster_log(topic, partition) : NULL;
		if (answered && !*log)
			return RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
		if (*log && !log_is_away(*log))
			return RD_KAFKA_RESP_ERR_NO_ERROR;
		if (!again(until_us))
			return RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
}

static int64_t end_for(const rd_kafka_t *client, const struct partition_log *log)
{
	int64_t end = client->conf.read_uncommitted ? (int64_t)log->end : log_lso(log);

	if (sim_now_us() < cluster.behind_until_us)
		end -= cluster.behind_by;
	return end > log->start ? end : log->start;
}

rd_kafka_resp_err_t rd_kafka_query_watermark_offsets(rd_kafka_t *client, const char *topic,
                                                     int32_t partition, int64_t *low, int64_t *high,
                                                     int timeout_ms)
{
	const struct partition_log *log;
	rd_kafka_resp_err_t code = list_offsets(client, topic, partition,
	                                        sim_now_us() + (int64_t)timeout_ms * 1000, &log);

	if (code)
		return code;
	*low = log->start;
	*high = end_for(client, log);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void saw_end(const rd_kafka_topic_partition_t *entry)
{
	int before = sim_enter();

	oracle_saw_end(process_current()->life, entry->topic, entry->partition, entry->offset);
	sim_leave(before);
}

rd_kafka_resp_err_t rd_kafka_offsets_for_times(rd_kafka_t *client,
                                               rd_kafka_topic_partition_list_t *list,
                                               int timeout_ms)
{
	int64_t until_us = sim_now_us() + (int64_t)timeout_ms * 1000;

	for (int i = 0; i < list->cnt; i++) {
		rd_kafka_topic_partition_t *entry = &list->elems[i];
		const struct partition_log *log;

		entry->err = list_offsets(client, entry->topic, entry->partition, until_us, &log);
		if (entry->err == RD_KAFKA_RESP_ERR__TIMED_OUT)
			return entry->err;
		if (entry->err)
			continue;
		if (entry->offset == RD_KAFKA_OFFSET_BEGINNING) {
			entry->offset = log->start;
			continue;
		}
		entry->offset = end_for(client, log);
		if (client->conf.read_uncommitted)
			saw_end(entry);
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- committed offsets */

static rd_kafka_resp_err_t read_committed(const rd_kafka_t *client,
                                          rd_kafka_topic_partition_t *entry)
{
	struct sim_offset offset;

	entry->err = groups_offset(client->conf.group, entry->topic, entry->partition, &offset);
	if (entry->err)
		return entry->err;
	free(entry->metadata);
	entry->metadata = NULL;
	entry->metadata_size = 0;
	entry->offset = offset.offset < 0 ? RD_KAFKA_OFFSET_INVALID : offset.offset;
	if (offset.offset >= 0 && offset.metadata.at) {
		entry->metadata = xrealloc(NULL, offset.metadata.len + 1);
		memcpy(entry->metadata, offset.metadata.at, offset.metadata.len);
		((char *)entry->metadata)[offset.metadata.len] = '\0';
		entry->metadata_size = offset.metadata.len;
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t read_all(const rd_kafka_t *client, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	int before = sim_enter();

	for (int i = 0; i < list->cnt && !code; i++)
		code = groups_offset(client->conf.group, list->elems[i].topic,
		                     list->elems[i].partition, &(struct sim_offset){.offset = 0});
	sim_leave(before);
	for (int i = 0; i < list->cnt && !code; i++)
		code = read_committed(client, &list->elems[i]);
	before = sim_enter();
	for (int i = 0; i < list->cnt && !code; i++)
		oracle_saw_committed(process_current()->life, client->conf.group,
		                     list->elems[i].topic, list->elems[i].partition,
		                     list->elems[i].offset);
	sim_leave(before);
	return code;
}

rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list,
                                       int timeout_ms)
{
	int64_t until_us = sim_now_us() + (int64_t)timeout_ms * 1000;
	int actor = process_current()->actor;

	if (choose(CHOICE_ANSWER_ERROR, actor, 2))
		return RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
	if (rd_right_is_missing("OffsetFetch"))
		return RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
	for (;;) {
		if (!client->silence && rd_ask(client, "OffsetFetch") &&
		    sim_now_us() >= cluster.loading_until_us && !read_all(client, list))
			return RD_KAFKA_RESP_ERR_NO_ERROR;
		if (!again(until_us))
			return RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
}

/* ---- DeleteRecords */

struct rd_kafka_DeleteRecords_s {
	rd_kafka_topic_partition_list_t *list;
};

struct rd_kafka_op_s {
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code;
};

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *client)
{
	rd_kafka_queue_t *queue = xzalloc(1, sizeof(*queue));

	queue->client = client;
	return queue;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
	if (queue->event)
		rd_kafka_event_destroy(queue->event);
	free(queue);
}

rd_kafka_DeleteRecords_t *rd_kafka_DeleteRecords_new(
	const rd_kafka_topic_partition_list_t *before_offsets)
{
	rd_kafka_DeleteRecords_t *request = xzalloc(1, sizeof(*request));

	request->list = rd_kafka_topic_partition_list_copy(before_offsets);
	return request;
}

void rd_kafka_DeleteRecords_destroy(rd_kafka_DeleteRecords_t *request)
{
	rd_kafka_topic_partition_list_destroy(request->list);
	free(request);
}

void rd_kafka_DeleteRecords(rd_kafka_t *client, rd_kafka_DeleteRecords_t **requests, size_t count,
                            const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
	rd_kafka_topic_partition_list_t *list = requests[0]->list;
	rd_kafka_event_t *event = xzalloc(1, sizeof(*event));

	(void)count, (void)options;
	event->list = rd_kafka_topic_partition_list_copy(list);
	if (!rd_ask(client, "DeleteRecords"))
		event->code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	for (int i = 0; i < list->cnt && !event->code; i++) {
		struct partition_log *log =
			cluster_log(list->elems[i].topic, list->elems[i].partition);

		oracle_trims(client->conf.group, list->elems[i].topic, list->elems[i].partition,
		             list->elems[i].offset);
		if (log && choose(CHOICE_ANSWER_ERROR, process_current()->actor, 2))
			event->list->elems[i].err = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
		else if (log)
			log_trim(log, list->elems[i].offset);
		else
			event->list->elems[i].err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	}
	if (queue->event)
		rd_kafka_event_destroy(queue->event);
	queue->event = event;
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms)
{
	rd_kafka_event_t *event = queue->event;

	(void)timeout_ms;
	queue->event = NULL;
	return event;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_list_destroy(event->list);
	free(event);
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event)
{
	return event->code;
}

const char *rd_kafka_event_error_string(rd_kafka_event_t *event)
{
	return rd_kafka_err2str(event->code);
}

const rd_kafka_DeleteRecords_result_t *rd_kafka_event_DeleteRecords_result(rd_kafka_event_t *event)
{
	return event->code ? NULL : event;
}

const rd_kafka_topic_partition_list_t *rd_kafka_DeleteRecords_result_offsets(
	const rd_kafka_DeleteRecords_result_t *result)
{
	return ((const struct rd_kafka_op_s *)result)->list;
}
