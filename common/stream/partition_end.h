/* The state of a reader of committed records at the end of a partition: it is at the high
 * watermark, or the broker holds records back before it.
 *
 *       records read       records of an open transaction, and all after its first
 *   ────────────────────┬──────────────────────────────────────────────────────────┐
 *          last stable offset = position                                   high watermark
 *
 * Such a reader gets an end of partition at the last stable offset. While a transaction is open,
 * that offset is not the end of the log. Pure: the caller passes the high watermark and the
 * time. */
#ifndef FUNNEL_PARTITION_END_H
#define FUNNEL_PARTITION_END_H

#include <stdbool.h>
#include <stdint.h>

#define PARTITION_END_NONE (-1) /* offset: records are being read */

struct partition_end {
	int64_t offset;        /* of the last end of partition, or PARTITION_END_NONE */
	int64_t idle_since_us; /* time since which offset is the high watermark; 0: it is not */
	int64_t held_since_us; /* time since which records are held back; 0: none are */
	int64_t held_offset;   /* of the first record held back */
	int64_t held_records;  /* offsets between held_offset and the high watermark */
	bool reported;         /* PARTITION_END_HELD was returned for this hold */
};

enum partition_end_change {
	PARTITION_END_SAME,     /* nothing to report */
	PARTITION_END_HELD,     /* records have been held back for the limit */
	PARTITION_END_RELEASED, /* a hold that was reported has ended */
};

void partition_end_init(struct partition_end *end);
/* The reader has got an end of partition at this offset. */
void partition_end_reached(struct partition_end *end, int64_t offset);
/* The reader has got a record. */
void partition_end_left(struct partition_end *end);
/* Updates the state for a high watermark (-1: unknown) that is at least as new as the last end of
 * partition. A hold begins again when the last stable offset moves, as a transaction has ended
 * then. now_us must be positive. */
enum partition_end_change partition_end_update(struct partition_end *end, int64_t high,
                                               int64_t limit_us, int64_t now_us);

#endif
