/* Where a reader of committed records stands at the end of a partition: at the high watermark, or
 * held back before it.
 *
 *       records read       records of an open transaction, and all after its first
 *   ────────────────────┬──────────────────────────────────────────────────────────┐
 *          last stable offset = position                                   high watermark
 *
 * Such a reader gets an end of partition at the last stable offset, which is not the end of the log
 * while a transaction is open. Pure: the caller passes the high watermark and the time. */
#ifndef FUNNEL_PARTITION_END_H
#define FUNNEL_PARTITION_END_H

#include <stdbool.h>
#include <stdint.h>

#define PARTITION_END_NONE (-1) /* offset: records are being read */

struct partition_end {
	int64_t offset;        /* of the last end of partition, or PARTITION_END_NONE */
	int64_t idle_since_us; /* since when offset is the high watermark; 0: it is not */
	int64_t held_since_us; /* since when records are held back; 0: none are */
	int64_t held_offset;   /* of the first record held back */
	int64_t held_records;  /* offsets between held_offset and the high watermark */
	bool reported;         /* the hold has lasted for the limit */
};

enum partition_end_change {
	PARTITION_END_SAME,
	PARTITION_END_HELD,     /* a hold has lasted for the limit */
	PARTITION_END_RELEASED, /* a hold that was reported is over */
};

void partition_end_init(struct partition_end *end);
/* The reader has got an end of partition at this offset. */
void partition_end_reached(struct partition_end *end, int64_t offset);
/* The reader has got a record. */
void partition_end_left(struct partition_end *end);
/* Judges by a high watermark (-1: unknown) that is at least as new as the last end of partition.
 * A hold begins again when the last stable offset moves: a transaction has ended. now_us must be
 * positive. */
enum partition_end_change partition_end_look(struct partition_end *end, int64_t high,
                                             int64_t limit_us, int64_t now_us);

#endif
