/* The clock of the users is the second largest of their newest times. Two values are enough to keep
 * it: the largest time with its user, and the largest time of all other users. When another user
 * reaches the largest time, the former largest time becomes that of the others.
 *
 * An event too far ahead does not take part in that: a device whose clock is years ahead would then
 * stay the largest one, and each other event would move the clock alone. It is kept apart, and the
 * next accepted event removes it. So two devices confirm each other only if no other event lies
 * between theirs, as after a pause of the stream.
 *
 * Rejected: the newest time of every user, which needs memory without bound. */
#include "event/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"

#define RECORD_TOLERANCE_US (5 * US_PER_MINUTE)
#define LIVE_WITHIN_US      US_PER_DAY
#define TIME_LIMIT_US       (INT64_C(1) << 62)

void clock_init(struct partition_clock *clock)
{
	*clock = (struct partition_clock){
		.first_us = CLOCK_NONE,
		.second_us = CLOCK_NONE,
		.announced_us = CLOCK_NONE,
		.far_us = CLOCK_NONE,
	};
}

int64_t clock_now(const struct partition_clock *clock)
{
	return clock->second_us > clock->announced_us ? clock->second_us : clock->announced_us;
}

static void announce(struct partition_clock *clock, int64_t time_us)
{
	if (time_us > clock->announced_us)
		clock->announced_us = time_us;
}

void clock_announce(struct partition_clock *clock, int64_t announced_us, int64_t record_time_us)
{
	announce(clock, announced_us < record_time_us ? announced_us : record_time_us);
}

/* Whether the clock has a time, and the event is more than 31 days after it. */
static bool is_far(const struct partition_clock *clock, int64_t event_time_us)
{
	int64_t now_us = clock_now(clock);

	return now_us != CLOCK_NONE && event_time_us > now_us + CLOCK_AHEAD_US;
}

static bool had_one_user(const struct partition_clock *clock, int64_t user_id)
{
	return clock->second_us == CLOCK_NONE && clock->first_us != CLOCK_NONE &&
	       clock->first_user == user_id;
}

/* The earlier one of two far events of different users is the time that both have reached. */
static bool far_confirmed(struct partition_clock *clock, int64_t event_time_us, int64_t user_id)
{
	if (!is_far(clock, clock->far_us) || clock->far_user == user_id) {
		clock->far_us = event_time_us;
		clock->far_user = user_id;
		return false;
	}
	announce(clock, clock->far_us < event_time_us ? clock->far_us : event_time_us);
	return !is_far(clock, event_time_us);
}

enum clock_result clock_check(struct partition_clock *clock, int64_t event_time_us, int64_t user_id,
                              int64_t record_time_us, bool announced)
{
	if (event_time_us > record_time_us + RECORD_TOLERANCE_US)
		return CLOCK_AFTER_RECORD;
	if (!is_far(clock, event_time_us))
		return CLOCK_FITS;
	if (announced)
		return CLOCK_TOO_FAR;
	if (event_time_us >= record_time_us - LIVE_WITHIN_US || had_one_user(clock, user_id) ||
	    far_confirmed(clock, event_time_us, user_id))
		return CLOCK_FITS;
	return CLOCK_TOO_FAR;
}

static void add_user_time(struct partition_clock *clock, int64_t event_time_us, int64_t user_id)
{
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

void clock_accept(struct partition_clock *clock, int64_t event_time_us, int64_t user_id,
                  int64_t announced_us)
{
	clock->far_us = CLOCK_NONE;
	announce(clock, announced_us);
	if (clock_now(clock) == CLOCK_NONE)
		clock->announced_us = event_time_us;
	if (is_far(clock, event_time_us))
		announce(clock, event_time_us - CLOCK_AHEAD_US);
	if (announced_us == CLOCK_NONE)
		add_user_time(clock, event_time_us, user_id);
}

size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX])
{
	size_t len =
		(size_t)snprintf(out, CLOCK_TEXT_MAX,
	                         "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, clock->first_us,
	                         clock->first_user, clock->second_us, clock->announced_us);

	if (clock->far_us != CLOCK_NONE)
		len += (size_t)snprintf(out + len, CLOCK_TEXT_MAX - len, ",%" PRId64 ",%" PRId64,
		                        clock->far_us, clock->far_user);
	return len;
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
	int64_t parts[4], far[2] = {CLOCK_NONE, 0};

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.at, text.len);
	copy[text.len] = '\0';
	if (!number_take_list(&at, parts, 4))
		return false;
	if (*at == ',' && (at++, !number_take_list(&at, far, 2)))
		return false;
	*clock = (struct partition_clock){parts[0], parts[1], parts[2], parts[3], far[0], far[1]};
	return at == copy + text.len && is_possible(clock->first_us) &&
	       is_possible(clock->second_us) && is_possible(clock->announced_us) &&
	       is_possible(clock->far_us);
}
