#include "sim/pg_rows.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sim/partition_log.h"
#include "base/memory.h"

const char *pg_table_name(enum pg_table table)
{
	static const char *const names[PG_TABLE_COUNT] = {"raw.events",
	                                                  "raw.late_events",
	                                                  "processed.funnel_aggregates",
	                                                  "processed.session_funnels",
	                                                  "processed.counts",
	                                                  "raw.dead_letters",
	                                                  "processed.segment_controls",
	                                                  "processed.loader_offsets",
	                                                  "processed.bronze_loads",
	                                                  "partitions of raw.event_rows",
	                                                  "raw.event_labels",
	                                                  "raw.event_sources"};

	return names[table];
}

bool pg_equal(struct span a, struct span b)
{
	return !a.at == !b.at && a.len == b.len && (!a.at || memcmp(a.at, b.at, a.len) == 0);
}

/* ---- rows */

static uint64_t hash_of(enum pg_table table, struct span key)
{
	return XXH64(key.at, key.len, (uint64_t)table + 1);
}

static size_t slot_of(const struct pg_rows *rows, enum pg_table table, struct span key,
                      uint64_t hash)
{
	size_t slot = hash % rows->slot_count;

	for (; rows->slots[slot]; slot = (slot + 1) % rows->slot_count) {
		const struct pg_row *row = rows->at[rows->slots[slot] - 1];

		if (row->hash == hash && row->table == table && pg_equal(row->key, key))
			break;
	}
	return slot;
}

struct pg_row *pg_rows_find(const struct pg_rows *rows, enum pg_table table, struct span key)
{
	size_t slot;

	if (!rows->slot_count)
		return NULL;
	slot = slot_of(rows, table, key, hash_of(table, key));
	return rows->slots[slot] ? rows->at[rows->slots[slot] - 1] : NULL;
}

static void grow_slots(struct pg_rows *rows)
{
	if ((rows->count + 1) * 2 <= rows->slot_count)
		return;
	free(rows->slots);
	rows->slot_count = rows->slot_count ? rows->slot_count * 2 : 256;
	rows->slots = xzalloc(rows->slot_count, sizeof(*rows->slots));
	for (size_t i = 0; i < rows->count; i++) {
		const struct pg_row *row = rows->at[i];

		rows->slots[slot_of(rows, row->table, row->key, row->hash)] = (uint32_t)i + 1;
	}
}

struct pg_row *pg_rows_get(struct pg_rows *rows, enum pg_table table, struct span key)
{
	struct pg_row *row = pg_rows_find(rows, table, key);

	if (row)
		return row;
	grow_slots(rows);
	row = xzalloc(1, sizeof(*row));
	*row = (struct pg_row){.table = table, .hash = hash_of(table, key), .key = span_copy(key)};
	GROW(rows->at, rows->count, rows->capacity);
	rows->slots[slot_of(rows, table, key, row->hash)] = (uint32_t)rows->count + 1;
	rows->at[rows->count++] = row;
	return row;
}

/* ---- tuples */

static uint64_t big_endian(const char *at, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | (unsigned char)at[i];
	return value;
}

int64_t pg_integer(struct span field)
{
	switch (field.len) {
	case 1: return field.at[0];
	case 2: return (int16_t)big_endian(field.at, 2);
	case 4: return (int32_t)big_endian(field.at, 4);
	case 8: return (int64_t)big_endian(field.at, 8);
	default: return 0;
	}
}

/* The end of the field that begins at `at`; NULL: it does not fit. */
static const char *field_end(const char *at, const char *end, struct span *field)
{
	int32_t len;

	if (end - at < 4)
		return NULL;
	len = (int32_t)big_endian(at, 4);
	at += 4;
	if (len > end - at)
		return NULL;
	*field = len < 0 ? SPAN_NULL : (struct span){at, (size_t)len};
	return len < 0 ? at : at + len;
}

struct span pg_field(struct span tuple, int number)
{
	const char *at = tuple.at + 2;
	struct span field = SPAN_NULL;

	for (int i = 0; at && i <= number; i++)
		at = field_end(at, tuple.at + tuple.len, &field);
	return at ? field : SPAN_NULL;
}

bool pg_next_tuple(struct span *rest, struct span *tuple)
{
	const char *end = rest->at + rest->len, *at = rest->at + 2;
	struct span field;
	int count;

	if (rest->len < 2 || (count = (int16_t)big_endian(rest->at, 2)) < 0)
		return false;
	for (int i = 0; at && i < count; i++)
		at = field_end(at, end, &field);
	if (!at)
		return false;
	*tuple = (struct span){rest->at, (size_t)(at - rest->at)};
	*rest = (struct span){at, (size_t)(end - at)};
	return true;
}

struct span pg_key_of(enum pg_table table, struct span tuple)
{
	/* The numbers of the fields of each primary key, then -1. */
	static const int keys[PG_TABLE_COUNT][6] = {[PG_EVENTS] = {2, 9, -1},
	                                            [PG_LATE_EVENTS] = {17, 18, -1},
	                                            [PG_AGGREGATES] = {0, 1, 2, 3, -1},
	                                            [PG_VISITS] = {2, 3, 4, 5, -1},
	                                            [PG_COUNTS] = {0, 1, 2, -1},
	                                            [PG_DEAD_LETTERS] = {0, 3, 4, 5, 1, -1},
	                                            [PG_CONTROLS] = {1, 6, -1},
	                                            [PG_OFFSETS] = {-1},
	                                            [PG_BRONZE_LOADS] = {-1},
	                                            [PG_DAYS] = {-1},
	                                            [PG_LABELS] = {-1},
	                                            [PG_SOURCES] = {-1}};
	static char key[8192];
	size_t at = 0;

	for (const int *number = keys[table]; *number >= 0; number++) {
		struct span field = pg_field(tuple, *number);
		uint32_t len = (uint32_t)field.len;

		if (at + sizeof(len) + len > sizeof(key))
			break;
		memcpy(key + at, &len, sizeof(len));
		if (len)
			memcpy(key + at + sizeof(len), field.at, len);
		at += sizeof(len) + len;
	}
	return (struct span){key, at};
}
