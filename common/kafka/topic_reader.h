/* Reads a topic between two offsets of each partition. Uses its own client, which joins no group
 * and commits nothing. */
#ifndef FUNNEL_TOPIC_READER_H
#define FUNNEL_TOPIC_READER_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/record.h"

/* Called for each committed record, in offset order. record is borrowed for the call. *done =
 * true ends the reading. False: failed, err is set. */
typedef bool topic_take_fn(void *context, const struct input_record *record, bool *done,
                           struct err *err);

struct topic_reading {
	const char *topic;
	int32_t partition_count;
	/* Per partition: the first offset and the end (exclusive). from >= to: read nothing. */
	const int64_t *from, *to;
	/* Gives up after this time without a record, for example after an open transaction. */
	int silence_ms;
	topic_take_fn *take;
	void *context;
	/* Optional: topic_read_all sets it to true if records were deleted from the start. */
	bool *deleted;
};

/* True: read each partition to its `to`, or `take` has set *done. ERR_RETRY: an end was not
 * reached, retention has removed records that were to be read, or a stop was requested.
 * ERR_OPERATOR: a right is missing. ERR_FENCED: the client does not end. Calls health_alive()
 * meanwhile. */
MUST_USE bool topic_read(const struct kafka_config *config, const struct topic_reading *reading,
                         struct err *err);
/* Reads all records that are committed now. Ignores `from` and `to`. partition_count 0: all
 * partitions. Queries partitions and offset ranges with `client`. */
MUST_USE bool topic_read_all(const struct kafka_config *config, rd_kafka_t *client,
                             const struct topic_reading *reading, struct err *err);

/* kafka_offset_range up to the log end, not only up to the first open transaction: that one may
 * be about to commit. ERR_FENCED: the client does not end. */
MUST_USE bool topic_range_with_open(const struct kafka_config *config, const char *topic,
                                    int32_t partition, int timeout_ms, int64_t *low, int64_t *end,
                                    struct err *err);

#endif
