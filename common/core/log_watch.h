/* When a partition's log has to be recognised again (record_mark.h), as seen by one reader of it.
 *
 * A position in a deleted log is a valid one in the log that was created in its place, once that
 * has grown past it. To be replaced unseen, a log has to be deleted, created and filled past the
 * position, and its partition cannot deliver records meanwhile. So the log is in doubt
 *   - when reading begins;
 *   - when a partition delivers something after it has delivered nothing for LOG_SILENCE_US: a
 *     quiet input, a frozen process, a broken connection, a topic that was away;
 *   - every LOG_CHECK_US of an input that never rests, as records that were fetched ahead hide a
 *     silence of the broker.
 * Nothing that was read after a doubt may be committed before a record from before it was found in
 * its place. Pure; times are monotonic. */
#ifndef FUNNEL_LOG_WATCH_H
#define FUNNEL_LOG_WATCH_H

#include "record_mark.h"

#define LOG_SILENCE_US INT64_C(500000)
#define LOG_CHECK_US INT64_C(60000000)

struct log_watch {
	struct record_mark known; /* the record to look for: from before the doubt */
	int64_t known_us;         /* when one was last found in its place */
	int64_t seen_us;          /* when the partition last delivered something */
	bool doubted;
};

/* last: the newest record read so far. */
void log_watch_begin(struct log_watch *watch, const struct record_mark *last, int64_t now_us);
/* The partition has delivered something; last is still the newest before it. */
void log_watch_seen(struct log_watch *watch, const struct record_mark *last, int64_t polled_us);
/* Whether `known` has to be looked for before the next commit. */
bool log_watch_asks(const struct log_watch *watch, const struct record_mark *last, int64_t now_us);
/* It was found in its place by a look that began at now_us, after `last` was read. */
void log_watch_found(struct log_watch *watch, const struct record_mark *last, int64_t now_us);

#endif
