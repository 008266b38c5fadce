/* Records of __consumer_offsets, Kafka's own log of committed offsets, read for what a group has committed. Pure.
 *
 * Source: Kafka's OffsetCommitKey.json (versions 0 and 1) and OffsetCommitValue.json (versions 0 to 4), and how it finds a group's
 * partition: the hash of Java's String, without its sign, modulo the number of partitions. */
#ifndef FUNNEL_GROUP_OFFSETS_H
#define FUNNEL_GROUP_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

struct group_offset {
	struct span group, topic, metadata; /* borrowed from the record */
	int64_t offset;                     /* -1: deleted */
	int32_t partition;
};

/* False where the record is of another kind, or cannot be read. A value without bytes (at == NULL) deletes. */
MUST_USE bool group_offset_read(struct span key, struct span value, struct group_offset *out);

/* group: ASCII, as all of ours are. */
int32_t group_offsets_partition(struct span group, int32_t partition_count);

#endif
