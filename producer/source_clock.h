/* The event-time clock of a source: the newest time that its rows have reached, over all
 * partitions. The producer announces it with every row, so bronze-sink checks each row as if the
 * set had one partition. Pure.
 *
 * A row at most 1 h ahead of the clock takes part in the two-user rule of event/clock.h. A row
 * further ahead moves the clock at most to the earliest of its own time and the times of the next
 * 1,000 rows of other users. Of these, rows more than 1 h before the clock do not count. So a
 * device with a wrong clock moves nothing, and a pause of the stream is passed at its first row.
 * The first row sets the clock in the same way. If the source has had one user only, and at most a
 * tenth of the next rows are of others, then the next rows of that user count instead. A far row
 * that no row follows moves nothing. But the clock is never more than 31 days before a row that is
 * confirmed, because bronze-sink accepts no event further ahead.
 *
 * The caller adds rows in order, and takes them when source_clock_waits is false or no rows are
 * left to add. So rows that are not far ahead are taken without a look-ahead. */
#ifndef FUNNEL_SOURCE_CLOCK_H
#define FUNNEL_SOURCE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/timetext.h"
#include "event/clock.h"

#define SOURCE_CLOCK_AHEAD   1000 /* rows that are looked at after a row */
#define SOURCE_CLOCK_FAR_US  US_PER_HOUR
#define SOURCE_CLOCK_TIME_US US_PER_DAY /* see source_clock_row.refuted */

/* What decides about the rows to come; part of a checkpoint. */
struct source_clock_state {
	struct partition_clock clock;
	int64_t only_user;      /* while there was one user only; else SOURCE_CLOCK_MANY */
	int64_t longest_gap_us; /* by which a row has moved the clock at once */
};

#define SOURCE_CLOCK_NOBODY INT64_MIN
#define SOURCE_CLOCK_MANY   (INT64_MIN + 1)

void source_clock_state_init(struct source_clock_state *state);

struct row_time {
	int64_t time_us; /* CLOCK_NONE: none that can be read */
	int64_t user_id; /* if it is not positive, the time has no say */
};

struct source_clock {
	struct source_clock_state state;
	int64_t latest_us; /* a later time counts as none */
	size_t head, count;
	struct row_time ring[2 * 1024];
};

/* latest_us: no row can be later, for example the present time. */
void source_clock_init(struct source_clock *clock, int64_t latest_us);
/* Adds the time of the next row that was read. At most SOURCE_CLOCK_AHEAD + 1 rows may wait. */
void source_clock_add(struct source_clock *clock, struct row_time row);
/* Whether more rows must be added before the oldest one can be taken. False if there is none. */
bool source_clock_waits(const struct source_clock *clock);

struct source_clock_row {
	int64_t time_us;  /* of the row, as far as it counts; CLOCK_NONE: it does not */
	int64_t clock_us; /* after this row; CLOCK_NONE: no row had a time yet */
	/* The row is more than a day ahead of the clock, and most of the next ten rows that count
	 * are more than a day before it. */
	bool refuted;
};
/* Takes the oldest row, and moves the clock by it. There must be one. */
struct source_clock_row source_clock_take(struct source_clock *clock);

/* The newest time of the source; CLOCK_NONE before the first row with a time. */
int64_t source_clock_now(const struct source_clock *clock);

/* The form in state files: that of clock_format, then ";only_user,longest_gap". */
#define SOURCE_CLOCK_TEXT_MAX (CLOCK_TEXT_MAX + 48)
void source_clock_format(const struct source_clock_state *state, char out[SOURCE_CLOCK_TEXT_MAX]);
bool source_clock_parse(const char *text, struct source_clock_state *state);

#endif
