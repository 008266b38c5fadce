/* The merge half: adds the partials of all source partitions to totals. Emits totals, upserted by
 * key. A total becomes final when the combined watermark passes the window's end + grace.
 *
 * An idle source does not hold back the combined watermark. But a total is kept until the watermark
 * of every source, idle or not, has passed it. So no partial comes too late for its total, and no
 * total is replaced by a smaller one. */
#ifndef FUNNEL_MERGE_FOLD_H
#define FUNNEL_MERGE_FOLD_H

#include "base/err.h"
#include "event/window.h"
#include "stream/fold.h"
#include "stream/outputs.h"

#define MERGE_SOURCES_MAX 128 /* watermarks that fit into restore metadata */

struct merge_fold_config {
	const struct output_context *outputs;
	int32_t source_count; /* partitions of bronze */
	int64_t grace_us;
};

/* Checks that restore metadata has room for these rollups and sources. While a list of rollups
 * changes, each rollup of the former and of the new list names the sources that count it. So the
 * check takes twice the list. It holds for event times from 1970 to 2112. ERR_OPERATOR. */
MUST_USE bool merge_fold_fits(int32_t source_count, const struct rollup_list *rollups,
                              struct err *err);

extern const struct fold_ops merge_fold_ops; /* config: struct merge_fold_config */

#endif
