/* Is a topic's log still the one that was read? Answered by one record of each partition, read
 * again at its offset (core/record_mark.h). Works with every broker and library: topic ids, which
 * would say it too, are not in librdkafka 2.0.2. */
#ifndef FUNNEL_SAME_LOG_H
#define FUNNEL_SAME_LOG_H

#include "kafka.h"
#include "record_mark.h"

#define WAY_ON_FRESH_SET                                                                           \
	"the way on is to process into a fresh set: another TOPIC_PREFIX and another database, then "      \
	"switch (deploy/README.md, 'When a service refuses to start')"

struct log_question {
	const char *topic;
	int32_t partition;
	bool compacted;          /* a record that is missing proves nothing */
	struct record_mark mark; /* without a record: not looked at */
	bool answered;           /* for same_log's own use */
};

/* True: each marked record stands at its offset, or the log begins after it (or was compacted), so
 * that nothing can be said. ERR_REFUSE: another record is there, or none: the topic was deleted and
 * created again; also a missing right. ERR_RETRY: the broker has not answered. ERR_FENCED: the
 * client does not end. Reports the process as alive. */
MUST_USE bool same_log(const struct kafka_config *config, struct log_question *questions,
                       size_t count, struct err *err);

/* Says why `position` cannot be read from a log, by its bounds: ERR_REFUSE, with the way on.
 * ERR_RETRY: the broker has not answered. Always false. */
bool same_log_out_of_range(rd_kafka_t *client, const char *topic, int32_t partition,
                           int64_t position, struct err *err);

#endif
