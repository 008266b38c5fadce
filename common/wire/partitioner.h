/* The partition of a key, as Kafka's Java clients compute it: murmur2 with the seed 0x9747b28c, the
 * sign bit cleared, modulo the number of partitions. */
#ifndef FUNNEL_PARTITIONER_H
#define FUNNEL_PARTITIONER_H

#include <stdint.h>

#include "base/span.h"

uint32_t murmur2(struct span key);
int32_t partition_of(struct span key, int32_t partition_count);

#endif
