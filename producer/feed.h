/* The rows of a source as messages, each with the source clock, and the announcements to send
 * before them. Reads ahead as far as the source clock needs. */
#ifndef FUNNEL_FEED_H
#define FUNNEL_FEED_H

#include "base/err.h"
#include "message.h"
#include "source.h"
#include "source_clock.h"

struct feed_params {
	/* The time at which the segment begins if none of its first rows has a time. */
	int64_t fallback_us;
	bool check_order;   /* the source must be in the order of its times */
	int64_t horizon_us; /* of de-duplication, for check_order */
	bool in_real_time;  /* no row is sent before its own time (SHIFT_TO_NOW at 1x) */
};

struct feed;
/* Borrows the source. */
struct feed *feed_new(struct source *source, const struct feed_params *params, struct err *err);
void feed_free(struct feed *feed);

/* Reads the first rows. resumed: the state of the source clock at the last row sent; NULL: a new
 * segment, whose first rows are checked for their order (ERR_REFUSED). */
MUST_USE bool feed_start(struct feed *feed, const struct message_form *form,
                         const struct source_clock_state *resumed, struct err *err);
/* A row with a later time counts as a row without a time. The limit depends on the present time, so
 * call this regularly. */
void feed_set_latest(struct feed *feed, int64_t latest_us);

/* The message to send now. NULL: there are no more. */
const struct message *feed_message(const struct feed *feed);
enum feed_announcement { FEED_NOTHING, FEED_BEGIN, FEED_JUMP };
/* The announcement to send before the current message, once, and its time. A jump is announced when
 * the clock enters another hour, so that partitions without rows follow. *pause: the clock has
 * moved by more than 12 h at once. */
enum feed_announcement feed_announce(struct feed *feed, int64_t *time_us, bool *pause);
/* After feed_message gave NULL. True: the source is live, and there may be a message later. */
bool feed_waits(struct feed *feed);
/* Moves to the next message. */
void feed_advance(struct feed *feed);

/* The source clock after the current message; CLOCK_NONE: no row had a time yet. */
int64_t feed_clock_us(const struct feed *feed);
const struct source_clock_state *feed_clock_state(const struct feed *feed);
/* The time at which the current message is due in a replay: the newest time of the rows so far that
 * are not far ahead of the clock. */
int64_t feed_due_us(const struct feed *feed);
/* After the last message. False and err: reading failed, or the rows lost their order. */
MUST_USE bool feed_ended_well(const struct feed *feed, struct err *err);

#endif
