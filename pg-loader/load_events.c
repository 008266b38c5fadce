/* The sums are made after the rows are sent and before the COPY ends, while the server still reads
 * rows. */
#include "load_events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "copy_rows.h"
#include "event_row.h"
#include "service/fault.h"
#include "targets.h"

#define UNIQUE_VIOLATION "23505"

void load_events_free(struct load_events *events)
{
	event_sums_free(events->sums);
	buffer_free(&events->bytes);
	event_order_free(&events->order);
	free(events->loaded_up_to);
	*events = (struct load_events){0};
}

static void sum_up(struct load_events *events, const struct load_batch *batch, const uint32_t *rows,
                   uint32_t count)
{
	if (!events->sums)
		events->sums = event_sums_new();
	event_sums_clear(events->sums);
	for (uint32_t i = 0; i < count; i++) {
		const struct load_row *row = &batch->rows.at[rows[i]];
		struct event_label label = entries_label(&batch->rows.labels, row->label);
		struct event_source source = entries_source(&batch->rows.origins, row->origin);
		struct bronze_event event;
		uint8_t session[SESSION_ID_BYTES];

		event_row_read(copy_row_bytes(batch, row), &label, &source, &event, session);
		event_sums_add(events->sums, &event, session);
	}
	events->bytes.len = 0;
	event_sums_write(events->sums, &events->bytes);
}

static bool copy_events(struct load_events *events, struct postgres *pg,
                        const struct load_batch *batch, const uint32_t *rows, uint32_t count,
                        bool *collided, struct err *err)
{
	const uint32_t *sorted = event_order_sort(&events->order, batch, rows, count);
	bool ok = copy_rows(pg, direct_events.copy, batch, sorted, count, err);

	if (ok) {
		sum_up(events, batch, rows, count);
		ok = postgres_copy_end(pg, err);
	}
	*collided = !ok && strcmp(postgres_sqlstate(pg), UNIQUE_VIOLATION) == 0;
	return ok;
}

/* ---- how far bronze is loaded */

static void note_offset(struct load_events *events, const struct load_source *record)
{
	size_t partition = (size_t)record->partition;

	while (events->partition_count <= partition) {
		GROW(events->loaded_up_to, events->partition_count, events->partition_capacity);
		events->loaded_up_to[events->partition_count++] = 0;
	}
	if (events->loaded_up_to[partition] <= record->offset)
		events->loaded_up_to[partition] = record->offset + 1;
}

/* Writes two arrays as text, "{0,3}" and "{120,7}", one after the other. Returns where the second
 * begins. */
static size_t progress_text(const struct load_events *events, struct buffer *out)
{
	size_t second = 0;

	for (int array = 0; array < 2; array++) {
		const char *before = "{";

		second = out->len;
		for (size_t p = 0; p < events->partition_count; p++) {
			char number[24];

			if (events->loaded_up_to[p] == 0)
				continue;
			buffer_append(out, before, 1);
			buffer_append(out, number,
			              (size_t)snprintf(number, sizeof(number), "%" PRId64,
			                               array ? events->loaded_up_to[p]
			                                     : (int64_t)p));
			before = ",";
		}
		buffer_append(out, "}", 2);
	}
	return second;
}

/* No event is a duplicate: all were stored now. */
static bool note_progress(struct load_events *events, struct postgres *pg,
                          const struct load_batch *batch, const uint32_t *rows, uint32_t count,
                          struct err *err)
{
	const char *params[2];
	PGresult *result = NULL;
	size_t second;

	events->partition_count = 0;
	for (uint32_t i = 0; i < count; i++)
		note_offset(events, &batch->sources[batch->rows.at[rows[i]].source]);
	events->bytes.len = 0;
	second = progress_text(events, &events->bytes);
	params[0] = events->bytes.at;
	params[1] = events->bytes.at + second;
	if (!postgres_query(pg, direct_events.note_progress, 2, params, &result, err))
		return false;
	PQclear(result);
	return true;
}

bool load_events_direct(struct load_events *events, struct postgres *pg,
                        const struct load_batch *batch, const uint32_t *rows, uint32_t count,
                        bool *collided, struct err *err)
{
	bool ok;

	FAULT_POINT("before_copy");
	ok = copy_events(events, pg, batch, rows, count, collided, err);
	FAULT_POINT("after_copy");
	ok = ok && copy_bytes(pg, event_sums_copy,
	                      (struct span){events->bytes.at, events->bytes.len}, err);
	FAULT_POINT("after_load_batches");
	ok = ok && note_progress(events, pg, batch, rows, count, err);
	FAULT_POINT("after_bronze_loads");
	return ok;
}
