/* Checks whether a topic's log is still the one that was read, by reading one record of each
 * partition again at its offset (stream/record_mark.h). This works with every broker and library.
 * Topic ids would show it too, but librdkafka 2.0.2 does not have them. */
#ifndef FUNNEL_SAME_LOG_H
#define FUNNEL_SAME_LOG_H

#include "base/err.h"
#include "kafka/kafka_conf.h"
#include "stream/record_mark.h"

struct log_check {
	const char *topic;
	int32_t partition;
	bool compacted;          /* a missing record proves nothing */
	struct record_mark mark; /* the record to look for; RECORD_MARK_NONE: skip the partition */
	bool done;               /* used by same_log */
};

/* True: each marked record is at its offset, or cannot be checked, because the log begins after
 * it or was compacted. ERR_OPERATOR: there is another record at the offset or none, so the topic
 * was deleted and created again; or a right is missing. ERR_RETRY: a broker has not answered.
 * ERR_FENCED: the client does not end. Calls health_alive() meanwhile. */
MUST_USE bool same_log(const struct kafka_config *config, struct log_check *checks, size_t count,
                       struct err *err);

/* Explains why the log has no record at `position`, by its offset range. ERR_FENCED: the log
 * begins after it, and the next start has to decide whether a record is lost. ERR_OPERATOR: the
 * message says what to do. ERR_RETRY: the broker has not answered. Always false. */
bool same_log_out_of_range(rd_kafka_t *client, const char *topic, int32_t partition,
                           int64_t position, struct err *err);

#endif
