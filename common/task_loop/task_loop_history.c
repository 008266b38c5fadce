/* Reads topics during an assignment. The group's consumer is not polled meanwhile, so each call
 * has a timeout. */
#include "task_loop/task_loop_history.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "kafka/counts_topic.h"
#include "kafka/intake.h"
#include "kafka/kafka_topic.h"
#include "kafka/topic_reader.h"
#include "registry/frame_decoder.h"
#include "service/log.h"
#include "stream/record.h"
#include "wire/group_offsets.h"
#include "wire/records_counts.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS 10000
#define SILENCE_MS      20000

/* ---- has records */

static bool take_any(void *context, const struct input_record *record, bool *done, struct err *err)
{
	(void)record;
	(void)err;
	*(bool *)context = *done = true;
	return true;
}

bool topic_has_records(struct task_loop *loop, const char *topic, int32_t partition_count,
                       bool *holds, bool *deleted, struct err *err)
{
	struct topic_reading all = {.topic = topic,
	                            .partition_count = partition_count,
	                            .silence_ms = SILENCE_MS,
	                            .take = take_any,
	                            .context = holds,
	                            .deleted = deleted};

	*holds = *deleted = false;
	return topic_read_all(&loop->kafka, intake_client(loop->intake), &all, err);
}

/* ---- last counted */

struct counted {
	const rd_kafka_topic_partition_list_t *partitions;
	struct span service;
	int64_t *last;
};

static void take_counts(void *context, const struct counts_record *record)
{
	const struct counted *counted = context;

	if (!span_equal(record->service, counted->service))
		return;
	for (int i = 0; i < counted->partitions->cnt; i++) {
		const rd_kafka_topic_partition_t *partition = &counted->partitions->elems[i];

		if (partition->partition == record->partition &&
		    span_is(record->topic, partition->topic) && record->revision > counted->last[i])
			counted->last[i] = record->revision;
	}
}

static struct counts_topic counts_topic_of(struct task_loop *loop)
{
	if (!loop->counts_decoder)
		loop->counts_decoder =
			frame_decoder_new(loop->registry, loop->kafka.topic_prefix, SCHEMA_COUNTS);
	return (struct counts_topic){&loop->kafka, intake_client(loop->intake),
	                             loop->counts_decoder, loop->context->schema_id[SCHEMA_COUNTS],
	                             false};
}

bool counts_topic_last(struct task_loop *loop, const rd_kafka_topic_partition_list_t *partitions,
                       int64_t *last, struct err *err)
{
	struct counted counted = {partitions, span_of(loop->context->service), last};
	struct counts_topic counts = counts_topic_of(loop);

	for (int i = 0; i < partitions->cnt; i++)
		last[i] = -1;
	counts.with_open = true;
	return counts_topic_read(&counts, take_counts, &counted, err);
}

bool counts_topic_schemas_known(struct task_loop *loop, struct err *err)
{
	struct counts_topic counts = counts_topic_of(loop);

	return counts_topic_read(&counts, NULL, NULL, err);
}

/* ---- committed offsets */

struct lookup {
	rd_kafka_topic_partition_list_t *list;
	struct span group;
};

static bool take_offset(void *context, const struct input_record *record, bool *done,
                        struct err *err)
{
	const struct lookup *lookup = context;
	struct group_offset found;
	rd_kafka_topic_partition_t *partition;
	char topic[TOPIC_NAME_MAX + 1];

	(void)done;
	(void)err;
	if (!group_offset_read(record->key, record->value, &found) ||
	    !span_equal(found.group, lookup->group) || found.topic.len > TOPIC_NAME_MAX)
		return true;
	snprintf(topic, sizeof(topic), "%.*s", (int)found.topic.len, found.topic.at);
	partition = rd_kafka_topic_partition_list_find(lookup->list, topic, found.partition);
	if (!partition)
		return true;
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
	return true;
}

bool offsets_topic_read(struct task_loop *loop, rd_kafka_topic_partition_list_t *list,
                        struct err *err)
{
	char group[256];
	struct lookup lookup = {.list = list};
	int32_t partitions, partition;
	int64_t *from, *to;
	bool ok;

	snprintf(group, sizeof(group), "%s%s", loop->kafka.topic_prefix, loop->service_name);
	lookup.group = span_of(group);
	for (int i = 0; i < list->cnt; i++) {
		list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
		list->elems[i].err = RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	/* Without the right to describe the topic, the broker does not return it. */
	if (!kafka_partition_count(intake_client(loop->intake), GROUP_OFFSETS_TOPIC,
	                           CALL_TIMEOUT_MS, &partitions, err))
		return err->class == ERR_OPERATOR
		               ? err_prefix(err,
		                            "the right to describe and read the topic is missing")
		               : false;
	partition = group_offsets_partition(lookup.group, partitions);
	from = xrealloc(NULL, (size_t)partitions * 2 * sizeof(*from));
	to = from + partitions;
	/* From 0 to 0: do not read the other partitions. */
	memset(from, 0, (size_t)partitions * 2 * sizeof(*from));
	ok = topic_range_with_open(&loop->kafka, GROUP_OFFSETS_TOPIC, partition, CALL_TIMEOUT_MS,
	                           &from[partition], &to[partition], err) &&
	     topic_read(&loop->kafka,
	                &(struct topic_reading){GROUP_OFFSETS_TOPIC, partitions, from, to,
	                                        SILENCE_MS, take_offset, &lookup, NULL},
	                err);
	if (ok)
		log_warn("offsets_read_from_log", log_str("group", group),
		         log_partition(GROUP_OFFSETS_TOPIC, partition),
		         log_int("log_end", to[partition]));
	free(from);
	return ok;
}
