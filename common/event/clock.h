/* The event-time clock of one partition, and whether an event lies too far ahead of it.
 *
 * Two things move the clock forward; nothing moves it back.
 *   - An announced time, never past the record's own time. Our producer announces the clock of its
 *     source with every row (header source_clock) and with the controls begin and jump.
 *   - Events without an announced time: the clock is the newest time that two different users have
 *     reached. So one wrong timestamp never moves it. The first event sets an empty clock.
 * Also, the clock is never more than 31 days before an accepted event. So no event keeps state for
 * more than 31 days of event time. In microseconds; CLOCK_NONE before the first event. */
#ifndef FUNNEL_CLOCK_H
#define FUNNEL_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/timetext.h"

#define CLOCK_NONE     INT64_MIN
#define CLOCK_AHEAD_US (31 * US_PER_DAY) /* most by which an accepted event is after the clock */

/* Headers of raw records. The value of source_clock is a time, or empty for the event's own time.
 * time_refuted marks an event whose time later rows of its source contradict. */
#define CLOCK_HEADER_SOURCE  "source_clock"
#define CLOCK_HEADER_REFUTED "time_refuted"

struct partition_clock {
	int64_t first_us;     /* newest time of any user */
	int64_t first_user;   /* that user */
	int64_t second_us;    /* newest time among all other users */
	int64_t announced_us; /* newest announced time, or that of the first event */
	int64_t far_us;       /* time of the event that was too far ahead; see clock_check */
	int64_t far_user;     /* that user */
	int32_t announced;    /* 1: announced_us is not only that of the first event */
	int32_t live;         /* 1: the last accepted event was at most a day before its record */
};

void clock_init(struct partition_clock *clock);
int64_t clock_now(const struct partition_clock *clock);
/* Call for an announced time, before the event is checked. A time after the record's own time
 * counts as that. */
void clock_announce(struct partition_clock *clock, int64_t announced_us, int64_t record_us);

struct clock_event {
	int64_t time_us, user_id;
	int64_t record_us;    /* the record's own time */
	int64_t announced_us; /* the announced time of its record, at most record_us; CLOCK_NONE:
	                       * it has none, so the event itself moves the clock */
};
enum clock_result {
	CLOCK_FITS,
	CLOCK_AFTER_RECORD, /* more than 5 minutes after the record's own time */
	CLOCK_TOO_FAR,      /* more than 31 days after the clock, and nothing confirms it */
};
/* Whether an event may be accepted. An event without an announced time that is more than 31 days
 * after the clock is accepted
 *   - if it and the accepted event before it are live: at most a day before their records' own
 *     times;
 *   - if one user only has set the clock;
 *   - if the event before it was as far ahead, and of another user: the stream has paused. The
 *     clock keeps a refused event for that. */
enum clock_result clock_check(struct partition_clock *clock, const struct clock_event *event);
/* Call for each accepted event. */
void clock_accept(struct partition_clock *clock, const struct clock_event *event);
/* The same for a reader of accepted events. It checks them again, so that a foreign writer cannot
 * move the clock by one event. */
void clock_follow(struct partition_clock *clock, const struct clock_event *event);

/* The form in restore metadata, in decimal: "first,user,second,announced,flags", and if there is an
 * event that was too far ahead ",far,far_user". Flags: 1 announced, 2 live. Former versions wrote
 * the first four. */
#define CLOCK_TEXT_MAX 136
size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX]);
bool clock_parse(struct span text, struct partition_clock *clock);

#endif
