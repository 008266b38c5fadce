/* The first rows run backwards if more steps go back than forward, and the last row is clearly
 * before the first: a short source with a little disorder passes. They have no order if the source
 * clock finds more than a tenth of them refuted, or more than a day late, and more than one. One
 * device with a wrong clock is neither. */
#include "order_check.h"

#include <inttypes.h>

#include "base/timetext.h"
#include "event/clock.h"
#include "source_clock.h"

#define CLEARLY_US     (10 * US_PER_MINUTE)
#define LATE_US        US_PER_DAY
#define DISORDER_SHARE 10 /* 1/10 */

#define ADVICE_ORDER \
	"; --order time sorts the input before it is sent; --order unchecked sends it as it is"

struct steps {
	int64_t rows, back, forward, out_of_order;
	int64_t first_us, last_us;
};

static void count_step(struct steps *steps, int64_t time_us)
{
	if (time_us == CLOCK_NONE)
		return;
	if (steps->rows++ == 0)
		steps->first_us = time_us;
	else if (time_us < steps->last_us)
		steps->back++;
	else if (time_us > steps->last_us)
		steps->forward++;
	steps->last_us = time_us;
}

static void add(struct source_clock *clock, const struct queued_row *row)
{
	source_clock_add(clock, (struct row_time){row->time_us, row->user_id});
}

/* Runs a source clock over the rows. */
static void count_steps(const struct packed_queue *rows, int64_t latest_us, struct steps *steps)
{
	struct source_clock clock;
	uint32_t added = 0;

	source_clock_init(&clock, latest_us);
	for (uint32_t i = 0; i < rows->count; i++) {
		const struct queued_row *row = packed_queue_at(rows, i);
		int64_t time_us = row->user_id > 0 ? row->time_us : CLOCK_NONE;
		struct source_clock_row taken;

		while (added < rows->count && (added <= i || source_clock_waits(&clock)))
			add(&clock, packed_queue_at(rows, added++));
		taken = source_clock_take(&clock);
		count_step(steps, time_us);
		if (time_us != CLOCK_NONE && taken.clock_us != CLOCK_NONE)
			steps->out_of_order += taken.refuted || time_us < taken.clock_us - LATE_US;
	}
}

bool order_check_first(const struct packed_queue *rows, int64_t latest_us, struct err *err)
{
	struct steps steps = {0};
	char first[32], last[32];

	count_steps(rows, latest_us, &steps);
	time_format_iso(steps.first_us, first);
	time_format_iso(steps.last_us, last);
	if (steps.back > steps.forward && steps.last_us < steps.first_us - CLEARLY_US)
		return err_set(err, ERR_REFUSED,
		               "the input runs backwards: of its first %" PRId64
		               " rows, the first is of %s and the last of %s; nothing was "
		               "sent" ADVICE_ORDER,
		               steps.rows, first, last);
	if (steps.out_of_order > 1 && steps.out_of_order * DISORDER_SHARE > steps.rows)
		return err_set(err, ERR_REFUSED,
		               "the input is not in the order of its times: of its first %" PRId64
		               " rows, %" PRId64
		               " are more than a day before rows that precede them, or after rows "
		               "that follow; nothing was sent" ADVICE_ORDER,
		               steps.rows, steps.out_of_order);
	return true;
}

static bool too_many_late(const struct order_check *check, const struct row *row, int64_t clock_us,
                          struct err *err)
{
	char first[32], now[32], horizon[32];

	time_format_iso(check->first_time_us, first);
	time_format_iso(clock_us, now);
	duration_format(check->horizon_us, horizon);
	return err_set(
		err, ERR_REFUSED,
		"%s: rows %" PRId64 " to %" PRId64
		" (from %s on) are more than DEDUP_HORIZON=%s before rows that were already "
		"sent (up to %s), so each becomes a dead letter; send the input with --order "
		"time to an empty set of topics (make reset, or another TOPIC_PREFIX); or "
		"--order unchecked sends the rest as it is",
		row->source_file, check->first_row, row->position.row, first, horizon, now);
}

bool order_check_row(struct order_check *check, const struct row *row, int64_t clock_us,
                     struct err *err)
{
	if (row->event_time_us == ROW_TIME_NONE || clock_us == CLOCK_NONE)
		return true;
	if (row->event_time_us >= clock_us - check->horizon_us) {
		check->late_rows = 0;
		return true;
	}
	if (check->late_rows++ == 0) {
		check->first_row = row->position.row;
		check->first_time_us = row->event_time_us;
	}
	return check->late_rows < ORDER_LATE_ROWS || too_many_late(check, row, clock_us, err);
}
