/* The state of one run of a schedule, as it is kept in the topic of the producer's state: key = the
 * segment, value = JSON. Pure.
 *
 *   {"segment":"data-2019-10-1f2e3d4c5b6a", "input":"data", "month":"2019-10",
 *    "selection":"9a8b7c6d5e4f3a2b", "status":"running", "rows":0, "attempt":1,
 *    "started_at":"2026-01-01T00:00:00Z", "finished_at":null, "newest_event_time":null}
 *
 * Input and selection, and not the segment, decide which schedule a run belongs to: the segment
 * also depends on the path and the times of files, which differ on another host. */
#ifndef FUNNEL_RUN_STATE_H
#define FUNNEL_RUN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "source.h"

enum run_status { RUN_RUNNING, RUN_COMPLETE, RUN_FAILED };

struct run_state {
	char segment[SEGMENT_NAME_MAX], input[SEGMENT_NAME_MAX];
	uint64_t selection;
	int32_t month;
	enum run_status status;
	int64_t rows, attempt;
	int64_t started_us;
	int64_t finished_us; /* 0: not finished */
	int64_t newest_us;   /* newest event time; INT64_MIN: none */
};

/* The value, terminated; the caller frees it. NULL: a name is not valid UTF-8. */
char *run_state_write(const struct run_state *state);
/* False: the value does not have this form. */
bool run_state_read(struct span value, struct run_state *state);

#endif
