/* Reads topics between two offsets, and estimates the clocks of bronze-sink. */
#include "redrive_read.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/reason.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_error.h"
#include "kafka/kafka_topic.h"
#include "redrive_rules.h"
#include "registry/frame_decoder.h"
#include "stream/control.h"
#include "stream/fold.h"
#include "stream/record.h"
#include "stream/task.h"
#include "wire/records_bronze.h"

#define READ_TIMEOUT_MS 120000 /* a read without a record for this long fails */
#define TAIL_RECORDS    2000   /* last records of a bronze partition that are read for its clock */

rd_kafka_t *redrive_client(struct redrive *redrive, enum kafka_role role, const char *const *extra,
                           struct err *err)
{
	rd_kafka_conf_t *conf =
		kafka_conf_new(&redrive->config->kafka, role, "redrive", extra, err);

	return conf ? kafka_client_new(conf, role, err) : NULL;
}

void redrive_client_close(rd_kafka_t *client)
{
	if (client && rd_kafka_type(client) == RD_KAFKA_CONSUMER)
		rd_kafka_consumer_close(client);
	if (client)
		rd_kafka_destroy(client);
}

bool redrive_read(struct redrive *redrive, const char *topic, int32_t partitions,
                  const int64_t *from, const int64_t *to, topic_take_fn *take, struct err *err)
{
	struct topic_reading reading = {topic,           partitions, from,    to,
	                                READ_TIMEOUT_MS, take,       redrive, NULL};

	return topic_read(&redrive->config->kafka, &reading, err);
}

/* ---- the clocks */

static bool take_bronze(void *context, const struct input_record *record, bool *enough,
                        struct err *err)
{
	struct redrive *redrive = context;
	struct partition_clock *clock = &redrive->clocks[record->partition];
	struct control control = control_read(record);
	struct bronze_event bronze;
	enum reason reason = REASON_NONE;
	struct span body;

	(void)enough;
	if (control.kind == CONTROL_BEGIN || control.kind == CONTROL_JUMP)
		clock_announce(clock, control.event_time_us, record->timestamp_ms * 1000);
	if (!record->value.at)
		return true;
	if (!frame_decode(redrive->decoder, record->value, &body, &reason, NULL, 0, err))
		return false;
	if (reason == REASON_NONE && bronze_decode(body, &bronze, NULL)) {
		struct clock_event event = bronze_clock_event(&bronze, record->timestamp_ms);

		clock_follow(clock, &event);
	}
	return true;
}

/* An empty clock takes the time of the first event, as that of an empty partition does. A clock in
 * the middle of a log must not do that: while the last records are read, 1970 stands for "not
 * known". */
static void clock_before_tail(struct partition_clock *clock, const char *header)
{
	if (!clock_parse(span_of(header), clock))
		clock_init(clock);
	if (clock_now(clock) == CLOCK_NONE)
		clock->announced_us = 0;
}

static bool read_sink_offsets(struct redrive *redrive, struct err *err)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(redrive->raw_partitions);
	rd_kafka_resp_err_t code;

	rd_kafka_topic_partition_list_add_range(list, redrive->raw, 0, redrive->raw_partitions - 1);
	code = rd_kafka_committed(redrive->metadata_client, list, REDRIVE_CALL_MS);
	for (int i = 0; !code && i < list->cnt; i++) {
		char fingerprint[TASK_FINGERPRINT_MAX] = "", header[FOLD_SNAPSHOT_MAX] = "";
		struct span metadata = {list->elems[i].metadata, list->elems[i].metadata_size};

		if (metadata.at && task_metadata_read(metadata, fingerprint, header))
			redrive->params.horizon_us = redrive_horizon(fingerprint);
		clock_before_tail(&redrive->clocks[list->elems[i].partition], header);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return !code ||
	       err_set(err, ERR_RETRY, "cannot read the committed offsets of bronze-sink: %s",
	               kafka_err_text(code));
}

bool redrive_read_clocks(struct redrive *redrive, struct err *err)
{
	int64_t *from = xrealloc(NULL, (size_t)redrive->raw_partitions * 2 * sizeof(*from)),
		*to = from + redrive->raw_partitions;
	bool ok;

	redrive->clocks =
		xrealloc(NULL, (size_t)redrive->raw_partitions * sizeof(*redrive->clocks));
	redrive->params.clocks = redrive->clocks;
	ok = read_sink_offsets(redrive, err);
	for (int32_t p = 0; ok && p < redrive->raw_partitions; p++) {
		ok = kafka_offset_range(redrive->metadata_client, redrive->bronze, p,
		                        REDRIVE_CALL_MS, &from[p], &to[p], err);
		if (ok && to[p] - from[p] > TAIL_RECORDS)
			from[p] = to[p] - TAIL_RECORDS;
	}
	ok = ok && redrive_read(redrive, redrive->bronze, redrive->raw_partitions, from, to,
	                        take_bronze, err);
	for (int32_t p = 0; ok && p < redrive->raw_partitions; p++)
		if (clock_now(&redrive->clocks[p]) == 0)
			clock_init(&redrive->clocks[p]);
	free(from);
	return ok;
}
