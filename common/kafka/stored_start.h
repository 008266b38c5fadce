/* Where a consumer starts in a partition, if it stores its offsets outside Kafka: pg-loader and the
 * lake. */
#ifndef FUNNEL_STORED_START_H
#define FUNNEL_STORED_START_H

#include <stdint.h>

#include "base/err.h"
#include "kafka/intake.h"

/* Checks the stored offset (OFFSET_NONE: none) against the log bounds of the partition. If there is
 * none, *start gets the first offset of the log. Otherwise *start stays as it is.
 * place: where the offset is stored, such as "processed.loader_offsets". advice: what to do if
 * retention has removed records after it.
 * *past_end_since_us: since when the offset is past the log end; the caller keeps it, first 0.
 * ERR_RETRY: past the log end, for less than 10 s: a broker that has just started may show too
 * little. ERR_OPERATOR: past it for longer, or retention has removed records after the offset. */
MUST_USE bool stored_start(const struct assigned_partition *partition, const char *place,
                           const char *advice, int64_t stored, int64_t *past_end_since_us,
                           int64_t *start, struct err *err);

#endif
