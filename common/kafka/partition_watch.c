/* The high watermark is librdkafka's copy from the last fetch response (rktp_hi_offset, in 2.0.2
 * and 2.15); reading it makes no request. rd_kafka_query_watermark_offsets of a read_committed
 * consumer returns the last stable offset instead. A fetch response that reaches the end of a
 * partition updates the copy before librdkafka queues the end, so the copy is never older than
 * that end.
 *
 * Limits: the copy is stale while the broker does not answer, so released records may still be
 * shown as held. task_loop_idle.c does not decide idleness by the copy alone. */
#include "kafka/partition_watch.h"

#include <inttypes.h>
#include <stdio.h>

#include "service/log.h"
#include "service/monotime.h"

#define LABELS_MAX    320
#define US_PER_SECOND INT64_C(1000000)

void partition_watch_init(struct partition_watch *watch, const char *topic, int32_t partition)
{
	char labels[LABELS_MAX];

	snprintf(labels, sizeof(labels), "topic=\"%s\",partition=\"%" PRId32 "\"", topic,
	         partition);
	*watch = (struct partition_watch){.topic = topic, .partition = partition};
	partition_end_init(&watch->end);
	watch->held_seconds = metric_get(
		METRIC_GAUGE, "partition_held_seconds", labels,
		"seconds for which an open transaction has held back records; 0: no held records");
	watch->held_records = metric_get(
		METRIC_GAUGE, "partition_held_records", labels,
		"records that an open transaction holds back, from the last stable offset to the "
		"high watermark; counted when all records before them are read");
}

void partition_watch_stop(struct partition_watch *watch)
{
	partition_end_init(&watch->end);
	metric_set(watch->held_seconds, 0);
	metric_set(watch->held_records, 0);
}

static int64_t seconds_since(int64_t since_us)
{
	return since_us ? (monotonic_us() - since_us) / US_PER_SECOND : 0;
}

static void log_held(const struct partition_watch *watch)
{
	log_warn("partition_held", log_partition(watch->topic, watch->partition),
	         log_int("offset", watch->end.held_offset),
	         log_int("records", watch->end.held_records),
	         log_int("seconds", seconds_since(watch->end.held_since_us)),
	         log_str("detail", "an open transaction holds back all records from this offset; "
	                           "/readyz says what to do"));
}

int64_t partition_watch_look(struct partition_watch *watch, rd_kafka_t *consumer, int64_t limit_us)
{
	int64_t low, high = -1, held_since_us = watch->end.held_since_us;
	rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets(consumer, watch->topic,
	                                                          watch->partition, &low, &high);

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0)
		high = -1;
	switch (partition_end_update(&watch->end, high, limit_us, monotonic_us())) {
	case PARTITION_END_SAME: break;
	case PARTITION_END_HELD: log_held(watch); break;
	case PARTITION_END_RELEASED:
		log_info("partition_released", log_partition(watch->topic, watch->partition),
		         log_int("seconds", seconds_since(held_since_us)));
		break;
	}
	metric_set(watch->held_seconds, seconds_since(watch->end.held_since_us));
	metric_set(watch->held_records, watch->end.held_records);
	return high;
}

size_t partition_watch_text(const struct partition_watch *watch, char *text, size_t len, size_t cap)
{
	const struct partition_end *end = &watch->end;
	bool first = len == 0;

	if (!end->reported || len >= cap)
		return len;
	len += (size_t)snprintf(text + len, cap - len,
	                        "%s/%" PRId32 ": an open transaction has held back %" PRId64
	                        " records from offset %" PRId64 " for %" PRId64 " s\n",
	                        watch->topic, watch->partition, end->held_records, end->held_offset,
	                        seconds_since(end->held_since_us));
	if (first && len < cap)
		len += (size_t)snprintf(
			text + len, cap - len,
			"list the producers: kafka-transactions.sh describe-producers --topic %s "
			"--partition %" PRId32
			"; end the transaction: kafka-transactions.sh abort with the same topic "
			"and partition and --start-offset %" PRId64
			"; otherwise the broker ends it after the "
			"producer's transaction.timeout.ms\n",
			watch->topic, watch->partition, end->held_offset);
	return len;
}
