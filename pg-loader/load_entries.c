/* Usually all ids are known, and nothing is sent. A statement asks for up to PART_MAX entries. If
 * the database rejects them, the loader tries halves of them, as with rows (bisect.h). The parts
 * that the database accepts stay, so no batch waits for a bad entry.
 *
 * Rejected: a statement for each entry, which takes a second or more for the first batch of a
 * connection. */
#include "load_entries.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "bisect.h"
#include "event_row.h"
#include "service/fault.h"
#include "visit_row.h"

#define PART_MAX   2000
#define PARAMS_MAX 3

#define ROW_ENTRIES_MAX 2 /* of one kind */

enum kind { LABELS, ORIGINS };

static const struct {
	const char *table, *sql;
	int params;
} kinds[] = {
	[LABELS] = {"raw.event_labels",
                    "SELECT raw.event_label_ids($1::bigint[], $2::text[], $3::text[])", 3},
	[ORIGINS] = {"raw.event_sources", "SELECT raw.event_source_ids($1::text[], $2::int[])", 2},
};

struct search {
	struct postgres *pg;
	struct entries *entries;
	enum kind kind;
	struct rejected {
		uint32_t number; /* of an entry */
		struct err why;
	} * rejected;
	size_t rejected_count, rejected_capacity;
};

static struct entries *entries_of(struct load_batch *batch, enum kind kind)
{
	return kind == LABELS ? &batch->rows.labels : &batch->rows.origins;
}

/* The numbers of a live row's entries of one kind. Returns how many there are. */
static int numbers_of(const struct load_row *row, enum kind kind, uint32_t numbers[ROW_ENTRIES_MAX])
{
	numbers[0] = kind == LABELS ? row->label : row->origin;
	numbers[1] = row->last_label;
	if (!row->live)
		return 0;
	if (row->target == TARGET_VISITS)
		return kind == LABELS ? 2 : 0;
	return row->target == TARGET_EVENTS;
}

void load_entries_forget(struct load_batch *batch)
{
	entries_forget_ids(&batch->rows.labels);
	entries_forget_ids(&batch->rows.origins);
}

/* ---- one statement */

static void put_integer(struct buffer *array, int64_t value)
{
	char number[24];

	buffer_append(array, number, (size_t)snprintf(number, sizeof(number), "%" PRId64, value));
}

/* An element of an array: in quotes, with a backslash before quotes and backslashes. */
static void put_text(struct buffer *array, struct span text)
{
	if (!text.at) {
		buffer_append(array, "NULL", 4);
		return;
	}
	buffer_append(array, "\"", 1);
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\')
			buffer_append(array, "\\", 1);
		buffer_append(array, &text.at[i], 1);
	}
	buffer_append(array, "\"", 1);
}

static void put_entry(const struct search *search, uint32_t number, struct buffer arrays[])
{
	if (search->kind == LABELS) {
		struct event_label label = entries_label(search->entries, number);

		if (label.category_id == 0)
			buffer_append(&arrays[0], "NULL", 4);
		else
			put_integer(&arrays[0], label.category_id);
		put_text(&arrays[1], label.category_code);
		put_text(&arrays[2], label.brand);
	} else {
		struct event_source source = entries_source(search->entries, number);

		put_text(&arrays[0], source.file);
		put_integer(&arrays[1], source.raw_partition);
	}
}

static bool take_ids(struct search *search, const uint32_t *numbers, uint32_t count,
                     const PGresult *result, struct err *err)
{
	if ((uint32_t)PQntuples(result) != count)
		return err_set(err, ERR_FATAL,
		               "the database has %d of %" PRIu32
		               " entries that it has just been given: is there a trigger or a rule "
		               "on the table?",
		               PQntuples(result), count);
	for (uint32_t i = 0; i < count; i++)
		entries_set_id(search->entries, numbers[i],
		               (int32_t)strtol(PQgetvalue(result, (int)i, 0), NULL, 10));
	return true;
}

static bool ask(void *context, const uint32_t *numbers, uint32_t count, struct err *err)
{
	struct search *search = context;
	struct buffer arrays[PARAMS_MAX] = {{0}};
	const char *params[PARAMS_MAX];
	PGresult *result = NULL;
	bool ok;

	for (uint32_t i = 0; i < count; i++) {
		for (int p = 0; p < kinds[search->kind].params; p++)
			buffer_append(&arrays[p], i == 0 ? "{" : ",", 1);
		put_entry(search, numbers[i], arrays);
	}
	for (int p = 0; p < kinds[search->kind].params; p++) {
		buffer_append(&arrays[p], "}", 2);
		params[p] = arrays[p].at;
	}
	ok = postgres_query(search->pg, kinds[search->kind].sql, kinds[search->kind].params, params,
	                    &result, err) &&
	     take_ids(search, numbers, count, result, err);
	PQclear(result);
	for (int p = 0; p < PARAMS_MAX; p++)
		buffer_free(&arrays[p]);
	return ok || err_prefix(err, "%s", kinds[search->kind].table);
}

/* ---- all entries of a batch that have no id */

static bool found(void *context, uint32_t number, const struct err *why, struct err *err)
{
	struct search *search = context;

	(void)err;
	GROW(search->rejected, search->rejected_count, search->rejected_capacity);
	search->rejected[search->rejected_count++] = (struct rejected){number, *why};
	return true;
}

static bool ask_or_search(struct search *search, const uint32_t *numbers, uint32_t count,
                          struct err *err)
{
	struct bisect bisect = {search, ask, found};

	if (ask(search, numbers, count, err))
		return true;
	return err->class == ERR_INPUT && bisect_rows(&bisect, numbers, count, err);
}

/* Lists the entries without an id, each once; the caller frees *unknown. */
static uint32_t list_unknown(struct load_batch *batch, enum kind kind, uint32_t **unknown)
{
	const struct entries *entries = entries_of(batch, kind);
	uint32_t count = 0, numbers[ROW_ENTRIES_MAX];
	bool *listed = NULL;
	int32_t id;

	*unknown = NULL;
	for (uint32_t i = 0; i < batch->rows.count; i++)
		for (int n = numbers_of(&batch->rows.at[i], kind, numbers); n-- > 0;) {
			if (entries_id(entries, numbers[n], &id))
				continue;
			if (!listed) {
				listed = xzalloc(entries->keys.count, sizeof(*listed));
				*unknown = xrealloc(NULL, entries->keys.count * sizeof(**unknown));
			}
			if (!listed[numbers[n]])
				(*unknown)[count++] = numbers[n];
			listed[numbers[n]] = true;
		}
	free(listed);
	return count;
}

static void reject_rows(struct load_batch *batch, const struct search *search)
{
	uint32_t count = batch->rows.count, numbers[ROW_ENTRIES_MAX];
	const struct rejected **rejected;

	if (search->rejected_count == 0)
		return;
	rejected = xzalloc(search->entries->keys.count, sizeof(*rejected)); /* by entry */
	for (size_t r = 0; r < search->rejected_count; r++)
		rejected[search->rejected[r].number] = &search->rejected[r];
	for (uint32_t i = 0; i < count; i++) {
		const struct rejected *entry = NULL;

		for (int n = numbers_of(&batch->rows.at[i], search->kind, numbers); n-- > 0;)
			if (rejected[numbers[n]])
				entry = rejected[numbers[n]];
		/* The row is not a dead letter, so this cannot fail. */
		if (entry)
			(void)load_batch_reject_row(batch, i, entry->why.message);
	}
	free(rejected);
}

static bool learn_ids(struct postgres *pg, struct load_batch *batch, enum kind kind,
                      struct err *err)
{
	struct search search = {.pg = pg, .entries = entries_of(batch, kind), .kind = kind};
	uint32_t *numbers, count = list_unknown(batch, kind, &numbers);
	bool ok = true;

	for (uint32_t at = 0; ok && at < count; at += PART_MAX)
		ok = ask_or_search(&search, numbers + at,
		                   count - at < PART_MAX ? count - at : PART_MAX, err);
	if (ok)
		reject_rows(batch, &search);
	free(search.rejected);
	free(numbers);
	return ok;
}

static void set_ids_of(struct row_buffers *rows, const struct load_row *row)
{
	char *bytes = rows->bytes[row->target].at + row->at;
	int32_t label, other;

	if (row->target == TARGET_EVENTS && entries_id(&rows->labels, row->label, &label) &&
	    entries_id(&rows->origins, row->origin, &other))
		event_row_set_ids(bytes, label, other);
	if (row->target == TARGET_VISITS && entries_id(&rows->labels, row->label, &label) &&
	    entries_id(&rows->labels, row->last_label, &other))
		visit_row_set_ids(bytes, label, other);
}

bool load_entries(struct postgres *pg, struct load_batch *batch, struct err *err)
{
	struct row_buffers *rows = &batch->rows;

	if (rows->live[TARGET_EVENTS] == 0 && rows->live[TARGET_VISITS] == 0)
		return true;
	if (!learn_ids(pg, batch, LABELS, err) || !learn_ids(pg, batch, ORIGINS, err))
		return false;
	FAULT_POINT("after_entries");
	for (uint32_t i = 0; i < rows->count; i++)
		if (rows->at[i].live)
			set_ids_of(rows, &rows->at[i]);
	return true;
}
