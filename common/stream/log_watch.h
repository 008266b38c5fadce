/* Decides when one reader of a partition has to recognise the log again (record_mark.h).
 *
 * A position in a deleted log is also valid in the log that was created in its place, once the new
 * log has grown past that position. While a topic is deleted, created and filled past the position,
 * its partitions deliver no records. So the log is in doubt
 *   - when reading begins;
 *   - when a partition delivers something after a silence of LOG_SILENCE_US: a quiet input, a
 *     frozen process, a broken connection, a topic that was away;
 *   - every LOG_CHECK_US on an input that never pauses, as records fetched ahead hide a silence of
 *     the broker.
 * A reader in doubt looks for a record from before the doubt. It may commit nothing that it read
 * after the doubt until that record is found in its place. Pure; times are monotonic. */
#ifndef FUNNEL_LOG_WATCH_H
#define FUNNEL_LOG_WATCH_H

#include "stream/record_mark.h"

#define LOG_SILENCE_US INT64_C(500000)
#define LOG_CHECK_US   INT64_C(60000000)

struct log_watch {
	struct record_mark known; /* the record to look for, from before the doubt */
	int64_t known_us;         /* when a record was last found in its place */
	int64_t seen_us;          /* when the partition last delivered something */
	bool doubted;
};

/* last: the newest record read so far. */
void log_watch_begin(struct log_watch *watch, const struct record_mark *last, int64_t now_us);
/* The partition has delivered something; last is the newest record before that. */
void log_watch_seen(struct log_watch *watch, const struct record_mark *last, int64_t polled_us);
/* Whether `known` has to be looked for before the next commit. */
bool log_watch_asks(const struct log_watch *watch, const struct record_mark *last, int64_t now_us);
/* `known` was found in its place by a look that began at now_us, after `last` was read. */
void log_watch_found(struct log_watch *watch, const struct record_mark *last, int64_t now_us);

#endif
