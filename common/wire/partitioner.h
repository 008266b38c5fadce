/* Keys to partitions as Kafka's Java clients do: murmur2 with seed 0x9747b28c, made
 * positive by clearing the sign bit, modulo the partition count. */
#ifndef FUNNEL_PARTITIONER_H
#define FUNNEL_PARTITIONER_H

#include <stdint.h>

#include "base/span.h"

uint32_t murmur2(struct span key);
int32_t partition_of(struct span key, int32_t partition_count);

#endif
