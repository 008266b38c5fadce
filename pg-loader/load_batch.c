/* Rows are encoded as they arrive, into one buffer per target. A commit only hands the buffers to
 * COPY. It skips rows that were replaced or rejected. Their bytes stay until the next clear, which
 * is harmless because a batch is bounded.
 *
 * A rejected row does not bring back the older row that it replaced: the newest value was bad. */
#include "load_batch.h"

#include <stdlib.h>

#include "base/memory.h"
#include "dead_letter_rows.h"
#include "load_rows.h"

void load_batch_free(struct load_batch *batch)
{
	load_batch_clear(batch);
	row_buffers_free(&batch->rows);
	free(batch->sources);
	*batch = (struct load_batch){0};
}

void load_batch_clear(struct load_batch *batch)
{
	for (uint32_t i = 0; i < batch->source_count; i++)
		if (batch->sources[i].message && batch->release)
			batch->release(batch->sources[i].message);
	row_buffers_clear(&batch->rows);
	batch->source_count = 0;
	batch->input_bytes = 0;
	batch->duplicates = batch->staged = 0;
	memset(batch->rejects, 0, sizeof(batch->rejects));
}

static void add_reject(struct load_batch *batch, const struct input_record *record, uint32_t source,
                       enum reason reason, const char *detail, enum reject_form form)
{
	dead_letter_row_reject(&batch->rows, record, source, reason, detail, form);
	batch->rows.at[batch->rows.count - 1].form = (uint8_t)form;
}

static struct load_source source_of(const struct input_record *record, void *message)
{
	return (struct load_source){.topic = record->topic,
	                            .key = record->key,
	                            .value = record->value,
	                            .message = message,
	                            .offset = record->offset,
	                            .timestamp_ms = record->timestamp_ms,
	                            .partition = record->partition};
}

static struct input_record record_of(const struct load_source *source)
{
	return (struct input_record){.topic = source->topic,
	                             .key = source->key,
	                             .value = source->value,
	                             .offset = source->offset,
	                             .timestamp_ms = source->timestamp_ms,
	                             .partition = source->partition};
}

enum load_result load_batch_add(struct load_batch *batch, enum topic_id topic,
                                const struct input_record *record, void *message)
{
	char detail[256] = "";
	enum reason reason;

	GROW(batch->sources, batch->source_count, batch->source_capacity);
	batch->sources[batch->source_count++] = source_of(record, message);
	batch->input_bytes += record->key.len + record->value.len;
	if (topic == TOPIC_BRONZE_EVENTS && !record->value.at &&
	    record_header(record, "control").at) {
		load_rows_add_control(&batch->rows, record, batch->source_count - 1,
		                      batch->bronze_partition_count);
		return LOAD_CONTROL;
	}
	reason = load_rows_add(&batch->rows, topic, record, batch->source_count - 1, detail,
	                       sizeof(detail));
	if (reason == REASON_NONE)
		return LOAD_ROW;
	batch->rejects[reason]++;
	add_reject(batch, record, batch->source_count - 1, reason, detail, REJECT_FULL);
	return LOAD_REJECTED;
}

bool load_batch_reject_row(struct load_batch *batch, uint32_t number, const char *detail)
{
	struct load_row row = batch->rows.at[number];
	struct load_source *source = &batch->sources[row.source];
	struct input_record record = record_of(source);

	if (row.form == REJECT_BARE)
		return false;
	row_drop(&batch->rows, number);
	if (source->message && batch->read_headers) {
		record.headers = batch->headers;
		record.header_count = batch->read_headers(source->message, batch->headers);
	}
	if (row.form == REJECT_NONE)
		batch->rejects[REASON_REJECTED_BY_DATABASE]++;
	add_reject(batch, &record, row.source, REASON_REJECTED_BY_DATABASE, detail,
	           row.form == REJECT_FULL ? REJECT_BARE : REJECT_FULL);
	return true;
}
