/* The announced time is the earlier of the times of this row and of the next one. So a wrong time
 * next to a true jump does not move the clocks of the partitions. */
#include "event_clock.h"

#define JUMP_US (INT64_C(12) * 3600 * 1000000)

static int64_t plausible_time(int64_t time_us, int64_t latest_us)
{
	return time_us < EVENT_CLOCK_EARLIEST_US || time_us > latest_us ? EVENT_CLOCK_NONE
	                                                                : time_us;
}

int64_t event_clock_begin(struct event_clock *clock, int64_t first_us, int64_t second_us,
                          int64_t fallback_us, int64_t latest_us)
{
	int64_t first = plausible_time(first_us, latest_us),
		second = plausible_time(second_us, latest_us), begin = first;

	if (begin == EVENT_CLOCK_NONE || (second != EVENT_CLOCK_NONE && second < begin))
		begin = second;
	if (begin == EVENT_CLOCK_NONE)
		begin = plausible_time(fallback_us, latest_us);
	if (begin == EVENT_CLOCK_NONE)
		begin = EVENT_CLOCK_EARLIEST_US;
	if (clock->newest_us == EVENT_CLOCK_NONE)
		clock->newest_us = begin;
	return begin;
}

bool event_clock_row(struct event_clock *clock, int64_t time_us, int64_t next_us, int64_t latest_us)
{
	int64_t time = plausible_time(time_us, latest_us),
		next = plausible_time(next_us, latest_us);

	if (time == EVENT_CLOCK_NONE || time <= clock->newest_us)
		return false;
	if (time - clock->newest_us <= JUMP_US) {
		clock->newest_us = time;
		return false;
	}
	if (next == EVENT_CLOCK_NONE || next <= clock->newest_us + JUMP_US)
		return false;
	clock->newest_us = time < next ? time : next;
	return true;
}
