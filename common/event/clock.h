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
};

void clock_init(struct partition_clock *clock);
int64_t clock_now(const struct partition_clock *clock);
/* Call for an announced time, before the event is checked. A time after the record's own time
 * counts as that. */
void clock_announce(struct partition_clock *clock, int64_t announced_us, int64_t record_time_us);

enum clock_result {
	CLOCK_FITS,
	CLOCK_AFTER_RECORD, /* more than 5 minutes after the record's own time */
	CLOCK_TOO_FAR,      /* more than 31 days after the clock, and nothing confirms it */
};
/* Whether an event may be accepted. An event more than 31 days after the clock is accepted if it is
 * live (at most a day before the record's own time), if the partition has had one user only, or if
 * the event before it was as far ahead and of another user. The clock keeps a refused event for
 * that last rule. announced: the event has an announced time, so these exceptions do not apply. */
enum clock_result clock_check(struct partition_clock *clock, int64_t event_time_us, int64_t user_id,
                              int64_t record_time_us, bool announced);

/* Call for each accepted event. announced_us: the announced time of its record, at most the
 * record's own time; CLOCK_NONE: it has none, so the event itself moves the clock. */
void clock_accept(struct partition_clock *clock, int64_t event_time_us, int64_t user_id,
                  int64_t announced_us);

/* The form in restore metadata: "first,user,second,announced", and if there is an event that was
 * too far ahead ",far,far_user"; in decimal. */
#define CLOCK_TEXT_MAX 136
size_t clock_format(const struct partition_clock *clock, char out[CLOCK_TEXT_MAX]);
bool clock_parse(struct span text, struct partition_clock *clock);

#endif
