/* A topic read between two offsets of each partition, by a client of its own, which joins no group and commits nothing. */
#ifndef FUNNEL_TOPIC_READER_H
#define FUNNEL_TOPIC_READER_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/record.h"

/* Gets every committed record, in the order of its partition; it is borrowed for the call. false:
 * failed, with err. */
typedef bool topic_take_fn(void *context, const struct input_record *record, bool *enough,
                           struct err *err);

struct topic_reading {
	const char *topic;
	int32_t partition_count;
	const int64_t *from,
		*to; /* per partition: the first offset, and the one behind the last; nothing is read where from >= to */
	int quiet_ms; /* gives up when nothing comes for so long, as behind a transaction that stays open */
	topic_take_fn *take;
	void *context;
};

/* True when every partition is read to its end, or `take` has said that it has seen enough. ERR_RETRY: the end was not reached, or
 * retention has removed what was to be read, or a signal has stopped it; ERR_OPERATOR: a right is missing; ERR_FENCED: the client
 * does not end. Tells the health check that it is alive. */
MUST_USE bool topic_read(const struct kafka_config *config, const struct topic_reading *reading,
                         struct err *err);
/* Reads everything that is committed now: `from` and `to` are not looked at; partition_count 0: all
 * partitions. The client is asked for bounds and partitions. */
MUST_USE bool topic_read_all(const struct kafka_config *config, rd_kafka_t *client,
                             const struct topic_reading *reading, struct err *err);

/* kafka_offset_range of the log itself: to its end, and not only to the first open transaction, which could be one that is being committed.
 * ERR_FENCED as above. */
MUST_USE bool topic_bounds_with_open(const struct kafka_config *config, const char *topic,
                                     int32_t partition, int timeout_ms, int64_t *low, int64_t *end,
                                     struct err *err);

#endif
