/* The clock of the users is the second largest of their newest times. Two values are enough to keep
 * it: the largest time with its user, and the largest time of all other users. When another user
 * reaches the largest time, the former largest time becomes that of the others.
 *
 * An event too far ahead does not take part in that: a device whose clock is years ahead would then
 * stay the largest one, and each other event would move the clock alone. It is kept separately, and
 * the next accepted event removes it. So two devices confirm each other only if no other event lies
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

void clock_announce(struct partition_clock *clock, int64_t announced_us, int64_t record_us)
{
	if (announced_us == CLOCK_NONE)
		return;
	announce(clock, announced_us < record_us ? announced_us : record_us);
	clock->announced = true;
}

/* Whether the clock has a time, and the event is more than 31 days after it. */
static bool is_far(const struct partition_clock *clock, int64_t event_time_us)
{
	int64_t now_us = clock_now(clock);

	return now_us != CLOCK_NONE && event_time_us > now_us + CLOCK_AHEAD_US;
}

static bool is_live(const struct clock_event *event)
{
	return event->time_us >= event->record_us - LIVE_WITHIN_US;
}

static bool set_by_one_user(const struct partition_clock *clock)
{
	return !clock->announced && clock->second_us == CLOCK_NONE;
}

/* Two far events of different users: both users have reached the earlier one. */
static bool far_confirmed(struct partition_clock *clock, const struct clock_event *event)
{
	if (!is_far(clock, clock->far_us) || clock->far_user == event->user_id) {
		clock->far_us = event->time_us;
		clock->far_user = event->user_id;
		return false;
	}
	announce(clock, clock->far_us < event->time_us ? clock->far_us : event->time_us);
	return !is_far(clock, event->time_us);
}

enum clock_result clock_check(struct partition_clock *clock, const struct clock_event *event)
{
	if (event->time_us > event->record_us + RECORD_TOLERANCE_US)
		return CLOCK_AFTER_RECORD;
	if (!is_far(clock, event->time_us))
		return CLOCK_FITS;
	if (event->announced_us != CLOCK_NONE)
		return CLOCK_TOO_FAR;
	if ((clock->live && is_live(event)) || set_by_one_user(clock) ||
	    far_confirmed(clock, event))
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

void clock_accept(struct partition_clock *clock, const struct clock_event *event)
{
	clock->far_us = CLOCK_NONE;
	clock->live = is_live(event);
	clock_announce(clock, event->announced_us, INT64_MAX);
	if (clock_now(clock) == CLOCK_NONE)
		clock->announced_us = event->time_us;
	if (is_far(clock, event->time_us))
		announce(clock, event->time_us - CLOCK_AHEAD_US);
	if (event->announced_us == CLOCK_NONE)
		add_user_time(clock, event->time_us, event->user_id);
}

void clock_follow(struct partition_clock *clock, const struct clock_event *event)
{
	clock_announce(clock, event->announced_us, event->record_us);
	if (clock_check(clock, event) == CLOCK_FITS)
		clock_accept(clock, event);
}

#define FLAG_ANNOUNCED 1
#define FLAG_LIVE      2

size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX])
{
	int flags = clock->announced * FLAG_ANNOUNCED + clock->live * FLAG_LIVE;
	size_t len = (size_t)snprintf(out, CLOCK_TEXT_MAX,
	                              "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%d",
	                              clock->first_us, clock->first_user, clock->second_us,
	                              clock->announced_us, flags);

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

/* ",flags", then ",far,far_user"; both may be missing. */
static bool parse_rest(const char *at, struct partition_clock *clock)
{
	int64_t flags, far[2];

	if (*at == '\0')
		return true;
	if (*at++ != ',' || !number_take(&at, &flags) || flags < 0 ||
	    flags > FLAG_ANNOUNCED + FLAG_LIVE)
		return false;
	clock->announced = (flags & FLAG_ANNOUNCED) != 0;
	clock->live = (flags & FLAG_LIVE) != 0;
	if (*at == '\0')
		return true;
	if (*at++ != ',' || !number_take_list(&at, far, 2) || far[0] == CLOCK_NONE ||
	    !is_possible(far[0]))
		return false;
	clock->far_us = far[0];
	clock->far_user = far[1];
	return *at == '\0';
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
	clock_init(clock);
	if (!number_take_list(&at, parts, 4) || !parse_rest(at, clock))
		return false;
	clock->first_us = parts[0];
	clock->first_user = parts[1];
	clock->second_us = parts[2];
	clock->announced_us = parts[3];
	return strlen(copy) == text.len && is_possible(clock->first_us) &&
	       is_possible(clock->second_us) && is_possible(clock->announced_us);
}
