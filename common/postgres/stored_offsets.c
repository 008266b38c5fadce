/* One statement handles any number of partitions, which are sent as arrays. FOR UPDATE locks the
 * rows after sorting them by key, so two processes never deadlock here. A process that was replaced
 * fails at the lock, before it has written anything. */
#include "postgres/stored_offsets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "postgres/postgres.h"
#include "stream/start_offset.h"

enum { PARAM_TOPICS, PARAM_PARTITIONS, PARAM_COMMITTED, PARAM_POSITIONS, PARAM_LAST, PARAM_COUNT };

struct arrays {
	struct buffer text[PARAM_COUNT];
	const char *params[PARAM_COUNT];
};

static void append_item(struct buffer *text, int param, const struct stored_offset *at)
{
	char item[RECORD_MARK_TEXT_MAX + 2], mark[RECORD_MARK_TEXT_MAX];
	int len = 0;

	switch (param) {
	case PARAM_TOPICS:
		buffer_append(text, at->topic, strlen(at->topic));
		return; /* needs no quotes: letters, digits, '.', '_' and '-' */
	case PARAM_PARTITIONS: len = snprintf(item, sizeof(item), "%" PRId32, at->partition); break;
	case PARAM_COMMITTED: len = snprintf(item, sizeof(item), "%" PRId64, at->committed); break;
	case PARAM_POSITIONS: len = snprintf(item, sizeof(item), "%" PRId64, at->position); break;
	case PARAM_LAST:
		record_mark_format(&at->last, mark);
		len = at->last.offset < 0 ? snprintf(item, sizeof(item), "NULL")
		                          : snprintf(item, sizeof(item), "\"%s\"", mark);
		break;
	default: break;
	}
	buffer_append(text, item, (size_t)len);
}

static void arrays_make(struct arrays *arrays, const struct stored_offset *at, size_t count)
{
	*arrays = (struct arrays){0};
	for (int p = 0; p < PARAM_COUNT; p++) {
		struct buffer *text = &arrays->text[p];

		buffer_append(text, "{", 1);
		for (size_t i = 0; i < count; i++) {
			if (i > 0)
				buffer_append(text, ",", 1);
			append_item(text, p, &at[i]);
		}
		buffer_append(text, "}", 2);
		arrays->params[p] = text->at;
	}
}

static void arrays_fini(struct arrays *arrays)
{
	for (int p = 0; p < PARAM_COUNT; p++)
		buffer_free(&arrays->text[p]);
}

/* The statement is before, the name of the table, and after. */
static bool query(struct postgres *pg, const char *before, const struct offsets_table *table,
                  const char *after, int param_count, const struct stored_offset *at, size_t count,
                  PGresult **result, struct err *err)
{
	struct arrays arrays;
	char sql[512];
	bool ok;

	snprintf(sql, sizeof(sql), "%s%s%s", before, table->name, after);

	arrays_make(&arrays, at, count);
	ok = postgres_query(pg, sql, param_count, arrays.params, result, err);
	arrays_fini(&arrays);
	return ok;
}

static bool take_row(const PGresult *result, int row, const struct offsets_table *table,
                     struct stored_offset *at, struct err *err)
{
	at->committed = strtoll(PQgetvalue(result, row, 1), NULL, 10);
	if (PQgetisnull(result, row, 2) || record_mark_parse(PQgetvalue(result, row, 2), &at->last))
		return true;
	return err_set(err, ERR_OPERATOR,
	               "%s/%" PRId32 ": invalid value \"%s\" in %s.last_record: "
	               "expected <offset>,<time>,<hash>; set it to null",
	               at->topic, at->partition, PQgetvalue(result, row, 2), table->name);
}

bool stored_offsets_read(struct postgres *pg, const struct offsets_table *table,
                         struct stored_offset *at, size_t count, struct err *err)
{
	PGresult *result = NULL;
	bool ok = true;

	if (!query(pg,
	           "SELECT w.i - 1, o.next_offset, o.last_record"
	           " FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS w(topic, partition, i)"
	           " JOIN ",
	           table,
	           " o"
	           " ON o.topic = w.topic AND o.partition = w.partition",
	           2, at, count, &result, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		at[i].committed = OFFSET_NONE;
		at[i].last = RECORD_MARK_NONE;
	}
	for (int r = 0; ok && r < PQntuples(result); r++) {
		size_t i = strtoul(PQgetvalue(result, r, 0), NULL, 10);

		if (i < count)
			ok = take_row(result, r, table, &at[i], err);
	}
	PQclear(result);
	return ok;
}

/* Somebody may delete a row after it was inserted. */
static bool all_stored(const struct offsets_table *table, const struct stored_offset *at,
                       size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (at[i].committed == OFFSET_NONE)
			return err_set(err, ERR_CONFLICT,
			               "%s/%" PRId32 ": its row in %s was deleted meanwhile",
			               at[i].topic, at[i].partition, table->name);
	return true;
}

bool stored_offsets_insert(struct postgres *pg, const struct offsets_table *table,
                           struct stored_offset *at, size_t count, struct err *err)
{
	PGresult *result = NULL;

	if (!query(pg, "INSERT INTO ", table,
	           " (topic, partition, next_offset)"
	           " SELECT topic, partition, position"
	           " FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])"
	           " AS w(topic, partition, committed, position)"
	           " WHERE committed = -1 ORDER BY topic, partition ON CONFLICT DO NOTHING",
	           4, at, count, &result, err))
		return false;
	PQclear(result);
	return stored_offsets_read(pg, table, at, count, err) && all_stored(table, at, count, err);
}

bool stored_offsets_unmoved(const struct offsets_table *table, size_t equal, size_t expected,
                            struct err *err)
{
	if (equal != expected)
		return err_set(err, ERR_CONFLICT,
		               "another %s has moved offsets of this batch: %zu of %zu are as "
		               "they were read",
		               table->owner, equal, expected);
	return true;
}

bool stored_offsets_lock(struct postgres *pg, const struct offsets_table *table,
                         const struct stored_offset *at, size_t count, struct err *err)
{
	PGresult *result = NULL;
	size_t equal = 0;

	if (!query(pg, "SELECT o.next_offset = w.committed FROM ", table,
	           " o"
	           " JOIN unnest($1::text[], $2::int[], $3::bigint[])"
	           " AS w(topic, partition, committed)"
	           " ON o.topic = w.topic AND o.partition = w.partition"
	           " ORDER BY o.topic, o.partition FOR UPDATE OF o",
	           3, at, count, &result, err))
		return false;
	for (int r = 0; r < PQntuples(result); r++)
		equal += PQgetvalue(result, r, 0)[0] == 't';
	PQclear(result);
	return stored_offsets_unmoved(table, equal, count, err);
}

bool stored_offsets_move(struct postgres *pg, const struct offsets_table *table,
                         const struct stored_offset *at, size_t count, struct err *err)
{
	PGresult *result = NULL;
	size_t moved;

	if (!query(pg, "UPDATE ", table,
	           " o"
	           " SET next_offset = w.position, last_record = w.last_record"
	           " FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::text[])"
	           " AS w(topic, partition, committed, position, last_record)"
	           " WHERE o.topic = w.topic AND o.partition = w.partition"
	           " AND o.next_offset = w.committed",
	           PARAM_COUNT, at, count, &result, err))
		return false;
	moved = strtoul(PQcmdTuples(result), NULL, 10);
	PQclear(result);
	return stored_offsets_unmoved(table, moved, count, err);
}
