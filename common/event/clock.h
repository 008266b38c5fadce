/* The event-time clock of one partition.
 *
 * The clock is the newest event time that two different users have reached, or that a control has
 * announced, whichever is later. So one wrong timestamp never moves it. The first event of an empty
 * partition sets it. In microseconds; CLOCK_NONE before the first event or control. */
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
	int64_t control_us; /* newest announced time, or that of the first event */
};

void clock_init(struct partition_clock *clock);
int64_t clock_now(const struct partition_clock *clock);
/* Call for each accepted event. */
void clock_event(struct partition_clock *clock, int64_t event_time_us, int64_t user_id);
/* Call for each control with an event time. A time after the record's own time counts as that. */
void clock_control(struct partition_clock *clock, int64_t announced_us, int64_t record_time_us);
/* Whether an event lies too far in the future. It does if it is more than 24 h after the clock.
 * Live traffic is an exception: if the clock is at most 30 days before the record's own time, the
 * event may be up to 5 minutes after the record's own time. Without a clock, only the 5 minutes
 * apply. */
bool clock_is_future(const struct partition_clock *clock, int64_t event_time_us,
                     int64_t record_time_us);

/* The form in restore metadata: "first,user,second,control", in decimal. */
#define CLOCK_TEXT_MAX 96
size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX]);
bool clock_parse(struct span text, struct partition_clock *clock);

#endif
