#include "event_order.h"

#include <stdlib.h>

#include "base/memory.h"
#include "copy_rows.h"
#include "event_row.h"

void event_order_free(struct event_order *order)
{
	free(order->keys);
	free(order->rows);
	*order = (struct event_order){0};
}

static void reserve(struct event_order *order, uint32_t count)
{
	if (count <= order->capacity)
		return;
	order->keys = xrealloc(order->keys, count * sizeof(*order->keys));
	order->rows = xrealloc(order->rows, count * sizeof(*order->rows));
	order->capacity = count;
}

/* Rows with the same first 8 bytes of their ids may come in either order. */
static int compare(const void *left, const void *right)
{
	const struct event_key *a = left, *b = right;

	if (a->day != b->day)
		return a->day < b->day ? -1 : 1;
	return (a->id_head > b->id_head) - (a->id_head < b->id_head);
}

const uint32_t *event_order_sort(struct event_order *order, const struct load_batch *batch,
                                 const uint32_t *rows, uint32_t count)
{
	reserve(order, count);
	for (uint32_t i = 0; i < count; i++) {
		const char *row = copy_row_bytes(batch, &batch->rows.at[rows[i]]).at;

		order->keys[i] =
			(struct event_key){event_row_id_head(row), event_row_day(row), rows[i]};
	}
	qsort(order->keys, count, sizeof(*order->keys), compare);
	for (uint32_t i = 0; i < count; i++)
		order->rows[i] = order->keys[i].row;
	return order->rows;
}
