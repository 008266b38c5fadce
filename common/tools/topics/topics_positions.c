/* Three kinds of requests, in this order: the settings of all topics in one request, the committed
 * offsets of each group, the bounds of each partition.
 *
 * Limits: as in topics_groups.c. A setting that equals the default but was set for the topic is
 * printed; a setting of the broker is not. */
#include "topics_positions.h"

#include <inttypes.h>
#include <stdio.h>

#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "topics_groups.h"

/* ---- settings */

static void print_settings(const rd_kafka_ConfigResource_t *resource)
{
	size_t count;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

	for (size_t i = 0; i < count; i++)
		if (rd_kafka_ConfigEntry_source(entries[i]) ==
		    RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
			printf("setting\t%s\t%s\t%s\n", rd_kafka_ConfigResource_name(resource),
			       rd_kafka_ConfigEntry_name(entries[i]),
			       rd_kafka_ConfigEntry_value(entries[i]));
}

static bool print_answer(rd_kafka_event_t *event, struct err *err)
{
	const rd_kafka_ConfigResource_t **resources;
	rd_kafka_resp_err_t code =
		event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	size_t count = 0;

	if (code)
		return err_set(err, kafka_err_missing_right(code) ? ERR_OPERATOR : ERR_RETRY,
		               "cannot read the settings of the topics: %s",
		               event ? rd_kafka_event_error_string(event)
		                     : "no answer from the brokers");
	resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(
								      event),
	                                                      &count);
	for (size_t i = 0; i < count; i++) {
		code = rd_kafka_ConfigResource_error(resources[i]);
		if (code)
			return kafka_err_answer(err, code, "cannot read the settings of topic",
			                        rd_kafka_ConfigResource_name(resources[i]),
			                        rd_kafka_ConfigResource_error_string(resources[i]));
		print_settings(resources[i]);
	}
	return true;
}

static rd_kafka_event_t *ask_settings(rd_kafka_t *client, rd_kafka_ConfigResource_t **resources,
                                      size_t count, int timeout_ms)
{
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_event_t *event;
	char why[256];

	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, why, sizeof(why));
	rd_kafka_DescribeConfigs(client, resources, count, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms + 5000);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return event;
}

static bool print_topics(rd_kafka_t *client, const char *prefix, const int32_t *partitions,
                         int timeout_ms, struct err *err)
{
	rd_kafka_ConfigResource_t *resources[TOPIC_COUNT];
	rd_kafka_event_t *event;
	char name[TOPIC_NAME_MAX + 1];
	size_t count = 0;
	bool ok;

	for (int id = 0; id < TOPIC_COUNT; id++)
		if (partitions[id] > 0 &&
		    topic_name(prefix, (enum topic_id)id, name, sizeof(name))) {
			printf("topic\t%s\t%" PRId32 "\n", name, partitions[id]);
			resources[count++] =
				rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
		}
	if (count == 0)
		return true;
	event = ask_settings(client, resources, count, timeout_ms);
	ok = print_answer(event, err);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_ConfigResource_destroy_array(resources, count);
	return ok;
}

/* ---- offsets */

static bool print_group(void *context, const char *group,
                        const rd_kafka_topic_partition_list_t *list, struct err *err)
{
	(void)context;
	(void)err;
	for (int i = 0; i < list->cnt; i++)
		if (list->elems[i].offset >= 0)
			printf("committed\t%s\t%s\t%" PRId32 "\t%" PRId64 "\n", group,
			       list->elems[i].topic, list->elems[i].partition,
			       list->elems[i].offset);
	return true;
}

static bool print_log(rd_kafka_t *client, const char *name, int32_t partition, int timeout_ms,
                      struct err *err)
{
	int64_t first, end;

	if (!kafka_offset_range(client, name, partition, timeout_ms, &first, &end, err))
		return false;
	printf("log\t%s\t%" PRId32 "\t%" PRId64 "\t%" PRId64 "\n", name, partition, first, end);
	return true;
}

static bool print_logs(rd_kafka_t *client, const char *prefix, const int32_t *partitions,
                       int timeout_ms, struct err *err)
{
	char name[TOPIC_NAME_MAX + 1];

	for (int id = 0; id < TOPIC_COUNT; id++)
		for (int32_t i = 0; i < partitions[id]; i++)
			if (topic_name(prefix, (enum topic_id)id, name, sizeof(name)) &&
			    !print_log(client, name, i, timeout_ms, err))
				return false;
	return true;
}

bool topics_positions_print(rd_kafka_t *client, const char *prefix,
                            const int32_t partitions[TOPIC_COUNT], int timeout_ms, struct err *err)
{
	return print_topics(client, prefix, partitions, timeout_ms, err) &&
	       topics_groups_visit(client, prefix, partitions, timeout_ms, print_group, NULL,
	                           err) &&
	       print_logs(client, prefix, partitions, timeout_ms, err);
}
