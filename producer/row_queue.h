/* Rows that were read ahead, in their order. A row of a reader borrows from it until its next row;
 * the queue keeps copies. Its memory is used again, so a queue that is short most of the time is
 * cheap. */
#ifndef FUNNEL_ROW_QUEUE_H
#define FUNNEL_ROW_QUEUE_H

#include <stddef.h>

#include "base/buffer.h"
#include "row.h"

/* Copies a row: its spans then borrow from bytes, which is emptied first. source_file stays
 * borrowed. */
void row_copy(struct row *to, struct buffer *bytes, const struct row *from);

struct row_slot {
	struct row row;
	struct buffer bytes;
};

/* Zeroed: an empty queue. */
struct row_queue {
	struct row_slot *slots;
	size_t capacity, head, count; /* capacity: 0 or a power of two */
};

void row_queue_free(struct row_queue *queue);
void row_queue_push(struct row_queue *queue, const struct row *row);
/* The i-th row; 0 is the oldest. Valid until the next push or pop. */
const struct row *row_queue_at(const struct row_queue *queue, size_t i);
/* Removes the oldest row. There must be one. */
void row_queue_pop(struct row_queue *queue);

#endif
