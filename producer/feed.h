/* The rows of a source as messages, and the announcements that go before them. Reads one row
 * ahead. */
#ifndef FUNNEL_FEED_H
#define FUNNEL_FEED_H

#include "base/err.h"
#include "message.h"
#include "source.h"

struct feed;
/* Borrows the source. fallback_us: the time at which the segment begins if neither of its first two
 * rows has a time. */
struct feed *feed_new(struct source *source, int64_t fallback_us, struct err *err);
void feed_free(struct feed *feed);

/* Reads the first rows. newest_us: newest event time of a resumed segment, else EVENT_CLOCK_NONE.
 * latest_us: later times count as no time. */
void feed_start(struct feed *feed, const struct message_form *form, int64_t newest_us,
                int64_t latest_us);
/* The message to send now. NULL: there are no more. */
const struct message *feed_message(const struct feed *feed);
enum feed_announcement { FEED_NOTHING, FEED_BEGIN, FEED_JUMP };
/* The announcement to send before the current message, once, and its time. */
enum feed_announcement feed_announce(struct feed *feed, int64_t *time_us);
/* Moves to the next message. */
void feed_advance(struct feed *feed);

/* The newest event time up to and including the current message. */
int64_t feed_newest_us(const struct feed *feed);
/* After the last message. False and err: reading failed. */
MUST_USE bool feed_ended_well(const struct feed *feed, struct err *err);

#endif
