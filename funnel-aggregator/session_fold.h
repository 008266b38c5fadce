/* The session half: folds the bronze events of one partition into partials, visits and late events.
 *
 * All events of a session are in one partition. So this fold counts distinct sessions exactly, and
 * partials of different partitions can be added. Only this half decides whether an event is late.
 * It compares the event with the watermark of its partition. */
#ifndef FUNNEL_SESSION_FOLD_H
#define FUNNEL_SESSION_FOLD_H

#include "event/window.h"
#include "stages.h"
#include "stream/fold.h"
#include "stream/outputs.h"

enum abandoned_carts { CARTS_OFF, CARTS_PSEUDONYMOUS, CARTS_PLAIN };

struct session_fold_config {
	const struct output_context *outputs;
	struct rollup_list rollups;
	struct stages stages;
	int64_t disorder_us; /* watermark = clock - disorder */
	enum abandoned_carts abandoned_carts;
	const char *salt; /* of pseudonyms */
	int64_t grace_us; /* a window takes events until the watermark is at its end + grace */
};

extern const struct fold_ops session_fold_ops; /* config: struct session_fold_config */

#endif
