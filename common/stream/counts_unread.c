/* The keys are those of output_counts: service|topic|partition. Limit: a client with the right to
 * write to the topic can write under such a key, and so keep the services from starting. */
#include "stream/counts_unread.h"

#include <stdio.h>

#include "base/number.h"

static const struct {
	const char *service, *input_suffix;
} writers[COUNTS_SERVICES] = {{"bronze-sink", "raw_events"},
                              {"funnel-aggregator", "bronze_events"}};

/* The partition that a key of this writer names; -1: another key. */
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

void counts_unread_note(struct counts_unread *unread, const char *topic_prefix, struct span key,
                        const struct schema_place *place, enum reason reason)
{
	for (size_t writer = 0; writer < COUNTS_SERVICES; writer++) {
		int64_t partition = partition_of_key(key, writer, topic_prefix);

		if (partition >= 0)
			unread->newest[writer][partition] =
				(struct counts_refusal){reason, place->offset, place->partition,
			                                place->schema_id};
	}
}

bool counts_unread_none(const struct counts_unread *unread, const char *topic, struct err *err)
{
	for (size_t writer = 0; writer < COUNTS_SERVICES; writer++) {
		for (size_t i = 0; i < COUNTS_PARTITIONS_MAX; i++) {
			const struct counts_refusal *refusal = &unread->newest[writer][i];

			if (schema_loss_shows(refusal->reason))
				return schema_loss_refuse(
					err,
					&(struct schema_place){topic, refusal->offset,
				                               refusal->partition,
				                               refusal->schema_id},
					refusal->reason);
		}
	}
	return true;
}
