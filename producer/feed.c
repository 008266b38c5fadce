/* Rows wait in a queue. A dense source has one row in it, because only a row that is far ahead of
 * the clock needs the rows after it. If a read fails, the feed keeps the error until all rows
 * before it are sent. */
#include "feed.h"

#include <stdlib.h>

#include "base/timetext.h"
#include "event/clock.h"
#include "event/event_json_write.h"
#include "order_check.h"
#include "packed_queue.h"
#include "row.h"

#define PAUSE_US (12 * US_PER_HOUR)

struct feed {
	struct source *source;
	struct feed_params params;
	struct message_form form;
	struct packed_queue rows; /* the first `added` of them are in the clock */
	uint32_t added;
	struct source_clock clock;
	struct order_check order;
	struct message *current;
	bool have_current, begun, ended, failed;
	enum feed_announcement announcement;
	bool pause;
	int64_t announced_us, due_us;
	struct err failure;
	struct row_extra extras[ROW_COLUMNS_MAX]; /* of a row that was queued */
};

struct feed *feed_new(struct source *source, const struct feed_params *params, struct err *err)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (feed) {
		feed->source = source;
		feed->params = *params;
		feed->order.horizon_us = params->horizon_us;
		feed->due_us = CLOCK_NONE;
		source_clock_init(&feed->clock, INT64_MAX);
		feed->current = calloc(1, sizeof(*feed->current));
	}
	if (!feed || !feed->current) {
		err_set(err, ERR_FATAL, "out of memory");
		feed_free(feed);
		return NULL;
	}
	return feed;
}

void feed_free(struct feed *feed)
{
	if (!feed)
		return;
	packed_queue_free(&feed->rows);
	free(feed->current);
	free(feed);
}

/* Reads one row. */
static bool read_row(struct feed *feed, struct row *row)
{
	if (feed->ended || source_waits(feed->source))
		return false;
	switch (source_next(feed->source, row, &feed->failure)) {
	case SOURCE_ROW: return true;
	case SOURCE_END: break;
	case SOURCE_FAILED: feed->failed = true; break;
	}
	feed->ended = true;
	return false;
}

static bool queue_row(struct feed *feed)
{
	struct row row;

	if (!read_row(feed, &row))
		return false;
	packed_queue_push(&feed->rows, &row);
	return true;
}

/* Adds rows of the queue to the clock until it can take the oldest one. */
static void look_ahead(struct feed *feed)
{
	const struct queued_row *queued;

	while (feed->added == 0 || source_clock_waits(&feed->clock)) {
		if (feed->added == feed->rows.count && !queue_row(feed))
			return;
		queued = packed_queue_at(&feed->rows, feed->added++);
		source_clock_add(&feed->clock, (struct row_time){queued->time_us, queued->user_id});
	}
}

/* Sets the announcement that goes before the message which has just become current. */
static void update_announcement(struct feed *feed, int64_t before_us, int64_t now_us)
{
	feed->announcement = FEED_NOTHING;
	feed->pause = before_us != CLOCK_NONE && now_us > before_us + PAUSE_US;
	if (!feed->begun) {
		feed->begun = true;
		feed->announcement = FEED_BEGIN;
		feed->announced_us = now_us == CLOCK_NONE ? feed->params.fallback_us : now_us;
	} else if (now_us != CLOCK_NONE && time_floor(now_us, US_PER_HOUR) > feed->announced_us) {
		feed->announcement = FEED_JUMP;
		feed->announced_us = now_us;
	}
}

static void update_due(struct feed *feed, const struct source_clock_row *taken)
{
	if (taken->clock_us > feed->due_us)
		feed->due_us = taken->clock_us;
	if (taken->time_us > feed->due_us &&
	    (feed->params.in_real_time ? !taken->refuted
	                               : taken->time_us <= taken->clock_us + SOURCE_CLOCK_FAR_US))
		feed->due_us = taken->time_us;
}

/* Makes the row the current message. It is the oldest one of the clock. */
static void take_row(struct feed *feed, const struct row *row)
{
	int64_t before_us = source_clock_now(&feed->clock);
	struct source_clock_row taken = source_clock_take(&feed->clock);

	if (feed->params.check_order &&
	    !order_check_row(&feed->order, row, taken.clock_us, &feed->failure)) {
		feed->ended = feed->failed = true;
		return;
	}
	message_make(feed->current, row, &feed->form);
	feed->current->source_clock_us = taken.clock_us;
	feed->current->time_refuted = taken.refuted;
	feed->have_current = true;
	update_announcement(feed, before_us, taken.clock_us);
	update_due(feed, &taken);
}

static void take_queued(struct feed *feed)
{
	struct row row;

	look_ahead(feed);
	if (feed->rows.count == 0)
		return;
	packed_queue_pop(&feed->rows, feed->extras, &row);
	feed->added--;
	take_row(feed, &row);
}

bool feed_start(struct feed *feed, const struct message_form *form,
                const struct source_clock_state *resumed, struct err *err)
{
	feed->form = *form;
	if (resumed)
		feed->clock.state = *resumed;
	while (feed->params.check_order && !resumed && feed->rows.count < ORDER_FIRST_ROWS)
		if (!queue_row(feed))
			break;
	if (feed->params.check_order && !resumed &&
	    !order_check_first(&feed->rows, feed->clock.latest_us, err))
		return false;
	feed_advance(feed);
	return true;
}

void feed_set_latest(struct feed *feed, int64_t latest_us)
{
	feed->clock.latest_us = latest_us;
}

const struct message *feed_message(const struct feed *feed)
{
	return feed->have_current ? feed->current : NULL;
}

bool feed_waits(struct feed *feed)
{
	if (!feed->have_current && !feed->failed)
		feed_advance(feed);
	return feed->have_current || !feed->ended;
}

enum feed_announcement feed_announce(struct feed *feed, int64_t *time_us, bool *pause)
{
	enum feed_announcement announcement = feed->announcement;

	feed->announcement = FEED_NOTHING;
	*time_us = feed->announced_us;
	*pause = feed->pause;
	return announcement;
}

/* Most rows need no other row, and are not copied. */
void feed_advance(struct feed *feed)
{
	struct row row;

	feed->have_current = false;
	feed->announcement = FEED_NOTHING;
	if (feed->failed && feed->rows.count == 0)
		return;
	if (feed->rows.count > 0 || !read_row(feed, &row)) {
		take_queued(feed);
		return;
	}
	source_clock_add(&feed->clock, (struct row_time){row.event_time_us, row_user_id(&row)});
	if (!source_clock_waits(&feed->clock)) {
		take_row(feed, &row);
		return;
	}
	packed_queue_push(&feed->rows, &row);
	feed->added = 1;
	take_queued(feed);
}

int64_t feed_clock_us(const struct feed *feed)
{
	return source_clock_now(&feed->clock);
}

const struct source_clock_state *feed_clock_state(const struct feed *feed)
{
	return &feed->clock.state;
}

int64_t feed_due_us(const struct feed *feed)
{
	return feed->due_us;
}

bool feed_ended_well(const struct feed *feed, struct err *err)
{
	if (feed->failed)
		*err = feed->failure;
	return !feed->failed;
}
