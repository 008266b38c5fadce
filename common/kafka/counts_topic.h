/* Reads the counts topic to its end: the counts of our services, and whether their records can be
 * decoded.
 *
 * Both Kafka services write the topic, under keys that only they use. So undecodable records show
 * that this is not the registry that the topics were written with. */
#ifndef FUNNEL_COUNTS_TOPIC_H
#define FUNNEL_COUNTS_TOPIC_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "registry/frame_decoder.h"
#include "wire/records_counts.h"

struct counts_topic {
	const struct kafka_config *kafka;
	rd_kafka_t *client;            /* to query the topic's offset range */
	struct frame_decoder *decoder; /* of SCHEMA_COUNTS */
	int32_t own_id; /* schema id that needs no look-up in the registry; 0: none */
	/* Read to the log end, not only to the first open transaction: waits for the end of all
	 * transactions that are open now. ERR_RETRY: one does not end. */
	bool with_open;
};

/* Called for each committed record that can be decoded, in offset order. */
typedef void counts_take_fn(void *context, const struct counts_record *record);
/* ERR_OPERATOR: the newest counts of one of our services cannot be decoded, so the registry has
 * lost its data (schema_loss.h). ERR_RETRY: the registry or a broker does not answer. take may be
 * NULL. */
MUST_USE bool counts_topic_read(const struct counts_topic *topic, counts_take_fn *take,
                                void *context, struct err *err);

#endif
