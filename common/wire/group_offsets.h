/* Records of __consumer_offsets, Kafka's log of committed offsets. Pure.
 *
 * Source: Kafka's OffsetCommitKey.json (versions 0 and 1) and OffsetCommitValue.json (versions 0 to
 * 4). A group's partition is the absolute value of Java's String.hashCode of its name, modulo the
 * number of partitions. */
#ifndef FUNNEL_GROUP_OFFSETS_H
#define FUNNEL_GROUP_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

struct group_offset {
	struct span group, topic, metadata; /* borrowed from the record */
	int64_t offset;                     /* -1: the committed offset was deleted */
	int32_t partition;
};

/* False if the record is of another kind, or cannot be read. A null value (at == NULL) deletes the
 * committed offset. */
MUST_USE bool group_offset_read(struct span key, struct span value, struct group_offset *out);

/* The partition of __consumer_offsets that has the group. group: ASCII, as all of ours are. */
int32_t group_offsets_partition(struct span group, int32_t partition_count);

#endif
