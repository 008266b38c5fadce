#include "row_buffers.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "wire/record_keys.h"

#define KEPT_BYTES 1048576 /* of a buffer, however little the batch needed */

void row_buffers_free(struct row_buffers *rows)
{
	for (int i = 0; i < TARGET_COUNT; i++)
		buffer_free(&rows->bytes[i]);
	free(rows->at);
	free(rows->days);
	entries_free(&rows->labels);
	entries_free(&rows->origins);
	collapse_free(&rows->collapse);
	buffer_free(&rows->scratch);
	*rows = (struct row_buffers){0};
}

/* After a backlog of events comes one of visits, and then none: without this, the buffer of each
 * target would keep the memory of its largest batch. */
static void clear_bytes(struct buffer *bytes)
{
	if (bytes->cap > KEPT_BYTES && bytes->len < bytes->cap / 4)
		buffer_free(bytes);
	bytes->len = 0;
}

void row_buffers_clear(struct row_buffers *rows)
{
	for (int i = 0; i < TARGET_COUNT; i++) {
		clear_bytes(&rows->bytes[i]);
		rows->live[i] = 0;
	}
	rows->count = rows->day_count = 0;
	entries_trim(&rows->labels);
	entries_trim(&rows->origins);
	collapse_clear(&rows->collapse);
}

char *row_begin(struct row_buffers *rows, enum target target, size_t room)
{
	struct buffer *bytes = &rows->bytes[target];

	buffer_reserve(bytes, room);
	return bytes->at + bytes->len;
}

void row_drop(struct row_buffers *rows, uint32_t row)
{
	if (!rows->at[row].live)
		return;
	rows->at[row].live = false;
	rows->live[rows->at[row].target]--;
}

/* Prefixes the key with its family, so that equal keys of different tables stay apart. */
static void collapse_row(struct row_buffers *rows, uint32_t number, struct span key,
                         enum target family)
{
	char tagged[RECORD_KEY_MAX * 2];
	struct load_row *row = &rows->at[number];
	bool added;
	uint32_t *kept;

	if (key.len >=
	    sizeof(tagged)) /* cannot happen: decoders reject texts far shorter than this */
		return;
	tagged[0] = (char)family;
	memcpy(tagged + 1, key.at, key.len);
	kept = collapse_put(&rows->collapse, (struct span){tagged, key.len + 1}, number, &added);
	if (added)
		return;
	if (collapse_supersedes((enum target)row->target, rows->at[*kept].order, row->order)) {
		row_drop(rows, *kept);
		*kept = number;
	} else {
		row_drop(rows, number);
	}
}

void row_end(struct row_buffers *rows, enum target target, const char *end, uint32_t source,
             int64_t order, struct span key, enum target key_family)
{
	struct buffer *bytes = &rows->bytes[target];
	size_t len = (size_t)(end - (bytes->at + bytes->len));

	GROW(rows->at, rows->count, rows->capacity);
	rows->at[rows->count++] = (struct load_row){.at = bytes->len,
	                                            .order = order,
	                                            .len = (uint32_t)len,
	                                            .source = source,
	                                            .target = (uint8_t)target,
	                                            .form = REJECT_NONE,
	                                            .live = true};
	rows->live[target]++;
	if (key.at)
		collapse_row(rows, rows->count - 1, key, key_family);
	bytes->len += len;
}

void row_day(struct row_buffers *rows, int64_t day)
{
	for (uint32_t i = rows->day_count; i-- > 0;)
		if (rows->days[i] == day)
			return;
	GROW(rows->days, rows->day_count, rows->day_capacity);
	rows->days[rows->day_count++] = day;
}
