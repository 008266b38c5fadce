/* The newest event time of a segment, and which jumps ahead are to be announced. Pure.
 *
 * A row more than 12 h ahead of the newest time moves it only if the next row is that far ahead too: a single mad timestamp
 * announces nothing. Times before 2000 or after `latest` count as none. */
#ifndef FUNNEL_EVENT_CLOCK_H
#define FUNNEL_EVENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define EVENT_CLOCK_NONE        INT64_MIN
#define EVENT_CLOCK_EARLIEST_US (INT64_C(946684800) * 1000000) /* 2000-01-01 */

struct event_clock {
	int64_t newest_us; /* EVENT_CLOCK_NONE before begin */
};

/* Where a segment begins: at the earlier of its first two rows' times (one of them may be mad), or at `fallback_us` where neither has one.
 * Later calls (a resumed segment) do not move the clock back. Returns the time to announce. */
int64_t event_clock_begin(struct event_clock *clock, int64_t first_us, int64_t second_us,
                          int64_t fallback_us, int64_t latest_us);

/* Takes a row's time, with that of the row after it. True: announce newest_us before this row. */
bool event_clock_row(struct event_clock *clock, int64_t time_us, int64_t next_us,
                     int64_t latest_us);

#endif
