#include "sim/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "sim/groups.h"
#include "sim/process.h"
#include "sim/story.h"
#include "sim/transactions.h"

struct cluster cluster;

void cluster_begin(const struct cluster_bugs *bugs)
{
	memset(&cluster, 0, sizeof(cluster));
	cluster.bugs = *bugs;
}

static void log_clear(struct sim_topic *topic, int32_t partition)
{
	struct partition_log *log = &topic->logs[partition];

	*log = (struct partition_log){.partition = partition};
	memcpy(log->topic, topic->name, sizeof(log->topic));
}

static void topic_clear(struct sim_topic *topic)
{
	topic->id = ++cluster.next_topic_id;
	for (int32_t p = 0; p < topic->partition_count; p++)
		log_clear(topic, p);
}

struct sim_topic *cluster_create_topic(const char *name, int32_t partition_count)
{
	struct sim_topic *topic = &cluster.topics[cluster.topic_count++];

	topic->partition_count = partition_count;
	snprintf(topic->name, sizeof(topic->name), "%s", name);
	topic_clear(topic);
	return topic;
}

void cluster_delete_topic(struct sim_topic *topic, bool with_offsets)
{
	topic->missing = true;
	if (with_offsets)
		groups_drop_topic(topic->name);
}

void cluster_recreate_topic(struct sim_topic *topic)
{
	topic_clear(topic);
	topic->missing = false;
}

void cluster_add_partition(struct sim_topic *topic)
{
	log_clear(topic, topic->partition_count++);
}

struct sim_topic *cluster_topic(const char *name)
{
	for (size_t i = 0; i < cluster.topic_count; i++)
		if (strcmp(cluster.topics[i].name, name) == 0)
			return &cluster.topics[i];
	return NULL;
}

struct partition_log *cluster_log(const char *name, int32_t partition)
{
	struct sim_topic *topic = cluster_topic(name);

	return topic && !topic->missing && partition >= 0 && partition < topic->partition_count
	               ? &topic->logs[partition]
	               : NULL;
}

bool cluster_is_down(void)
{
	return sim_now_us() < cluster.down_until_us;
}

bool log_is_away(const struct partition_log *log)
{
	return sim_now_us() < log->away_until_us;
}

/* ---- requests */

static void produce(const struct request *request, struct response *response)
{
	struct partition_log *log = cluster_log(request->topic, request->partition);
	const struct batch *batch = &request->batch;

	if (!log || log_is_away(log)) {
		response->code = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
		return;
	}
	if (batch->transactional && !log_is_open(log, batch->pid, batch->epoch) &&
	    !cluster.bugs.no_verification)
		response->code = transactions_verify(batch->pid, batch->epoch, log);
	if (!response->code)
		response->code = log_append(log, batch);
}

void cluster_handle(const struct request *request, struct response *response)
{
	bool coordinator = request->kind != REQUEST_PRODUCE;

	*response = (struct response){.code = RD_KAFKA_RESP_ERR_NO_ERROR};
	if (coordinator && sim_now_us() < cluster.loading_until_us)
		response->code = RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
	else if (!coordinator)
		produce(request, response);
	else if (request->kind == REQUEST_TXN_OFFSET_COMMIT)
		groups_handle(request, response);
	else
		transactions_handle(request, response);
}

static struct sim_record record_copy(const struct sim_record *from)
{
	struct sim_record record = *from;
	struct header *headers =
		record.header_count ? xrealloc(NULL, record.header_count * sizeof(*headers)) : NULL;

	record.key = span_copy(from->key);
	record.value = span_copy(from->value);
	for (size_t i = 0; i < record.header_count; i++)
		headers[i] = (struct header){span_copy(from->headers[i].name),
		                             span_copy(from->headers[i].value)};
	record.headers = headers;
	return record;
}

struct request *request_copy(const struct request *request)
{
	struct request *copy = xrealloc(NULL, sizeof(*copy));
	struct sim_record *records = NULL;

	*copy = *request;
	if (request->batch.count)
		records = xrealloc(NULL, request->batch.count * sizeof(*records));
	for (size_t i = 0; i < request->batch.count; i++)
		records[i] = record_copy(&request->batch.records[i]);
	copy->batch.records = records;
	for (size_t i = 0; i < request->offset_count; i++)
		copy->offsets[i].metadata = span_copy(request->offsets[i].metadata);
	return copy;
}

const char *request_name(enum request_kind kind)
{
	switch (kind) {
	case REQUEST_PRODUCE: return "Produce";
	case REQUEST_INIT_PRODUCER_ID: return "InitProducerId";
	case REQUEST_ADD_PARTITIONS: return "AddPartitionsToTxn";
	case REQUEST_ADD_OFFSETS: return "AddOffsetsToTxn";
	case REQUEST_END_TXN: return "EndTxn";
	case REQUEST_TXN_OFFSET_COMMIT: return "TxnOffsetCommit";
	}
	return "?";
}

void request_describe(const struct request *request, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "%s", request_name(request->kind));

	if (request->kind == REQUEST_PRODUCE || request->kind == REQUEST_ADD_PARTITIONS)
		len += (size_t)snprintf(out + len, cap - len, " %s/%d", request->topic,
		                        request->partition);
	if (request->kind == REQUEST_PRODUCE)
		len += (size_t)snprintf(out + len, cap - len, " %zu records from sequence %d",
		                        request->batch.count, request->batch.first_sequence);
	if (request->kind == REQUEST_END_TXN)
		len += (size_t)snprintf(out + len, cap - len, " %s",
		                        request->commit ? "commit" : "abort");
	for (size_t i = 0; i < request->offset_count && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, " %s/%d=%d",
		                        request->offsets[i].topic, request->offsets[i].partition,
		                        (int)request->offsets[i].offset);
	if (request->kind != REQUEST_INIT_PRODUCER_ID && len < cap)
		snprintf(out + len, cap - len, " (epoch %d)", request->epoch);
}
