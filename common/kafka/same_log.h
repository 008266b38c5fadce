/* Checks whether a topic's log is still the one that was read: one record of each partition is read
 * again at its offset (core/record_mark.h). This works with every broker and library; topic ids,
 * which would show it too, are not in librdkafka 2.0.2. */
#ifndef FUNNEL_SAME_LOG_H
#define FUNNEL_SAME_LOG_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/record_mark.h"

struct log_question {
	const char *topic;
	int32_t partition;
	bool compacted;          /* a missing record proves nothing */
	struct record_mark mark; /* RECORD_MARK_NONE: the partition is not looked at */
	bool answered;           /* for same_log's own use */
};

/* True: each marked record is at its offset, or cannot be looked for since the log begins after it
 * or was compacted. ERR_OPERATOR: the offset holds another record or none, so the topic was deleted
 * and created again; also a missing right. ERR_RETRY: the broker has not answered. ERR_FENCED: the
 * client does not end. Reports the process as alive. */
MUST_USE bool same_log(const struct kafka_config *config, struct log_question *questions,
                       size_t count, struct err *err);

/* Sets why `position` cannot be read from a log, by the log's bounds: ERR_OPERATOR, with what to do.
 * ERR_RETRY: the broker has not answered. Always false. */
bool same_log_out_of_range(rd_kafka_t *client, const char *topic, int32_t partition,
                           int64_t position, struct err *err);

#endif
