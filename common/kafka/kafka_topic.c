#include "kafka/kafka_topic.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "kafka/kafka_error.h"
#include "kafka/kafka_refusal.h"
#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"

#define PARTITIONS_LOG_US INT64_C(10000000)
#define MISSING_TOPIC_MS  5000
#define FIRST_TRY_MS      1000

/* Requests the metadata of all topics: a request for one topic may create it, with the broker's
 * default number of partitions. Without an answer soon, the brokers may refuse this client. */
static bool query_metadata(rd_kafka_t *client, int timeout_ms,
                           const struct rd_kafka_metadata **metadata, struct err *err)
{
	int first_ms = timeout_ms < FIRST_TRY_MS ? timeout_ms : FIRST_TRY_MS;
	rd_kafka_resp_err_t code = rd_kafka_metadata(client, 1, NULL, metadata, first_ms);

	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return true;
	if (kafka_refused(client, err))
		return false;
	if (timeout_ms > first_ms)
		code = rd_kafka_metadata(client, 1, NULL, metadata, timeout_ms - first_ms);
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       err_set(err, ERR_RETRY, "no broker answered within %d ms: %s", timeout_ms,
	               kafka_err_text(code));
}

static bool query_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms,
                                  int32_t *count, struct err *err)
{
	const struct rd_kafka_metadata *metadata = NULL;
	const rd_kafka_metadata_topic_t *found = NULL;
	bool good;

	if (!query_metadata(client, timeout_ms, &metadata, err))
		return err_prefix(err, "topic %s", topic);
	for (int i = 0; i < metadata->topic_cnt && !found; i++)
		if (strcmp(metadata->topics[i].topic, topic) == 0)
			found = &metadata->topics[i];
	*count = found ? found->partition_cnt : 0;
	if (!found)
		good = err_set(
			err, ERR_OPERATOR,
			"topic %s does not exist: run \"topics create\", then start again; if "
			"it does exist, the user of this program lacks a right to it: "
			"deploy/kafka/acls grants what each program needs",
			topic);
	else
		good = *count > 0 ||
		       err_set(err, ERR_RETRY, "topic %s: %s", topic, kafka_err_text(found->err));
	rd_kafka_metadata_destroy(metadata);
	return good;
}

/* Asks again for a missing topic: a broker that has just started may not know its topics yet. */
bool kafka_partition_count(rd_kafka_t *client, const char *topic, int timeout_ms, int32_t *count,
                           struct err *err)
{
	int64_t until_us =
		monotonic_us() +
		(timeout_ms < MISSING_TOPIC_MS ? timeout_ms : MISSING_TOPIC_MS) * INT64_C(1000);

	*count = -1;
	while (!query_partition_count(client, topic, timeout_ms, count, err)) {
		if (err->class != ERR_OPERATOR || *count < 0 || monotonic_us() > until_us ||
		    service_stopping())
			return false;
		poll(NULL, 0, 200);
	}
	return true;
}

/* For librdkafka, a partition that has no leader for a moment is unknown too. So that is
 * ERR_RETRY. */
static bool offset_error(const char *topic, int32_t partition, rd_kafka_resp_err_t code,
                         struct err *err)
{
	return err_set(err, kafka_err_missing_right(code) ? ERR_OPERATOR : ERR_RETRY,
	               "offsets of %s/%" PRId32 ": %s", topic, partition, kafka_err_text(code));
}

bool kafka_offset_range(rd_kafka_t *client, const char *topic, int32_t partition, int timeout_ms,
                        int64_t *low, int64_t *high, struct err *err)
{
	rd_kafka_resp_err_t code =
		rd_kafka_query_watermark_offsets(client, topic, partition, low, high, timeout_ms);

	return code == RD_KAFKA_RESP_ERR_NO_ERROR || offset_error(topic, partition, code, err);
}

bool kafka_offsets_at(rd_kafka_t *client, rd_kafka_topic_partition_list_t *list, int64_t which,
                      int timeout_ms, struct err *err)
{
	rd_kafka_resp_err_t code;
	const rd_kafka_topic_partition_t *failed = &list->elems[0];

	if (list->cnt == 0)
		return true;
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = which;
	code = rd_kafka_offsets_for_times(client, list, timeout_ms);
	for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		failed = &list->elems[i];
		code = failed->err;
	}
	return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
	       offset_error(failed->topic, failed->partition, code, err);
}

static void log_partition_health(const char *topic, const rd_kafka_metadata_partition_t *partition)
{
	if (partition->leader < 0)
		log_warn("partition_offline", log_partition(topic, partition->id),
		         log_str("detail",
		                 "the partition has no leader: start the brokers of its replicas"));
	else
		log_warn("partition_underreplicated", log_partition(topic, partition->id),
		         log_int("in_sync", partition->isr_cnt),
		         log_int("replicas", partition->replica_cnt),
		         log_str("detail",
		                 "writes fail while fewer than min.insync.replicas are in sync"));
}

void kafka_log_partition_health(rd_kafka_t *client, int timeout_ms)
{
	static int64_t last_us; /* only the main thread calls this */
	const struct rd_kafka_metadata *metadata = NULL;
	int64_t now_us = monotonic_us();

	if (last_us != 0 && now_us - last_us < PARTITIONS_LOG_US)
		return;
	last_us = now_us;
	if (rd_kafka_metadata(client, 0, NULL, &metadata, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	for (int t = 0; t < metadata->topic_cnt; t++) {
		const rd_kafka_metadata_topic_t *topic = &metadata->topics[t];

		for (int p = 0; p < topic->partition_cnt; p++) {
			if (topic->partitions[p].leader >= 0 &&
			    topic->partitions[p].isr_cnt >= topic->partitions[p].replica_cnt)
				continue;
			log_partition_health(topic->topic, &topic->partitions[p]);
			break; /* one line per topic is enough */
		}
	}
	rd_kafka_metadata_destroy(metadata);
}
