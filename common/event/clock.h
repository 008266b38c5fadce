/* The event-time clock of one partition.
 *
 * It stands at the newest event time that two different users have reached, or that a
 * control announced, whichever is later; so one mad timestamp never moves it. The first
 * event of an empty partition sets it. Microseconds; CLOCK_NONE before anything came. */
#ifndef FUNNEL_CLOCK_H
#define FUNNEL_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define CLOCK_NONE INT64_MIN

struct partition_clock {
	int64_t first_us;   /* newest time of any user */
	int64_t first_user; /* that user */
	int64_t second_us;  /* newest time among all other users */
	int64_t control_us; /* newest announced time */
};

void clock_init(struct partition_clock *clock);
int64_t clock_now(const struct partition_clock *clock);
/* Takes an accepted event. */
void clock_event(struct partition_clock *clock, int64_t event_time_us, int64_t user_id);
/* Takes a control's announced time, cut to the record's own time. */
void clock_control(struct partition_clock *clock, int64_t announced_us, int64_t record_time_us);
/* Whether an event is too far ahead: more than 24 h ahead of the clock, unless the clock is within 30 days of
 * the record's own time and the event at most 5 minutes ahead of that. On an empty partition only the latter counts. */
bool clock_is_future(const struct partition_clock *clock, int64_t event_time_us,
                     int64_t record_time_us);

/* Text form for restore metadata: "first,user,second,control" in decimal. */
#define CLOCK_TEXT_MAX 96
size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX]);
bool clock_parse(struct span text, struct partition_clock *clock);

#endif
