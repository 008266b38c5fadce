/* The session half: bronze events of one partition to partial aggregates, visits and late events.
 *
 * A session lives in one partition, so distinct sessions are counted exactly here and partials of
 * different partitions add up. Lateness is judged here, once, by the partition's own watermark. */
#ifndef FUNNEL_SESSION_FOLD_H
#define FUNNEL_SESSION_FOLD_H

#include "event/window.h"
#include "stages.h"
#include "stream/fold.h"
#include "stream/outputs.h"

struct session_fold_config {
	const struct output_context *outputs;
	struct rollup_list rollups;
	struct stages stages;
	int64_t disorder_us; /* watermark = clock - disorder */
	int64_t grace_us;    /* a window takes events until the watermark passes its end by this */
};

extern const struct fold_ops session_fold_ops; /* config: struct session_fold_config */

#endif
