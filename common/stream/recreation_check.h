/* Decides when a reader of a partition has to check that its log is still the same one, and not
 * that of a recreated topic. The check looks for a record that was read before (record_mark.h).
 *
 * A position in a deleted log becomes valid in the log of the recreated topic as soon as the new
 * log has grown past it. While a program deletes, creates and fills a topic past the position, its
 * partitions deliver no records. So a check is due
 *   - when reading begins;
 *   - when a partition delivers a record after a silence of RECREATION_SILENCE_US: an idle input, a
 *     frozen process, a broken connection, a missing topic;
 *   - every RECREATION_CHECK_US on an input without pauses, as records that were fetched ahead hide
 *     a silence of the broker.
 * The check looks for a record from before the silence. Until that record is found at its offset,
 * the reader may not commit what it read after the silence. Pure; times are monotonic. */
#ifndef FUNNEL_RECREATION_CHECK_H
#define FUNNEL_RECREATION_CHECK_H

#include "stream/record_mark.h"

#define RECREATION_SILENCE_US INT64_C(500000)
#define RECREATION_CHECK_US   INT64_C(60000000)

struct recreation_check {
	struct record_mark known; /* the record to look for, from before the silence */
	int64_t known_us;         /* time of the last check that passed */
	int64_t delivered_us;     /* time of the partition's last delivery */
	bool due;
};

/* last: the newest record read so far. */
void recreation_check_begin(struct recreation_check *check, const struct record_mark *last,
                            int64_t now_us);
/* The partition has delivered a record. last: the newest record before it. */
void recreation_check_delivered(struct recreation_check *check, const struct record_mark *last,
                                int64_t polled_us);
/* `known` has to be found before the next commit. */
bool recreation_check_is_due(const struct recreation_check *check, const struct record_mark *last,
                             int64_t now_us);
/* A check that began at now_us, after `last` was read, has found `known` at its offset. */
void recreation_check_passed(struct recreation_check *check, const struct record_mark *last,
                             int64_t now_us);

#endif
