/* The newest event time of a raw topic, from the last records of its partitions. */
#ifndef FUNNEL_TOPIC_CLOCK_H
#define FUNNEL_TOPIC_CLOCK_H

#include <librdkafka/rdkafka.h>
#include <stdint.h>

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/record.h"

#define TOPIC_CLOCK_NONE INT64_MIN

/* The newest time that records of two different keys of a partition have reached, or that a record
 * announces. So one event with a wrong clock is not the newest time. */
struct topic_clock {
	int64_t announced_us;        /* of controls and of the header source_clock */
	int64_t first_us, second_us; /* of the records' own times, with different keys */
	uint64_t first_key;
};
void topic_clock_init(struct topic_clock *clock);
/* Takes one record. Ignores times after latest_us. */
void topic_clock_take(struct topic_clock *clock, const struct input_record *record,
                      int64_t latest_us);
int64_t topic_clock_newest(const struct topic_clock *clock);

/* *newest_us: TOPIC_CLOCK_NONE if the partitions are empty. ERR_OPERATOR: a right is missing.
 * ERR_RETRY: a broker does not answer. */
MUST_USE bool topic_clock_read(const struct kafka_config *config, rd_kafka_t *client,
                               const char *topic, int32_t partition_count, int64_t *newest_us,
                               struct err *err);

#endif
