/* Two messages take turns: the current one and the one after it, whose time may confirm a jump. If
 * a read fails, the error is kept until all rows before it are sent. */
#include "feed.h"

#include <stdlib.h>

#include "event_clock.h"
#include "row.h"

struct feed {
	struct source *source;
	struct message_form form;
	struct event_clock clock;
	int64_t fallback_us, latest_us;
	struct message *current, *ahead;
	bool have_current, have_ahead, begun, ended, failed;
	enum feed_announcement announcement;
	int64_t announced_us;
	struct err failure;
};

struct feed *feed_new(struct source *source, int64_t fallback_us, struct err *err)
{
	struct feed *feed = calloc(1, sizeof(*feed));

	if (feed) {
		feed->source = source;
		feed->fallback_us = fallback_us;
		feed->clock.newest_us = EVENT_CLOCK_NONE;
		feed->current = calloc(1, sizeof(*feed->current));
		feed->ahead = calloc(1, sizeof(*feed->ahead));
	}
	if (!feed || !feed->current || !feed->ahead) {
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
	free(feed->current);
	free(feed->ahead);
	free(feed);
}

static bool fetch(struct feed *feed, struct message *message)
{
	struct row row;

	if (feed->ended)
		return false;
	switch (source_next(feed->source, &row, &feed->failure)) {
	case SOURCE_ROW: message_make(message, &row, &feed->form); return true;
	case SOURCE_END: break;
	case SOURCE_FAILED: feed->failed = true; break;
	}
	feed->ended = true;
	return false;
}

/* Sets the announcement that goes before the message which has just become current. */
static void update_announcement(struct feed *feed)
{
	int64_t time_us, next_us = feed->have_ahead ? feed->ahead->event_time_us : EVENT_CLOCK_NONE;

	feed->announcement = FEED_NOTHING;
	if (!feed->have_current)
		return;
	time_us = feed->current->event_time_us;
	if (!feed->begun) {
		feed->begun = true;
		feed->announcement = FEED_BEGIN;
		feed->announced_us = event_clock_begin(&feed->clock, time_us, next_us,
		                                       feed->fallback_us, feed->latest_us);
	}
	if (event_clock_row(&feed->clock, time_us, next_us, feed->latest_us)) {
		feed->announced_us = feed->clock.newest_us;
		/* a begin after a resume may be a jump as well: it announces the same time */
		if (feed->announcement == FEED_NOTHING)
			feed->announcement = FEED_JUMP;
	}
}

void feed_start(struct feed *feed, const struct message_form *form, int64_t newest_us,
                int64_t latest_us)
{
	feed->form = *form;
	feed->clock.newest_us = newest_us;
	feed->latest_us = latest_us;
	feed->have_current = fetch(feed, feed->current);
	feed->have_ahead = fetch(feed, feed->ahead);
	update_announcement(feed);
}

const struct message *feed_message(const struct feed *feed)
{
	return feed->have_current ? feed->current : NULL;
}

enum feed_announcement feed_announce(struct feed *feed, int64_t *time_us)
{
	enum feed_announcement announcement = feed->announcement;

	feed->announcement = FEED_NOTHING;
	*time_us = feed->announced_us;
	return announcement;
}

void feed_advance(struct feed *feed)
{
	struct message *sent = feed->current;

	feed->current = feed->ahead;
	feed->ahead = sent;
	feed->have_current = feed->have_ahead;
	feed->have_ahead = feed->have_current && fetch(feed, feed->ahead);
	update_announcement(feed);
}

int64_t feed_newest_us(const struct feed *feed)
{
	return feed->clock.newest_us;
}

bool feed_ended_well(const struct feed *feed, struct err *err)
{
	if (feed->failed)
		*err = feed->failure;
	return !feed->failed;
}
