/* The oracle has rows of its own. With each commit it folds the records between the old and the new
 * offsets, one by one in the order of the log, and compares all rows that this changes, and all
 * rows that the transaction has changed.
 *
 * One thing depends on the order in which the loader polls partitions: which copy of an event is
 * stored, if bronze has it in two partitions and one transaction loads both. Either is right.
 *
 * Limit: rows are made by the loader's own load_rows.c, one record at a time. */
#include "sim/partition_log.h"
#include "sim/pg_oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "dead_letter_rows.h"
#include "event_entries.h"
#include "load_rows.h"
#include "registry/frame_decoder.h"
#include "sim/cluster.h"
#include "sim/oracle.h"
#include "sim/partition_log.h"
#include "sim/pg_poison.h"
#include "sim/pg_server.h"
#include "sim/pg_session.h"
#include "sim/process.h"
#include "sim/services.h"
#include "sim/story.h"
#include "stream/record_mark.h"
#include "wire/topics.h"

#define INPUTS 6

static const struct {
	enum topic_id topic;
	enum schema_kind schema;
	bool framed;
} kinds[INPUTS] = {
	{TOPIC_BRONZE_EVENTS, SCHEMA_BRONZE, true},
	{TOPIC_AGGREGATED_EVENTS, SCHEMA_AGGREGATE, true},
	{TOPIC_SESSION_FUNNELS, SCHEMA_VISIT, true},
	{TOPIC_DEAD_LETTER, SCHEMA_RAW, false},
	{TOPIC_LATE_EVENTS, SCHEMA_LATE, true},
	{TOPIC_COUNTS, SCHEMA_COUNTS, true},
};

struct input {
	char name[64];
	struct frame_decoder *decoder;
	int64_t next[SIM_PARTITIONS_MAX]; /* -1: the loader has no row of it yet */
	char last[SIM_PARTITIONS_MAX][RECORD_MARK_TEXT_MAX];
	struct partition_log *kept; /* of the deleted topic; NULL: it was not deleted */
};

static struct {
	struct input inputs[INPUTS];
	struct pg_rows rows; /* expected */
	struct row_buffers made;
	struct pg_row **touched;
	size_t touched_count, touched_capacity;
	uint64_t commit;
	size_t records;
	int64_t doubles, up_to[SIM_PARTITIONS_MAX];
	int32_t bronze_partitions;
} o;

void pg_oracle_begin(void)
{
	memset(&o, 0, sizeof(o));
	for (int i = 0; i < INPUTS; i++) {
		struct input *input = &o.inputs[i];

		snprintf(input->name, sizeof(input->name), SIM_PREFIX "%s",
		         topic_of(kinds[i].topic)->suffix);
		if (kinds[i].framed)
			input->decoder = frame_decoder_new(NULL, SIM_PREFIX, kinds[i].schema);
		for (int p = 0; p < SIM_PARTITIONS_MAX; p++)
			input->next[p] = -1;
	}
	o.bronze_partitions = cluster_topic(o.inputs[0].name)->partition_count;
}

size_t pg_oracle_records(void)
{
	return o.records;
}

/* ---- folding */

static void touch(struct pg_row *row)
{
	GROW(o.touched, o.touched_count, o.touched_capacity);
	o.touched[o.touched_count++] = row;
}

static void keep_first(struct pg_row *row, struct span value, int32_t partition)
{
	bool is_new = !row->value.at;

	if (!is_new && row->commit == o.commit && row->partition != partition &&
	    row->other_count < 3)
		row->other[row->other_count++] = span_copy(value);
	if (!is_new)
		return;
	row->value = span_copy(value);
	row->commit = o.commit;
	row->partition = partition;
	row->other_count = 0;
}

/* An event that is read for the first time, and was stored already, is a duplicate. */
static void count_event(const struct input_record *record, struct span tuple)
{
	const struct pg_row *row =
		pg_rows_find(&o.rows, PG_EVENTS, pg_target_key(TARGET_EVENTS, tuple));
	int64_t *up_to = &o.up_to[record->partition];

	if (record->offset < *up_to)
		return;
	*up_to = record->offset + 1;
	o.doubles += row && row->value.at;
}

/* The entry of a value of a label or a source. */
static void put_value(struct buffer *text, struct span value)
{
	if (value.at)
		buffer_append(text, value.at, value.len);
	else
		buffer_append(text, "NULL", 4);
	buffer_append(text, PG_ENTRY_SEPARATOR, 1);
}

static void put_number(struct buffer *text, int64_t value, int64_t none)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, value);
	put_value(text, value == none ? SPAN_NULL : span_of(number));
}

/* The last separator becomes the NUL. */
static struct span finish(struct buffer *text)
{
	text->at[text->len - 1] = '\0';
	return (struct span){text->at, text->len};
}

static struct span label_text(uint32_t number, struct buffer *text)
{
	struct event_label label = entries_label(&o.made.labels, number);

	put_number(text, label.category_id, 0);
	put_value(text, label.category_code);
	put_value(text, label.brand);
	return finish(text);
}

static struct span source_text(uint32_t number, struct buffer *text)
{
	struct event_source source = entries_source(&o.made.origins, number);

	put_value(text, source.file);
	put_number(text, source.raw_partition, -1);
	return finish(text);
}

static struct span expected_value(const struct load_row *row, struct span tuple)
{
	enum target target = (enum target)row->target;
	struct buffer first = {0}, second = {0};

	if (target == TARGET_EVENTS)
		return pg_value_of(target, label_text(row->label, &first),
		                   source_text(row->origin, &second), tuple);
	if (target == TARGET_VISITS)
		return pg_value_of(target, label_text(row->label, &first),
		                   label_text(row->last_label, &second), tuple);
	return pg_stored_value(target, tuple);
}

static void fold_row(const struct load_row *made, struct span tuple, int32_t partition)
{
	enum target target = (enum target)made->target;
	struct pg_row *row =
		pg_rows_get(&o.rows, pg_table_of(target), pg_target_key(target, tuple));

	touch(row);
	switch (target) {
	case TARGET_EVENTS:
	case TARGET_LATE_EVENTS:
	case TARGET_DEAD_LETTERS:
	case TARGET_CONTROLS: keep_first(row, expected_value(made, tuple), partition); break;
	case TARGET_AGGREGATES:
	case TARGET_COUNTS:
		if (!row->value.at || pg_is_newer(target, tuple, row->value))
			row->value = span_copy(tuple);
		break;
	case TARGET_VISITS: row->value = span_copy(expected_value(made, tuple)); break;
	case TARGET_VISIT_REMOVALS: row->value = SPAN_NULL; break;
	case TARGET_REDRIVEN:
		if (row->value.at)
			row->value = span_copy(pg_redriven(row->value, tuple));
		break;
	case TARGET_COUNT: break;
	}
}

/* Whether an entry of the row has the word. Of labels: no source does. */
static bool is_poison_entry(const struct load_row *row, const char *word)
{
	struct buffer first = {0}, last = {0};

	if (row->target != TARGET_EVENTS && row->target != TARGET_VISITS)
		return false;
	return strstr(label_text(row->label, &first).at, word) ||
	       (row->target == TARGET_VISITS &&
	        strstr(label_text(row->last_label, &last).at, word));
}

/* Why PostgreSQL rejects the row, as the loader writes it; NULL: it does not. */
static const char *rejection(const struct load_row *row, struct span tuple)
{
	enum target target = (enum target)row->target;
	static char why[512];

	if (is_poison_entry(row, PG_POISON_COPY))
		snprintf(why, sizeof(why), "raw.event_labels: PostgreSQL: %s (SQLSTATE %s)",
		         PG_POISON_COPY_MESSAGE, PG_POISON_COPY_STATE);
	else if (is_poison_entry(row, PG_POISON_APPLY))
		snprintf(why, sizeof(why), "raw.event_labels: PostgreSQL: %s (SQLSTATE 23514)",
		         PG_POISON_APPLY_MESSAGE);
	else if (pg_is_poison(target, tuple, PG_POISON_COPY))
		snprintf(why, sizeof(why), "%s: PostgreSQL: %s (SQLSTATE %s): COPY, line 1",
		         targets[target].table, PG_POISON_COPY_MESSAGE, PG_POISON_COPY_STATE);
	else if (pg_is_poison(target, tuple, PG_POISON_APPLY))
		snprintf(why, sizeof(why), "%s: PostgreSQL: %s (SQLSTATE 23514)",
		         targets[target].table, PG_POISON_APPLY_MESSAGE);
	else
		return NULL;
	return why;
}

/* A row that PostgreSQL rejects becomes a dead letter; one that it rejects too, a dead letter
 * without bytes. */
static void fold_made(const struct input_record *record, enum reject_form form)
{
	for (;;) {
		const struct load_row *row = &o.made.at[o.made.count - 1];
		enum target target = (enum target)row->target;
		struct span tuple = {o.made.bytes[target].at + row->at, row->len};
		const char *why = rejection(row, tuple);

		if (!why) {
			if (target == TARGET_EVENTS)
				count_event(record, tuple);
			fold_row(row, tuple, record->partition);
			return;
		}
		form = form == REJECT_FULL ? REJECT_BARE : REJECT_FULL;
		dead_letter_row_reject(&o.made, record, 0, REASON_REJECTED_BY_DATABASE, why, form);
	}
}

static void decode(const struct input *input, struct input_record *record)
{
	static char detail[256];
	struct err err;

	detail[0] = '\0';
	record->detail = detail;
	if (!input->decoder || !record->value.at)
		return;
	if (!frame_decode(input->decoder, record->value, &record->body, &record->refused, detail,
	                  sizeof(detail), &err))
		oracle_fail("the registry does not answer the oracle");
}

static void fold_record(int number, struct input_record *record)
{
	char detail[256] = "";
	enum reject_form form = REJECT_NONE;
	enum reason reason;

	o.records++;
	row_buffers_clear(&o.made);
	decode(&o.inputs[number], record);
	if (kinds[number].topic == TOPIC_BRONZE_EVENTS && !record->value.at &&
	    record_header(record, "control").at) {
		load_rows_add_control(&o.made, record, 0, o.bronze_partitions);
	} else {
		reason = load_rows_add(&o.made, kinds[number].topic, record, 0, detail,
		                       sizeof(detail));
		if (reason != REASON_NONE) {
			form = REJECT_FULL;
			dead_letter_row_reject(&o.made, record, 0, reason, detail, form);
		}
	}
	if (o.made.count)
		fold_made(record, form);
}

static void fold_offset(int number, const struct partition_log *log, int64_t offset)
{
	const struct sim_record *from = &log->records[offset];
	struct input_record record =
		sim_record_input(from, o.inputs[number].name, log->partition, offset);
	struct record_mark mark = record_mark_of(offset, from->time_ms, from->key, from->value);

	if (from->fate == FATE_OPEN)
		oracle_fail("%s/%d: the offset is past %d, whose transaction is open", log->topic,
		            log->partition, (int)offset);
	if (from->fate != FATE_PLAIN && from->fate != FATE_COMMITTED)
		return;
	fold_record(number, &record);
	record_mark_format(&mark, o.inputs[number].last[log->partition]);
}

/* ---- offsets */

static const struct partition_log *log_of(const struct input *input, int32_t partition)
{
	return input->kept ? &input->kept[partition] : &cluster_topic(input->name)->logs[partition];
}

static void moved(int number, int32_t partition, const struct pg_offset *now)
{
	struct input *input = &o.inputs[number];
	const struct partition_log *log = log_of(input, partition);
	int64_t *next = &input->next[partition];

	if (*next < 0) {
		*next = now->next_offset;
		if (*next > log->start || now->last[0])
			oracle_fail("%s/%d: loading starts at offset %d, and the log at %d",
			            input->name, partition, (int)*next, (int)log->start);
	}
	if (now->next_offset < *next)
		oracle_fail("%s/%d: next_offset goes back from %d to %d", input->name, partition,
		            (int)*next, (int)now->next_offset);
	if (now->next_offset > (int64_t)log->end)
		oracle_fail("%s/%d: next_offset %d is past the log end", input->name, partition,
		            (int)now->next_offset);
	for (; !oracle_failure() && *next < now->next_offset; ++*next)
		fold_offset(number, log, *next);
	if (strcmp(input->last[partition], now->last) != 0)
		oracle_fail("%s/%d: last_record is '%s', not '%s'", input->name, partition,
		            now->last, input->last[partition]);
}

static void move_offsets(void)
{
	for (int i = 0; i < INPUTS; i++)
		for (int32_t p = 0; p < cluster_topic(o.inputs[i].name)->partition_count; p++) {
			const struct pg_row *row = pg_rows_find(pg_server_rows(), PG_OFFSETS,
			                                        pg_offset_key(o.inputs[i].name, p));
			struct pg_offset now;

			if (oracle_failure() || !row || !row->value.at)
				continue;
			memcpy(&now, row->value.at, sizeof(now));
			moved(i, p, &now);
		}
}

void pg_oracle_set_back(void)
{
	for (int i = 0; i < INPUTS; i++)
		for (int32_t p = 0; p < cluster_topic(o.inputs[i].name)->partition_count; p++) {
			const struct pg_row *row = pg_rows_find(pg_server_rows(), PG_OFFSETS,
			                                        pg_offset_key(o.inputs[i].name, p));
			struct pg_offset now = {.next_offset = -1};

			if (row && row->value.at)
				memcpy(&now, row->value.at, sizeof(now));
			o.inputs[i].next[p] = now.next_offset;
			snprintf(o.inputs[i].last[p], sizeof(o.inputs[i].last[p]), "%s", now.last);
		}
}

struct sim_topic *pg_oracle_topic(uint64_t number)
{
	return cluster_topic(o.inputs[number % INPUTS].name);
}

struct sim_topic *pg_oracle_kept_topic(uint64_t number)
{
	while (topic_is_compacted(kinds[number % INPUTS].topic))
		number++;
	return pg_oracle_topic(number);
}

bool pg_oracle_keep_logs(const struct sim_topic *topic)
{
	struct input *input = &o.inputs[0];

	while (strcmp(input->name, topic->name) != 0)
		input++;
	for (int32_t p = 0; p < topic->partition_count; p++)
		if (!input->last[p][0])
			return false;
	input->kept = xrealloc(NULL, sizeof(topic->logs));
	for (int32_t p = 0; p < topic->partition_count; p++)
		input->kept[p] = log_copy(&topic->logs[p]);
	return true;
}

/* ---- comparing */

static bool is_expected(const struct pg_row *expected, struct span actual)
{
	bool same = pg_equal(expected ? expected->value : SPAN_NULL, actual);

	for (int i = 0; expected && actual.at && i < expected->other_count; i++)
		same |= pg_equal(expected->other[i], actual);
	return same;
}

static void fail_row(const struct pg_row *row, const struct span *expected, struct span actual)
{
	char key[80];
	size_t len = 0;

	for (size_t i = 0; i < row->key.len && len < sizeof(key) - 1; i++)
		if (row->key.at[i] >= ' ' && row->key.at[i] < 127)
			key[len++] = row->key.at[i];
	key[len] = '\0';
	oracle_fail("%s: the row with the key '%s' %s", pg_table_name(row->table), key,
	            !actual.at                   ? "is missing"
	            : !expected || !expected->at ? "should not be there"
	                                         : "has another value than the input gives");
}

/* The row that is stored becomes the only one that is expected. */
static void check_expected(struct pg_row *expected)
{
	const struct pg_row *row = pg_rows_find(pg_server_rows(), expected->table, expected->key);
	struct span actual = row ? row->value : SPAN_NULL;

	if (!is_expected(expected, actual))
		fail_row(expected, &expected->value, actual);
	expected->value = actual.at ? actual : SPAN_NULL;
	expected->other_count = 0;
}

static bool is_compared(enum pg_table table)
{
	return table != PG_OFFSETS && table != PG_BRONZE_LOADS && table != PG_DAYS &&
	       table != PG_LABELS && table != PG_SOURCES;
}

static void check_actual(const struct pg_row *row)
{
	struct pg_row *expected;

	if (!is_compared(row->table))
		return;
	expected = pg_rows_find(&o.rows, row->table, row->key);
	if (!is_expected(expected, row->value))
		fail_row(row, expected ? &expected->value : NULL, row->value);
}

static void check_loads(void)
{
	int64_t doubles = 0;

	for (int32_t p = 0; p < o.bronze_partitions; p++) {
		const struct pg_row *row = pg_rows_find(pg_server_rows(), PG_BRONZE_LOADS,
		                                        (struct span){(char *)&p, sizeof(p)});
		struct pg_bronze_load load = {0};

		if (row && row->value.at)
			memcpy(&load, row->value.at, sizeof(load));
		doubles += load.doubles;
		if (load.loaded_up_to != o.up_to[p])
			oracle_fail("bronze_loads: partition %d is loaded up to %d, not %d", p,
			            (int)o.up_to[p], (int)load.loaded_up_to);
	}
	if (doubles != o.doubles)
		oracle_fail("bronze_loads: %d duplicates, and bronze has %d", (int)doubles,
		            (int)o.doubles);
}

void pg_oracle_committed(struct pg_row *const *rows, size_t count)
{
	if (oracle_failure())
		return;
	o.commit++;
	o.touched_count = 0;
	move_offsets();
	for (size_t i = 0; i < o.touched_count && !oracle_failure(); i++)
		check_expected(o.touched[i]);
	for (size_t i = 0; i < count && !oracle_failure(); i++)
		check_actual(rows[i]);
	if (!oracle_failure())
		check_loads();
	if (!oracle_failure() && pg_unsummed() != 0)
		oracle_fail("load_batches: %d more events are stored than summed up",
		            (int)pg_unsummed());
}

void pg_oracle_dropped(struct span key)
{
	struct pg_row *row = pg_rows_find(&o.rows, PG_EVENTS, key);

	if (row)
		row->value = SPAN_NULL;
}

/* ---- the end */

bool pg_oracle_is_complete(char *why, size_t cap)
{
	for (int i = 0; i < INPUTS; i++) {
		const struct sim_topic *topic = cluster_topic(o.inputs[i].name);

		for (int32_t p = 0; p < topic->partition_count; p++) {
			const struct partition_log *log = &topic->logs[p];

			if (o.inputs[i].next[p] == (int64_t)log->end &&
			    log_lso(log) == (int64_t)log->end)
				continue;
			snprintf(why, cap, "next_offset of %s/%d is %d, and the log ends at %d",
			         topic->name, p, (int)o.inputs[i].next[p], (int)log->end);
			return false;
		}
	}
	return true;
}

void pg_oracle_end(void)
{
	const struct pg_rows *rows = pg_server_rows();

	for (size_t i = 0; i < rows->count && !oracle_failure(); i++)
		check_actual(rows->at[i]);
	for (size_t i = 0; i < o.rows.count && !oracle_failure(); i++)
		check_expected(o.rows.at[i]);
}
