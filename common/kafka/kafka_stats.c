/* Lag is the distance from the position to the high watermark. Not from the committed offset,
 * because librdkafka does not see offsets that a transaction or PostgreSQL commits. Not to the
 * last stable offset, so that held records are included. At the end of a partition lag is 0,
 * although markers may follow the last record. */
#include "kafka/kafka_stats.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "service/metrics.h"
#include "wire/topics.h"

/* Label values come from topic and client names. Leaves out bytes that would need an escape. */
static void label_text(const char *text, char *out, size_t cap)
{
	size_t len = 0;

	for (; text && *text && len + 1 < cap; text++)
		if (*text != '"' && *text != '\\' && *text != '\n')
			out[len++] = *text;
	out[len] = '\0';
}

static int64_t json_number(const json_t *object, const char *name, int64_t missing)
{
	const json_t *value = json_object_get(object, name);

	return json_is_integer(value) ? (int64_t)json_integer_value(value) : missing;
}

/* Records from the position to the high watermark; 0 if the partition is not assigned. */
static int64_t partition_lag(const json_t *partition)
{
	int64_t high = json_number(partition, "hi_offset", -1);
	int64_t position = json_number(partition, "app_offset", -1);
	int64_t last_end = json_number(partition, "eof_offset", -1);
	const char *state = json_string_value(json_object_get(partition, "fetch_state"));

	if (!state || strcmp(state, "active") != 0)
		return 0;
	if (last_end > position && json_number(partition, "fetchq_cnt", 0) == 0)
		position = last_end; /* past markers and aborted records, which are not delivered */
	if (position < 0)
		position = json_number(partition, "committed_offset", -1);
	return position >= 0 && high > position ? high - position : 0;
}

static void stats_topics(json_t *root, const char *client)
{
	const char *topic_name, *number;
	json_t *topic, *partition;

	json_object_foreach(json_object_get(root, "topics"), topic_name, topic)
	{
		char topic_label[256];

		label_text(topic_name, topic_label, sizeof(topic_label));
		json_object_foreach(json_object_get(topic, "partitions"), number, partition)
		{
			char labels[512];

			if (number[0] == '-')
				continue; /* librdkafka's internal partition -1 */
			snprintf(labels, sizeof(labels),
			         "client=\"%s\",topic=\"%s\",partition=\"%s\"", client, topic_label,
			         number);
			metric_set(
				metric_get(
					METRIC_GAUGE, "consumer_lag", labels,
					"records from the position to the high watermark; 0 if not "
					"assigned to this instance"),
				partition_lag(partition));
		}
	}
}

static void stats_brokers(json_t *root, const char *labels)
{
	int64_t rtt_p95_us = 0, retries = 0, timeouts = 0;
	const char *name;
	json_t *broker;

	json_object_foreach(json_object_get(root, "brokers"), name, broker)
	{
		int64_t p95 = json_number(json_object_get(broker, "rtt"), "p95", 0);

		(void)name;
		rtt_p95_us = p95 > rtt_p95_us ? p95 : rtt_p95_us;
		retries += json_number(broker, "txretries", 0);
		timeouts += json_number(broker, "req_timeouts", 0);
	}
	metric_set(metric_get(METRIC_GAUGE_SECONDS, "kafka_rtt_p95_seconds", labels,
	                      "95th percentile of the request times of the slowest broker"),
	           rtt_p95_us);
	metric_set(metric_get(METRIC_GAUGE, "kafka_rtt_p95_microseconds", labels,
	                      "deprecated: use funnel_kafka_rtt_p95_seconds"),
	           rtt_p95_us);
	metric_set(metric_get(METRIC_COUNTER, "kafka_request_retries_total", labels,
	                      "requests sent again"),
	           retries);
	metric_set(metric_get(METRIC_COUNTER, "kafka_request_timeouts_total", labels,
	                      "requests that got no answer in time"),
	           timeouts);
}

int kafka_on_stats(rd_kafka_t *client, char *text, size_t len, void *opaque)
{
	json_t *root = json_loadb(text, len, 0, NULL);
	char name[128], labels[160];

	(void)opaque;
	if (!root)
		return 0; /* 0: librdkafka frees the text */
	label_text(json_string_value(json_object_get(root, "client_id")), name, sizeof(name));
	snprintf(labels, sizeof(labels), "client=\"%s\",type=\"%s\"", name,
	         rd_kafka_type(client) == RD_KAFKA_CONSUMER ? "consumer" : "producer");
	stats_brokers(root, labels);
	metric_set(metric_get(METRIC_GAUGE, "kafka_queued_messages", labels,
	                      "messages in the producer's queue or in flight"),
	           json_number(root, "msg_cnt", 0));
	if (rd_kafka_type(client) == RD_KAFKA_CONSUMER) {
		stats_topics(root, name);
		metric_set(
			metric_get(
				METRIC_COUNTER, "kafka_rebalances_total", labels,
				"rebalances of the consumer group that this instance took part in"),
			json_number(json_object_get(root, "cgrp"), "rebalance_cnt", 0));
	}
	json_decref(root);
	return 0;
}
