/* The newest event time of a segment, and the jumps ahead that have to be announced. Pure.
 *
 * A row more than 12 h ahead of the newest time moves it only if the next row is that far ahead
 * too. So a single wrong timestamp announces nothing. Times before 2000 and after `latest` count as
 * no time. */
#ifndef FUNNEL_EVENT_CLOCK_H
#define FUNNEL_EVENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define EVENT_CLOCK_NONE        INT64_MIN
#define EVENT_CLOCK_EARLIEST_US (INT64_C(946684800) * 1000000) /* 2000-01-01 */

struct event_clock {
	int64_t newest_us; /* EVENT_CLOCK_NONE before event_clock_begin */
};

/* The time at which a segment begins: the earlier of the times of its first two rows, as one of
 * them may be wrong; fallback_us if neither has a time. Returns the time to announce. A later call
 * (for a resumed segment) does not move the clock back. */
int64_t event_clock_begin(struct event_clock *clock, int64_t first_us, int64_t second_us,
                          int64_t fallback_us, int64_t latest_us);

/* Takes the time of a row and of the row after it. True: announce newest_us before this row. */
bool event_clock_row(struct event_clock *clock, int64_t time_us, int64_t next_us,
                     int64_t latest_us);

#endif
