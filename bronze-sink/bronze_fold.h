/* Turns raw records into bronze events: validates, standardises and de-duplicates. Everything
 * else goes to the dead letters with its reason. rows in = bronze + duplicates + dead letters,
 * always. */
#ifndef FUNNEL_BRONZE_FOLD_H
#define FUNNEL_BRONZE_FOLD_H

#include "event/event_rules.h"
#include "stream/fold.h"
#include "stream/outputs.h"

struct bronze_fold_config {
	const struct output_context *outputs;
	int32_t partition_count; /* of raw_events, and of bronze_events */
	/* event time before the clock within which duplicates are recognised */
	int64_t dedup_horizon_us;
	bool dedup_by_source;            /* ids from source file and row, not from the content */
	const struct event_rules *rules; /* NULL: the default rules */
};

extern const struct fold_ops bronze_fold_ops; /* config: struct bronze_fold_config */

#endif
