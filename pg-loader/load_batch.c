/* Rows are encoded as they arrive, straight into one buffer per target, so that a commit only hands the buffers to
 * COPY. Rows that were superseded or rejected are skipped when sending; their bytes are wasted until the next clear,
 * which the batch bounds make harmless.
 *
 * A rejected row does not bring back the older one that it superseded: that value was never the newest. */
#include "load_batch.h"

#include <stdlib.h>

#include "base/memory.h"
#include "load_rows.h"
#include "wire/record_keys.h"

void load_batch_free(struct load_batch *batch)
{
	load_batch_clear(batch);
	for (int i = 0; i < TARGET_COUNT; i++)
		buffer_free(&batch->bytes[i]);
	free(batch->rows);
	free(batch->sources);
	free(batch->days);
	collapse_free(&batch->collapse);
	buffer_free(&batch->scratch);
	*batch = (struct load_batch){0};
}

void load_batch_clear(struct load_batch *batch)
{
	for (uint32_t i = 0; i < batch->source_count; i++)
		if (batch->sources[i].message && batch->release)
			batch->release(batch->sources[i].message);
	for (int i = 0; i < TARGET_COUNT; i++) {
		batch->bytes[i].len = 0;
		batch->target_rows[i] = 0;
	}
	batch->row_count = batch->source_count = batch->day_count = 0;
	batch->input_bytes = 0;
	batch->doubles = 0;
	collapse_clear(&batch->collapse);
	memset(batch->rejects, 0, sizeof(batch->rejects));
}

char *load_row_begin(struct load_batch *batch, enum target target, size_t room)
{
	struct buffer *bytes = &batch->bytes[target];

	buffer_reserve(bytes, room);
	return bytes->at + bytes->len;
}

static void supersede(struct load_batch *batch, uint32_t row)
{
	if (!batch->rows[row].live)
		return;
	batch->rows[row].live = false;
	batch->target_rows[batch->rows[row].target]--;
}

/* Keys of different tables must not meet: the family goes first. */
static void collapse_row(struct load_batch *batch, uint32_t number, struct span key, enum target family)
{
	char tagged[RECORD_KEY_MAX * 2];
	struct load_row *row = &batch->rows[number];
	bool added;
	uint32_t *kept;

	if (key.len >= sizeof(tagged)) /* texts have a limit far below: decoders refuse longer ones */
		return;
	tagged[0] = (char)family;
	memcpy(tagged + 1, key.at, key.len);
	kept = collapse_put(&batch->collapse, (struct span){tagged, key.len + 1}, number, &added);
	if (added)
		return;
	if (collapse_supersedes((enum target)row->target, batch->rows[*kept].order, row->order)) {
		supersede(batch, *kept);
		*kept = number;
	} else {
		supersede(batch, number);
	}
}

void load_row_end(struct load_batch *batch, enum target target, const char *end, int64_t order, struct span key, enum target key_family)
{
	struct buffer *bytes = &batch->bytes[target];
	size_t len = (size_t)(end - (bytes->at + bytes->len));

	GROW(batch->rows, batch->row_count, batch->row_capacity);
	batch->rows[batch->row_count++] =
		(struct load_row){bytes->len, order, (uint32_t)len, batch->source_count - 1, (uint8_t)target, REJECT_NONE, true};
	batch->target_rows[target]++;
	if (key.at)
		collapse_row(batch, batch->row_count - 1, key, key_family);
	bytes->len += len;
}

void load_batch_day(struct load_batch *batch, int64_t day)
{
	for (uint32_t i = batch->day_count; i-- > 0;)
		if (batch->days[i] == day)
			return;
	GROW(batch->days, batch->day_count, batch->day_capacity);
	batch->days[batch->day_count++] = day;
}

static void add_reject(struct load_batch *batch, const struct input_record *record, enum reason reason, const char *detail,
                       enum reject_form form)
{
	load_row_reject(batch, record, reason, detail, form);
	batch->rows[batch->row_count - 1].form = (uint8_t)form;
}

enum load_verdict load_batch_add(struct load_batch *batch, enum topic_id topic, const struct input_record *record, void *message)
{
	char detail[256] = "";
	enum reason reason;

	GROW(batch->sources, batch->source_count, batch->source_capacity);
	batch->sources[batch->source_count] = (struct load_source){*record, message};
	batch->sources[batch->source_count].record.headers = NULL;
	batch->sources[batch->source_count].record.header_count = 0;
	batch->source_count++;
	batch->input_bytes += record->key.len + record->value.len;
	if (topic == TOPIC_BRONZE_EVENTS && !record->value.at && record_header(record, "control").at) {
		load_rows_add_control(batch, record);
		return LOAD_CONTROL;
	}
	reason = load_rows_add(batch, topic, record, detail, sizeof(detail));
	if (reason == REASON_NONE)
		return LOAD_ROW;
	batch->rejects[reason]++;
	add_reject(batch, record, reason, detail, REJECT_FULL);
	return LOAD_REJECTED;
}

bool load_batch_reject_row(struct load_batch *batch, uint32_t number, const char *detail)
{
	struct load_row row = batch->rows[number];
	struct load_source *source = &batch->sources[row.source];
	struct input_record record = source->record;

	if (row.form == REJECT_BARE)
		return false;
	supersede(batch, number);
	if (source->message && batch->read_headers) {
		record.headers = batch->headers;
		record.header_count = batch->read_headers(source->message, batch->headers);
	}
	if (row.form == REJECT_NONE)
		batch->rejects[REASON_REJECTED_BY_DATABASE]++;
	add_reject(batch, &record, REASON_REJECTED_BY_DATABASE, detail, row.form == REJECT_FULL ? REJECT_BARE : REJECT_FULL);
	batch->rows[batch->row_count - 1].source = row.source;
	return true;
}
