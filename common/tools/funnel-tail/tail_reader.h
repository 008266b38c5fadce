/* The Kafka side of funnel-tail: topics of the set, their offsets, and records from given offsets
 * on. Its consumer is assigned by hand: it joins no group and commits nothing. It reads committed
 * records only. */
#ifndef FUNNEL_TAIL_READER_H
#define FUNNEL_TAIL_READER_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/record.h"
#include "wire/topics.h"

struct tail_reader;

/* NULL with ERR_INPUT (settings) or ERR_OPERATOR. The reader borrows config. */
struct tail_reader *tail_reader_new(const struct kafka_config *config, struct err *err);
void tail_reader_free(struct tail_reader *reader);

/* A topic of the set with its partitions. Offsets are per partition; `to` is the end of the
 * committed records, exclusive. */
struct tail_topic {
	enum topic_id id;
	char name[TOPIC_NAME_MAX + 1];
	int32_t partitions;
	int64_t *from, *to; /* owned */
};
/* Asks the brokers. Waits up to 10 s for an answer, less after a stop request. ERR_OPERATOR: the
 * topic does not exist; the message names TOPIC_PREFIX. ERR_RETRY: no broker answers; the message
 * names KAFKA_BROKERS. */
MUST_USE bool tail_topic_open(struct tail_reader *reader, enum topic_id id,
                              struct tail_topic *topic, struct err *err);
void tail_topic_close(struct tail_topic *topic);
/* Sets offsets[p] to the first record of each partition whose time is time_us or later, or to
 * `to`. */
MUST_USE bool tail_topic_offsets_at(struct tail_reader *reader, const struct tail_topic *topic,
                                    int64_t time_us, int64_t *offsets, struct err *err);

/* Begins to read all partitions of these topics, from topic.from on. Call once. */
MUST_USE bool tail_reader_start(struct tail_reader *reader, const struct tail_topic *topics,
                                int count, struct err *err);

enum tail_event {
	TAIL_NOTHING, /* within the timeout */
	TAIL_RECORD,  /* *record is valid until the next call */
	TAIL_END,     /* a partition: record->topic, ->partition; the next offset is ->offset */
	TAIL_FAILED,  /* err is set */
};
enum tail_event tail_reader_poll(struct tail_reader *reader, int timeout_ms,
                                 struct input_record *record, struct err *err);
/* Why no record can come now, as a sentence; "": nothing is known to be wrong. */
const char *tail_reader_trouble(struct tail_reader *reader);

#endif
