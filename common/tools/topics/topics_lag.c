/* The brokers are asked for the committed offsets of one group after the other, and then for the
 * bounds of each partition. So the numbers of a busy system are not those of one moment.
 *
 * Limits: transaction markers that follow the last record count until the group has committed an
 * offset past them, which takes a fraction of a second. */
#include "topics_lag.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kafka/kafka_topic.h"
#include "topics_groups.h"

struct lag_context {
	rd_kafka_t *client;
	int timeout_ms;
};

static bool partition_lag(rd_kafka_t *client, const rd_kafka_topic_partition_t *committed,
                          int timeout_ms, int64_t *lag, struct err *err)
{
	int64_t low, high, from;

	if (!kafka_offset_range(client, committed->topic, committed->partition, timeout_ms, &low,
	                        &high, err))
		return false;
	from = committed->offset >= 0 ? committed->offset : low;
	*lag = high > from ? high - from : 0;
	return true;
}

/* Prints the partitions of one topic, which are the list's from `first` on. *next: the first of the
 * next topic. */
static bool print_topic(rd_kafka_t *client, const char *group,
                        const rd_kafka_topic_partition_list_t *list, int first, int *next,
                        int timeout_ms, struct err *err)
{
	const char *topic = list->elems[first].topic;
	int64_t sum = 0, largest = 0, lag = 0;
	int i, committed = 0;

	for (i = first; i < list->cnt && strcmp(list->elems[i].topic, topic) == 0; i++) {
		if (!partition_lag(client, &list->elems[i], timeout_ms, &lag, err))
			return false;
		sum += lag;
		largest = lag > largest ? lag : largest;
		committed += list->elems[i].offset >= 0;
	}
	printf("%-30s %-30s %10d %10d %12" PRId64 " %12" PRId64 "\n", group, topic, i - first,
	       committed, sum, largest);
	*next = i;
	return true;
}

static bool print_group(void *context, const char *group,
                        const rd_kafka_topic_partition_list_t *list, struct err *err)
{
	const struct lag_context *lag = context;

	for (int i = 0; i < list->cnt;)
		if (!print_topic(lag->client, group, list, i, &i, lag->timeout_ms, err))
			return false;
	return true;
}

bool topics_lag_print(rd_kafka_t *client, const char *prefix, const int32_t partitions[TOPIC_COUNT],
                      int timeout_ms, struct err *err)
{
	struct lag_context context = {client, timeout_ms};

	printf("%-30s %-30s %10s %10s %12s %12s\n", "GROUP", "TOPIC", "PARTITIONS", "COMMITTED",
	       "LAG", "LARGEST");
	return topics_groups_visit(client, prefix, partitions, timeout_ms, print_group, &context,
	                           err);
}
