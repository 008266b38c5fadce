/* A ring of slots, each with its own buffer. When the ring grows, the slots move, and with them the
 * buffers' pointers, but not their bytes: spans stay valid. */
#include "row_queue.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_json_write.h"

#define FIRST_SLOTS 16

/* The fields of most rows are parts of the raw bytes. */
static bool lies_in(struct span part, struct span bytes)
{
	return part.at >= bytes.at && part.at + part.len <= bytes.at + bytes.len;
}

static struct span append(struct buffer *bytes, struct span text)
{
	struct span copy = {bytes->at + bytes->len, text.len};

	if (text.len == 0)
		return text.at ? SPAN("") : SPAN_NULL;
	memcpy(bytes->at + bytes->len, text.at, text.len);
	bytes->len += text.len;
	return copy;
}

/* Whether all spans of the row are parts of its raw bytes. This holds for most rows. */
static bool is_compact(const struct row *row)
{
	if (row->extra_count > 0)
		return false;
	for (size_t i = 0; !row->error[0] && i < EVENT_FIELD_COUNT; i++)
		if (row->fields[i].len > 0 && !lies_in(row->fields[i], row->raw))
			return false;
	return true;
}

static size_t bytes_of(const struct row *row)
{
	size_t need = row->raw.len + row->extra_count * sizeof(*row->extras) + 1;

	for (size_t i = 0; !row->error[0] && i < EVENT_FIELD_COUNT; i++)
		need += row->fields[i].len;
	for (size_t i = 0; i < row->extra_count; i++)
		need += row->extras[i].name.len + row->extras[i].value.len;
	return need;
}

/* Copies raw alone, and moves the fields with it. */
static void copy_compact(struct row *to, struct buffer *bytes, const struct row *from)
{
	buffer_reserve(bytes, from->raw.len + 1);
	*to = *from;
	to->raw = append(bytes, from->raw);
	for (size_t i = 0; !from->error[0] && i < EVENT_FIELD_COUNT; i++)
		if (from->fields[i].len > 0)
			to->fields[i].at = to->raw.at + (from->fields[i].at - from->raw.at);
}

/* The array of extras comes first, because the start of a buffer is aligned for it. */
void row_copy(struct row *to, struct buffer *bytes, const struct row *from)
{
	struct row_extra *extras;

	bytes->len = 0;
	if (is_compact(from)) {
		copy_compact(to, bytes, from);
		return;
	}
	buffer_reserve(bytes, bytes_of(from));
	extras = (void *)bytes->at;
	bytes->len = from->extra_count * sizeof(*extras);
	*to = *from;
	to->raw = append(bytes, from->raw);
	for (size_t i = 0; !from->error[0] && i < EVENT_FIELD_COUNT; i++)
		to->fields[i] = append(bytes, from->fields[i]);
	for (size_t i = 0; i < from->extra_count; i++)
		extras[i] = (struct row_extra){append(bytes, from->extras[i].name),
		                               append(bytes, from->extras[i].value),
		                               from->extras[i].text};
	to->extras = extras;
}

void row_queue_free(struct row_queue *queue)
{
	for (size_t i = 0; i < queue->capacity; i++)
		buffer_free(&queue->slots[i].bytes);
	free(queue->slots);
	*queue = (struct row_queue){0};
}

static void grow(struct row_queue *queue)
{
	size_t capacity = queue->capacity ? 2 * queue->capacity : FIRST_SLOTS;
	struct row_slot *slots = xrealloc(NULL, capacity * sizeof(*slots));

	memset(slots, 0, capacity * sizeof(*slots));
	for (size_t i = 0; i < queue->capacity; i++)
		slots[i] = queue->slots[(queue->head + i) & (queue->capacity - 1)];
	free(queue->slots);
	queue->slots = slots;
	queue->capacity = capacity;
	queue->head = 0;
}

void row_queue_push(struct row_queue *queue, const struct row *row)
{
	struct row_slot *slot;

	if (queue->count == queue->capacity)
		grow(queue);
	slot = &queue->slots[(queue->head + queue->count++) & (queue->capacity - 1)];
	row_copy(&slot->row, &slot->bytes, row);
}

const struct row *row_queue_at(const struct row_queue *queue, size_t i)
{
	return &queue->slots[(queue->head + i) & (queue->capacity - 1)].row;
}

void row_queue_pop(struct row_queue *queue)
{
	queue->head++;
	queue->count--;
}
