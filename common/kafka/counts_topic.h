/* Reads the topic of counts to its end: what our services have counted, and whether these records
 * can be read.
 *
 * Both Kafka services write the topic, under keys that only they use. So it shows whether the
 * registry is the one that the topics were written with. */
#ifndef FUNNEL_COUNTS_TOPIC_H
#define FUNNEL_COUNTS_TOPIC_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "registry/frame_decoder.h"
#include "wire/records_counts.h"

struct counts_topic {
	const struct kafka_config *kafka;
	rd_kafka_t *client;           /* for the topic's bounds */
	struct frame_decoder *opener; /* of SCHEMA_COUNTS */
	int32_t own_id;               /* opened without asking the registry; 0: none */
};

/* Gets each committed record that can be read, in the order of its partition. */
typedef void counts_take_fn(void *context, const struct counts_record *record);
/* ERR_OPERATOR: the newest counts of one of our services cannot be read, so the registry has lost its
 * data (schema_loss.h). ERR_RETRY: the registry or a broker does not answer. take may be NULL. */
MUST_USE bool counts_topic_read(const struct counts_topic *topic, counts_take_fn *take,
                                void *context, struct err *err);

#endif
