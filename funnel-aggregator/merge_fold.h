/* The merge half: partials of all source partitions to totals, upserted by key, and marked final
 * once every source has passed the window's end and grace.
 *
 * Idleness of a source is only about the mark: a total is kept until every source's own watermark has
 * passed it, so no partial is ever dropped and no total replaced by less. */
#ifndef FUNNEL_MERGE_FOLD_H
#define FUNNEL_MERGE_FOLD_H

#include "base/err.h"
#include "event/window.h"
#include "stream/fold.h"
#include "stream/outputs.h"

#define MERGE_SOURCES_MAX 128 /* so many watermarks fit into restore metadata */

struct merge_fold_config {
	const struct output_context *outputs;
	int32_t source_count; /* partitions of bronze */
	int64_t grace_us;
};

/* Whether restore metadata has room for these rollups and their sources, also half-way through a change from another list that has:
 * then each rollup of both lists names the sources that count it. For event times from 1970 to 2112. ERR_OPERATOR. */
MUST_USE bool merge_fold_fits(int32_t source_count, const struct rollup_list *rollups,
                              struct err *err);

extern const struct fold_ops merge_fold_ops; /* config: struct merge_fold_config */

#endif
