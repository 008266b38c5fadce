/* Transaction markers count as records until the group has committed an offset past them. */
#include "kafka/group_lag.h"

#include <inttypes.h>
#include <stdio.h>

#include "wire/topics.h"

struct metric *group_lag_metric(const char *topic_prefix, const char *group, const char *topic,
                                int32_t partition)
{
	char labels[3 * TOPIC_NAME_MAX];

	snprintf(labels, sizeof(labels),
	         "consumergroup=\"%s%s\",topic=\"%s\",partition=\"%" PRId32 "\"", topic_prefix,
	         group, topic, partition);
	return metric_get(METRIC_GAUGE_UNPREFIXED, "kafka_consumergroup_lag", labels,
	                  "offsets from the committed offset of the group to the high watermark");
}

void group_lag_set(struct metric *metric, int64_t high, int64_t committed)
{
	if (high >= 0)
		metric_set(metric, high > committed ? high - committed : 0);
}
