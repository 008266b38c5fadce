/* The keys are those of output_counts: service|topic|partition.
 *
 * Limit: a client with the right to write to the topic can write a record that cannot be read under
 * such a key. The services then refuse to start. */
#include "stream/unreadable_counts.h"

#include <stdio.h>

#include "base/number.h"

static const struct {
	const char *service, *input_suffix;
} writers[COUNTS_SERVICES] = {{"bronze-sink", "raw_events"},
                              {"funnel-aggregator", "bronze_events"}};

/* The input partition in a key of this writer; -1: the key is not one of this writer's. */
static int64_t partition_of_key(struct span key, size_t writer, const char *topic_prefix)
{
	char text[512], start[400];
	int64_t partition;
	size_t len = (size_t)snprintf(start, sizeof(start), "%s|%s%s|", writers[writer].service,
	                              topic_prefix, writers[writer].input_suffix);

	if (!key.at || key.len >= sizeof(text) || len >= sizeof(start) || key.len <= len ||
	    memcmp(key.at, start, len) != 0)
		return -1;
	memcpy(text, key.at + len, key.len - len);
	text[key.len - len] = '\0';
	return number_parse(text, &partition) && partition < COUNTS_PARTITIONS_MAX ? partition : -1;
}

void unreadable_counts_add(struct unreadable_counts *unread, const char *topic_prefix,
                           struct span key, const struct framed_record *record, enum reason reason)
{
	for (size_t writer = 0; writer < COUNTS_SERVICES; writer++) {
		int64_t partition = partition_of_key(key, writer, topic_prefix);

		if (partition >= 0)
			unread->newest[writer][partition] =
				(struct unreadable_record){reason, record->offset,
			                                   record->partition, record->schema_id};
	}
}

bool unreadable_counts_check(const struct unreadable_counts *unread, const char *topic,
                             struct err *err)
{
	for (size_t writer = 0; writer < COUNTS_SERVICES; writer++) {
		for (size_t i = 0; i < COUNTS_PARTITIONS_MAX; i++) {
			const struct unreadable_record *newest = &unread->newest[writer][i];
			const struct framed_record record = {topic, newest->offset,
			                                     newest->partition, newest->schema_id};

			if (schema_loss_suspected(newest->reason))
				return schema_loss_error(err, &record, newest->reason);
		}
	}
	return true;
}
