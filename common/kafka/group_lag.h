/* The lag of a consumer group in one partition, under the name and labels of kafka_exporter. So
 * dashboards for that program show our groups too. The same formula: the high watermark minus the
 * committed offset. Only the instance that has the partition shows it. */
#ifndef FUNNEL_GROUP_LAG_H
#define FUNNEL_GROUP_LAG_H

#include <stdint.h>

#include "service/metrics.h"

/* The name of the group is topic_prefix and group. Set the gauge with group_lag_set; METRIC_ABSENT
 * when the partition is revoked. */
struct metric *group_lag_metric(const char *topic_prefix, const char *group, const char *topic,
                                int32_t partition);
/* high: -1: not known yet, which changes nothing. */
void group_lag_set(struct metric *metric, int64_t high, int64_t committed);

#endif
