/* Raw records to bronze events: validate, standardise, de-duplicate; everything else to the
 * dead letter with its reason. rows in = bronze + duplicates + dead letters, always. */
#ifndef FUNNEL_BRONZE_FOLD_H
#define FUNNEL_BRONZE_FOLD_H

#include "stream/fold.h"
#include "stream/outputs.h"

struct bronze_fold_config {
	const struct output_context *outputs;
	int32_t partition_count;  /* of raw, and so of bronze */
	int64_t dedup_horizon_us; /* event time behind the clock over which repeats are known */
	bool dedup_by_source;     /* ids of source file and row instead of content */
};

extern const struct fold_ops bronze_fold_ops; /* config: struct bronze_fold_config */

#endif
