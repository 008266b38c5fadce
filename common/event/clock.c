/* The clock is the second largest of the users' newest times. Two values are enough to keep it: the
 * largest time with its user, and the largest time of all other users. When another user reaches
 * the largest time, the former largest time becomes that of the others.
 *
 * Rejected: the newest time of every user, which needs memory without bound. */
#include "event/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/timetext.h"

#define FUTURE_TOLERANCE_US US_PER_DAY
#define LIVE_WITHIN_US      (30 * US_PER_DAY)
#define LIVE_TOLERANCE_US   (5 * US_PER_MINUTE)
#define TIME_LIMIT_US       (INT64_C(1) << 62)

void clock_init(struct partition_clock *clock)
{
	*clock = (struct partition_clock){CLOCK_NONE, 0, CLOCK_NONE, CLOCK_NONE};
}

int64_t clock_now(const struct partition_clock *clock)
{
	return clock->second_us > clock->control_us ? clock->second_us : clock->control_us;
}

void clock_event(struct partition_clock *clock, int64_t event_time_us, int64_t user_id)
{
	if (clock_now(clock) == CLOCK_NONE)
		clock->control_us = event_time_us;
	if (clock->first_us == CLOCK_NONE ||
	    (user_id == clock->first_user && event_time_us > clock->first_us)) {
		clock->first_us = event_time_us;
		clock->first_user = user_id;
	} else if (user_id != clock->first_user && event_time_us > clock->first_us) {
		clock->second_us = clock->first_us;
		clock->first_us = event_time_us;
		clock->first_user = user_id;
	} else if (user_id != clock->first_user && event_time_us > clock->second_us) {
		clock->second_us = event_time_us;
	}
}

void clock_control(struct partition_clock *clock, int64_t announced_us, int64_t record_time_us)
{
	int64_t time_us = announced_us < record_time_us ? announced_us : record_time_us;

	if (time_us > clock->control_us)
		clock->control_us = time_us;
}

bool clock_is_future(const struct partition_clock *clock, int64_t event_time_us,
                     int64_t record_time_us)
{
	int64_t now_us = clock_now(clock);

	if (now_us == CLOCK_NONE)
		return event_time_us > record_time_us + LIVE_TOLERANCE_US;
	if (event_time_us <= now_us + FUTURE_TOLERANCE_US)
		return false;
	return now_us < record_time_us - LIVE_WITHIN_US ||
	       event_time_us > record_time_us + LIVE_TOLERANCE_US;
}

size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX])
{
	return (size_t)snprintf(out, CLOCK_TEXT_MAX, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
	                        clock->first_us, clock->first_user, clock->second_us,
	                        clock->control_us);
}

/* The limit is after every year, and so far from the ends of int64_t that the addition of a setting
 * does not overflow. */
static bool is_possible(int64_t time_us)
{
	return time_us == CLOCK_NONE || (time_us > -TIME_LIMIT_US && time_us < TIME_LIMIT_US);
}

bool clock_parse(struct span text, struct partition_clock *clock)
{
	char copy[CLOCK_TEXT_MAX];
	const char *at = copy;
	int64_t parts[4];

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	if (!number_take_list(&at, parts, 4) || at != copy + text.len)
		return false;
	*clock = (struct partition_clock){parts[0], parts[1], parts[2], parts[3]};
	return is_possible(clock->first_us) && is_possible(clock->second_us) &&
	       is_possible(clock->control_us);
}
