/* What bronze-sink refused of the rows that this process has sent, by reason.
 *
 * A row is refused if the dead-letter topic has its partition and offset. The numbers are complete
 * when the committed offsets of bronze-sink are past the last row, because bronze-sink commits them
 * in the transaction of its dead letters. This needs a running bronze-sink, and the right to read
 * its committed offsets and the dead-letter topic.
 *
 * Limit: rows that another producer sends to the same topic at the same time count too. */
#ifndef FUNNEL_REJECTS_H
#define FUNNEL_REJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "acks.h"
#include "base/err.h"
#include "event/reason.h"
#include "kafka/kafka_conf.h"

#define REJECT_EXAMPLE_MAX 128

struct rejects {
	int64_t total;
	int64_t rows[REASON_COUNT];
	char examples[REASON_COUNT][REJECT_EXAMPLE_MAX]; /* detail of the first row; may be "" */
	struct rejects_reader *reader;
};

/* Call before the first row is sent: notes where both topics end. ERR_RETRY: no broker answers,
 * call again. */
MUST_USE bool rejects_begin(struct rejects *rejects, const struct kafka_config *kafka,
                            const char *raw_topic, int32_t partition_count, struct err *err);
/* Call when all rows are acknowledged. *lag: records up to the last one that bronze-sink has not
 * processed; 0: the rows are counted now. ERR_RETRY: no broker answers, call again. */
MUST_USE bool rejects_count(struct rejects *rejects, const struct checkpoint *sent, int64_t *lag,
                            struct err *err);
/* Whether the share of refused rows is within the limit, and a row was accepted. False:
 * ERR_REFUSED. limit_text: the limit as it was set. Pure. */
MUST_USE bool rejects_within(int64_t rows, int64_t refused, int64_t limit_ppm,
                             const char *limit_text, struct err *err);
void rejects_fini(struct rejects *rejects);

#endif
