/* The brokers are asked for one group after the other, and only for the topics that its service
 * reads. So the numbers of a busy system are not those of one moment. */
#include "topics_groups.h"

#include <inttypes.h>
#include <stdio.h>

#include "kafka/kafka_error.h"

#define GROUP_TOPICS_MAX 6

/* What each service reads, in the order of the pipeline. */
static const struct reader {
	const char *group;
	size_t count;
	enum topic_id topics[GROUP_TOPICS_MAX];
} readers[] = {
	{"bronze-sink", 1, {TOPIC_RAW_EVENTS}},
	{"funnel-aggregator", 2, {TOPIC_BRONZE_EVENTS, TOPIC_FUNNEL_PARTIALS}},
	{"pg-loader",
         6,
         {TOPIC_BRONZE_EVENTS, TOPIC_AGGREGATED_EVENTS, TOPIC_SESSION_FUNNELS, TOPIC_DEAD_LETTER,
          TOPIC_LATE_EVENTS, TOPIC_COUNTS}},
	{"lake", 4, {TOPIC_BRONZE_EVENTS, TOPIC_DEAD_LETTER, TOPIC_LATE_EVENTS, TOPIC_COUNTS}},
};

static rd_kafka_topic_partition_list_t *partitions_of(const struct reader *reader,
                                                      const char *prefix, const int32_t *partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
	char name[TOPIC_NAME_MAX + 1];

	for (size_t i = 0; i < reader->count; i++)
		if (partitions[reader->topics[i]] > 0 &&
		    topic_name(prefix, reader->topics[i], name, sizeof(name)))
			rd_kafka_topic_partition_list_add_range(list, name, 0,
			                                        partitions[reader->topics[i]] - 1);
	return list;
}

static rd_kafka_event_t *ask_group(rd_kafka_t *client, const char *group,
                                   const rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_ListConsumerGroupOffsets_t *request =
		rd_kafka_ListConsumerGroupOffsets_new(group, list);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_event_t *event;
	char why[256];

	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof(why));
	rd_kafka_ListConsumerGroupOffsets(client, &request, 1, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms + 5000);
	rd_kafka_ListConsumerGroupOffsets_destroy(request);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return event;
}

static bool cannot_read(const char *group, rd_kafka_resp_err_t code, const char *why,
                        struct err *err)
{
	return kafka_err_answer(err, code, "cannot read the committed offsets of group", group,
	                        why);
}

/* The offsets in the event; they belong to it. NULL: err is set. */
static const rd_kafka_topic_partition_list_t *offsets_of(const char *group, rd_kafka_event_t *event,
                                                         struct err *err)
{
	const rd_kafka_group_result_t **results;
	const rd_kafka_error_t *error;
	size_t count = 0;

	if (!event || rd_kafka_event_error(event)) {
		(void)cannot_read(
			group, event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT,
			event ? rd_kafka_event_error_string(event) : "no answer from the brokers",
			err);
		return NULL;
	}
	results = rd_kafka_ListConsumerGroupOffsets_result_groups(
		rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
	error = count ? rd_kafka_group_result_error(results[0]) : NULL;
	if (!count || error) {
		(void)cannot_read(group, rd_kafka_error_code(error),
		                  error ? rd_kafka_error_string(error) : "an empty answer", err);
		return NULL;
	}
	return rd_kafka_group_result_partitions(results[0]);
}

static bool visit_group(rd_kafka_t *client, const char *prefix, const struct reader *reader,
                        const int32_t *partitions, int timeout_ms, topics_group_visit *visit,
                        void *context, struct err *err)
{
	rd_kafka_topic_partition_list_t *wanted = partitions_of(reader, prefix, partitions);
	const rd_kafka_topic_partition_list_t *list;
	rd_kafka_event_t *event;
	char group[TOPIC_NAME_MAX + 1];
	bool ok;

	if (wanted->cnt == 0) { /* the brokers refuse an empty list */
		rd_kafka_topic_partition_list_destroy(wanted);
		return true;
	}
	snprintf(group, sizeof(group), "%s%s", prefix, reader->group);
	event = ask_group(client, group, wanted, timeout_ms);
	list = offsets_of(group, event, err);
	ok = list && visit(context, group, list, err);
	rd_kafka_topic_partition_list_destroy(wanted);
	if (event)
		rd_kafka_event_destroy(event);
	return ok;
}

bool topics_groups_visit(rd_kafka_t *client, const char *prefix,
                         const int32_t partitions[TOPIC_COUNT], int timeout_ms,
                         topics_group_visit *visit, void *context, struct err *err)
{
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
		if (!visit_group(client, prefix, &readers[i], partitions, timeout_ms, visit,
		                 context, err))
			return false;
	return true;
}
