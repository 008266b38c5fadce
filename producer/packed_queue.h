/* Rows that were read ahead, in their order: copies, as a row of a reader borrows from it until its
 * next row. Exhausted memory ends the process. */
#ifndef FUNNEL_PACKED_QUEUE_H
#define FUNNEL_PACKED_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "event/event_json_write.h"
#include "row.h"

struct queued_row {
	int64_t time_us; /* ROW_TIME_NONE: no valid time */
	int64_t user_id; /* ROW_USER_NONE: none that can be read */
	uint64_t at;     /* its bytes: number of the first one since the queue began */
	const char *source_file;
};

/* Zero-initialised: empty, owns nothing. */
struct packed_queue {
	struct queued_row *entries; /* a ring */
	uint32_t first, count, capacity;
	struct buffer bytes; /* of the queued rows, after `dropped` earlier bytes */
	uint64_t dropped;
};
void packed_queue_free(struct packed_queue *queue);

/* Copies the row, apart from source_file, which stays borrowed. */
void packed_queue_push(struct packed_queue *queue, const struct row *row);
/* The entry number i after the first one. */
static inline const struct queued_row *packed_queue_at(const struct packed_queue *queue, uint32_t i)
{
	return &queue->entries[(queue->first + i) & (queue->capacity - 1)];
}
/* Removes the first row. It borrows from the queue until the next push, and from `extras`, which
 * has room for ROW_COLUMNS_MAX. The queue must not be empty. */
void packed_queue_pop(struct packed_queue *queue, struct row_extra *extras, struct row *row);

#endif
