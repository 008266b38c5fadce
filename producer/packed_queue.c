/* The bytes of all rows are in one buffer. A push without room moves the bytes that are still
 * queued to the front if they are at most half of all, and otherwise makes the buffer larger. So
 * each byte is moved once on average, however long the queue is. */
#include "packed_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "packed_row.h"

#define KEPT_BYTES 65536 /* an empty queue does not keep more memory than this */

void packed_queue_free(struct packed_queue *queue)
{
	free(queue->entries);
	buffer_free(&queue->bytes);
	*queue = (struct packed_queue){0};
}

/* The capacity is a power of two. */
static void grow(struct packed_queue *queue)
{
	uint32_t capacity = queue->capacity ? 2 * queue->capacity : 32;
	struct queued_row *entries = xzalloc(capacity, sizeof(*entries));

	for (uint32_t i = 0; i < queue->count; i++)
		entries[i] = *packed_queue_at(queue, i);
	free(queue->entries);
	queue->entries = entries;
	queue->first = 0;
	queue->capacity = capacity;
}

/* Drops the bytes of the rows that were popped, if they are half of all or more. */
static void compact(struct packed_queue *queue)
{
	uint64_t live = queue->count > 0 ? packed_queue_at(queue, 0)->at
	                                 : queue->dropped + queue->bytes.len;
	size_t gone = (size_t)(live - queue->dropped);

	if (gone < queue->bytes.len - gone)
		return;
	memmove(queue->bytes.at, queue->bytes.at + gone, queue->bytes.len - gone);
	queue->bytes.len -= gone;
	queue->dropped = live;
	if (queue->count == 0 && queue->bytes.cap > KEPT_BYTES)
		buffer_free(&queue->bytes);
}

void packed_queue_push(struct packed_queue *queue, const struct row *row)
{
	size_t most = packed_row_max(row);
	struct queued_row *entry;

	if (queue->count == queue->capacity)
		grow(queue);
	if (queue->bytes.len + most > queue->bytes.cap && queue->bytes.len > 0)
		compact(queue);
	buffer_reserve(&queue->bytes, most);
	entry = &queue->entries[(queue->first + queue->count++) & (queue->capacity - 1)];
	*entry = (struct queued_row){row->event_time_us, row_user_id(row),
	                             queue->dropped + queue->bytes.len, row->source_file};
	queue->bytes.len += packed_row_write(row, queue->bytes.at + queue->bytes.len);
}

void packed_queue_pop(struct packed_queue *queue, struct row_extra *extras, struct row *row)
{
	const struct queued_row *first = packed_queue_at(queue, 0);

	packed_row_read(queue->bytes.at + (first->at - queue->dropped), extras, row);
	row->source_file = first->source_file;
	queue->first = (queue->first + 1) & (queue->capacity - 1);
	queue->count--;
}
