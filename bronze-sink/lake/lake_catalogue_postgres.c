/* One transaction per commit, in the order that sql/functions/lake.sql asks for. A crash before the
 * COMMIT leaves files that the catalogue does not know; the next writer removes them.
 *
 * DuckDB's own commits do not take our lock. If one comes between, the key of ducklake_snapshot
 * refuses our snapshot, and the caller repeats the transaction. */
#include "lake_catalogue_postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "postgres/postgres_session.h"
#include "postgres/stored_offsets.h"
#include "service/fault.h"
#include "stream/start_offset.h"

#define SNAPSHOT_KEY "ducklake_snapshot_pkey"

static const struct offsets_table positions = {"lake.positions", "lake writer"};

static bool run(struct postgres *pg, const char *sql, int count, const char *const *params,
                struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(pg, sql, count, params, &result, err))
		return false;
	PQclear(result);
	return true;
}

/* ---- transactions */

bool lake_pg_begin(struct postgres *pg, struct err *err)
{
	return postgres_connect(pg, NULL, err) &&
	       postgres_run(pg, "BEGIN; SELECT lake.lock()", err);
}

bool lake_pg_end(struct postgres *pg, bool ok, struct err *err)
{
	if (ok && postgres_run(pg, "COMMIT", err))
		return true;
	if (err->class == ERR_INPUT && strstr(err->message, SNAPSHOT_KEY))
		err->class = ERR_RETRY;
	postgres_rollback(pg);
	return false;
}

bool lake_pg_snapshot(struct postgres *pg, size_t files, const char *changes, const char *info,
                      struct lake_snapshot *snapshot, struct err *err)
{
	char count[32];
	const char *params[] = {count, changes, info};
	PGresult *result = NULL;

	snprintf(count, sizeof(count), "%zu", files);
	if (!postgres_query(pg, "SELECT * FROM lake.begin_snapshot($1::bigint, $2, $3::jsonb)", 3,
	                    params, &result, err))
		return false;
	snapshot->id = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	snapshot->first_file = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
	PQclear(result);
	return true;
}

static bool add_checksum(struct postgres *pg, const char *file_id, const char *sha256,
                         struct err *err)
{
	const char *params[] = {file_id, sha256};

	return run(pg,
	           "INSERT INTO lake.file_checksums (data_file_id, sha256) VALUES ($1::bigint, $2)",
	           2, params, err);
}

bool lake_pg_add_file(struct postgres *pg, const struct lake_snapshot *snapshot, size_t n,
                      const struct lake_file *file, struct err *err)
{
	char numbers[5][32];
	const char *params[] = {numbers[0], numbers[1],      lake_table_def(file->table)->name,
	                        file->path, numbers[2],      numbers[3],
	                        numbers[4], file->statistics};

	snprintf(numbers[0], sizeof(numbers[0]), "%" PRId64, snapshot->id);
	snprintf(numbers[1], sizeof(numbers[1]), "%" PRId64, snapshot->first_file + (int64_t)n);
	snprintf(numbers[2], sizeof(numbers[2]), "%" PRId64, file->rows);
	snprintf(numbers[3], sizeof(numbers[3]), "%" PRId64, file->bytes);
	snprintf(numbers[4], sizeof(numbers[4]), "%" PRId64, file->footer_bytes);
	return run(pg,
	           "SELECT lake.add_file($1::bigint, $2::bigint, $3, $4, $5::bigint, $6::bigint,"
	           " $7::bigint, $8::jsonb)",
	           8, params, err) &&
	       (!*file->sha256 || add_checksum(pg, numbers[1], file->sha256, err));
}

/* ---- open */

static bool check_schema(struct postgres *pg, struct err *err)
{
	PGresult *result = NULL;
	bool there;

	if (!postgres_query(pg, "SELECT to_regclass('lake.positions') IS NOT NULL", 0, NULL,
	                    &result, err))
		return false;
	there = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return there ||
	       err_set(err, ERR_RETRY,
	               "the database of POSTGRES_DSN does not have the schema lake: start "
	               "pg-loader, which applies the SQL files (MIGRATE=only: then stops)");
}

bool lake_pg_claim(struct postgres *pg, const char *root, struct err *err)
{
	return run(pg,
	           "INSERT INTO lake.ducklake_metadata (key, value) SELECT 'data_path', $1"
	           " WHERE NOT EXISTS (SELECT FROM lake.ducklake_metadata"
	           "                   WHERE key = 'data_path' AND scope IS NULL)",
	           1, &root, err);
}

/* *claimed: the catalogue has a lake, and it is this one. */
static bool check_root(struct postgres *pg, const char *root, bool *claimed, struct err *err)
{
	PGresult *result = NULL;
	bool ok;

	if (!postgres_query(pg,
	                    "SELECT value FROM lake.ducklake_metadata"
	                    " WHERE key = 'data_path' AND scope IS NULL",
	                    0, NULL, &result, err))
		return false;
	*claimed = PQntuples(result) > 0;
	ok = !*claimed || strcmp(PQgetvalue(result, 0, 0), root) == 0 ||
	     err_set(err, ERR_OPERATOR,
	             "the catalogue in PostgreSQL is that of the lake %s, but LAKE_URL is %s: set "
	             "LAKE_URL to the former, or use another database; if you have moved the lake, "
	             "set value to the new place in lake.ducklake_metadata (key 'data_path')",
	             PQgetvalue(result, 0, 0), root);
	PQclear(result);
	return ok;
}

bool lake_pg_open(struct postgres *pg, const char *root, bool *claimed, struct err *err)
{
	return postgres_connect(pg, NULL, err) && check_schema(pg, err) &&
	       check_root(pg, root, claimed, err);
}

/* ---- read */

static bool take_text(const PGresult *result, int row, int column, char *out, size_t cap,
                      const struct lake_position *at, struct err *err)
{
	const char *text = PQgetvalue(result, row, column); /* "" for null */

	if (strlen(text) >= cap)
		return err_set(err, ERR_OPERATOR,
		               "%s/%" PRId32 ": %s in lake.positions has %zu bytes: expected less "
		               "than %zu",
		               at->topic, at->partition, PQfname(result, column), strlen(text),
		               cap);
	snprintf(out, cap, "%s", text);
	return true;
}

/* What stored_offsets_read does not read. */
static bool read_state(struct postgres *pg, struct lake_position *at, struct err *err)
{
	char partition[16];
	const char *params[] = {at->topic, partition};
	PGresult *result = NULL;
	bool ok = true;

	at->segment[0] = at->clock[0] = '\0';
	snprintf(partition, sizeof(partition), "%" PRId32, at->partition);
	if (!postgres_query(pg,
	                    "SELECT segment, clock FROM lake.positions"
	                    " WHERE topic = $1 AND partition = $2::int",
	                    2, params, &result, err))
		return false;
	if (PQntuples(result) > 0)
		ok = take_text(result, 0, 0, at->segment, sizeof(at->segment), at, err) &&
		     take_text(result, 0, 1, at->clock, sizeof(at->clock), at, err);
	PQclear(result);
	return ok;
}

/* In one snapshot of the database, so that the parts of a position belong together. */
static bool read_all(struct postgres *pg, struct lake_position *at, struct stored_offset *offsets,
                     size_t count, struct err *err)
{
	bool ok;

	for (size_t i = 0; i < count; i++)
		offsets[i] =
			(struct stored_offset){.topic = at[i].topic, .partition = at[i].partition};
	ok = postgres_run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err) &&
	     stored_offsets_read(pg, &positions, offsets, count, err);
	for (size_t i = 0; ok && i < count; i++) {
		at[i].next = offsets[i].committed;
		at[i].last = offsets[i].last;
		ok = read_state(pg, &at[i], err);
	}
	return lake_pg_end(pg, ok, err);
}

bool lake_pg_read_next(struct postgres *pg, struct lake_position *at, struct err *err)
{
	struct stored_offset offset = {.topic = at->topic, .partition = at->partition};

	if (!stored_offsets_read(pg, &positions, &offset, 1, err))
		return false;
	at->next = offset.committed;
	return true;
}

bool lake_pg_read(struct postgres *pg, struct lake_position *at, size_t count, struct err *err)
{
	struct stored_offset *offsets = xrealloc(NULL, (count + 1) * sizeof(*offsets));
	bool ok = postgres_connect(pg, NULL, err) && read_all(pg, at, offsets, count, err);

	free(offsets);
	return ok;
}

/* ---- commit */

/* A first batch has no row yet. It is inserted at the offset where the batch begins, and moved like
 * all others. */
static bool lock_positions(struct postgres *pg, const struct lake_commit *batches,
                           struct stored_offset *moved, size_t count, struct err *err)
{
	struct stored_offset *fresh = xrealloc(NULL, (count + 1) * sizeof(*fresh));
	size_t fresh_count = 0;
	bool ok = true;

	for (size_t i = 0; i < count; i++) {
		const struct lake_commit *batch = &batches[i];

		moved[i] = (struct stored_offset){batch->to.topic, batch->to.partition,
		                                  batch->from.next, batch->to.next, batch->to.last};
		if (batch->from.next == OFFSET_NONE) {
			moved[i].committed = batch->first;
			fresh[fresh_count++] =
				(struct stored_offset){batch->to.topic, batch->to.partition,
			                               OFFSET_NONE, batch->first, RECORD_MARK_NONE};
		}
	}
	if (fresh_count > 0)
		ok = stored_offsets_insert(pg, &positions, fresh, fresh_count, err);
	free(fresh);
	return ok && stored_offsets_lock(pg, &positions, moved, count, err);
}

/* {"batches": [["topic", partition, first, next], ...]}. Topics need no escapes. */
static void format_info(const struct lake_commit *batches, size_t count, struct buffer *info)
{
	buffer_format(info, "{\"batches\": [");
	for (size_t i = 0; i < count; i++)
		buffer_format(info, "%s[\"%s\", %" PRId32 ", %" PRId64 ", %" PRId64 "]",
		              i > 0 ? ", " : "", batches[i].to.topic, batches[i].to.partition,
		              batches[i].first, batches[i].to.next);
	buffer_format(info, "]}");
	buffer_append(info, "", 1);
}

/* The tables have the ids 1 to 5 in DuckLake, in the order of enum lake_table. */
static void format_changes(const struct lake_commit *batches, size_t count, struct buffer *changes)
{
	bool has_files[LAKE_TABLE_COUNT] = {false};

	for (size_t i = 0; i < count; i++)
		for (size_t f = 0; f < batches[i].file_count; f++)
			has_files[batches[i].files[f].table] = true;
	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (has_files[t])
			buffer_format(changes, "%sinserted_into_table:%d",
			              changes->len > 0 ? "," : "", t + 1);
	buffer_append(changes, "", 1);
}

static bool begin_snapshot(struct postgres *pg, const struct lake_commit *batches, size_t count,
                           size_t files, struct lake_snapshot *snapshot, struct err *err)
{
	struct buffer info = {0}, changes = {0};
	bool ok;

	format_info(batches, count, &info);
	format_changes(batches, count, &changes);
	ok = lake_pg_snapshot(pg, files, changes.at, info.at, snapshot, err);
	buffer_free(&info);
	buffer_free(&changes);
	return ok;
}

/* snapshot->id stays 0 if there are no files. */
static bool add_files(struct postgres *pg, const struct lake_commit *batches, size_t count,
                      struct lake_snapshot *snapshot, struct err *err)
{
	size_t files = 0, n = 0;
	bool ok;

	for (size_t i = 0; i < count; i++)
		files += batches[i].file_count;
	if (files == 0)
		return true;
	ok = begin_snapshot(pg, batches, count, files, snapshot, err);
	for (size_t i = 0; ok && i < count; i++)
		for (size_t f = 0; ok && f < batches[i].file_count; f++)
			ok = lake_pg_add_file(pg, snapshot, n++, &batches[i].files[f], err);
	return ok;
}

static void format_rows(const int64_t rows[LAKE_TABLE_COUNT], struct buffer *json)
{
	buffer_format(json, "{");
	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (rows[t] > 0)
			buffer_format(json, "%s\"%s\": %" PRId64, json->len > 1 ? ", " : "",
			              lake_table_def((enum lake_table)t)->name, rows[t]);
	buffer_format(json, "}");
	buffer_append(json, "", 1);
}

/* Stores the batch, and what stored_offsets_move does not store. */
static bool store_batch(struct postgres *pg, const struct lake_commit *batch, int64_t snapshot,
                        struct err *err)
{
	struct buffer rows = {0};
	char partition[16], first[32], next[32], number[32];
	const char *params[] = {batch->to.topic,
	                        partition,
	                        first,
	                        next,
	                        NULL,
	                        batch->to.clock,
	                        batch->to.segment,
	                        snapshot ? number : NULL};
	bool ok;

	snprintf(partition, sizeof(partition), "%" PRId32, batch->to.partition);
	snprintf(first, sizeof(first), "%" PRId64, batch->first);
	snprintf(next, sizeof(next), "%" PRId64, batch->to.next);
	snprintf(number, sizeof(number), "%" PRId64, snapshot);
	format_rows(batch->rows, &rows);
	params[4] = rows.at;
	ok = run(pg,
	         "WITH state AS (UPDATE lake.positions"
	         " SET clock = nullif($6, ''), segment = nullif($7, '')"
	         " WHERE topic = $1 AND partition = $2::int)"
	         " INSERT INTO lake.batches (topic, partition, first_offset, next_offset, rows,"
	         " clock, segment, snapshot)"
	         " SELECT $1, $2::int, $3::bigint, $4::bigint, $5::jsonb, nullif($6, ''),"
	         " nullif($7, ''), $8::bigint WHERE $3::bigint < $4::bigint",
	         8, params, err);
	buffer_free(&rows);
	return ok;
}

static bool is_there(struct lake_storage *storage, const char *path, bool *there, struct err *err)
{
	struct lake_listing day = {0};
	char folder[LAKE_RELATIVE_MAX];
	bool ok;

	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') + 1 - path), path);
	ok = lake_storage_list(storage, folder, &day, err);
	*there = false;
	for (size_t i = 0; ok && i < day.count; i++)
		*there |= strcmp(day.at[i].path, path) == 0;
	lake_listing_free(&day);
	return ok;
}

static bool files_are_there(struct lake_storage *storage, const struct lake_commit *batches,
                            size_t count, struct err *err)
{
	bool there = true;

	if (lake_storage_is_folder(storage))
		return true;
	for (size_t i = 0; i < count; i++)
		for (size_t f = 0; f < batches[i].file_count; f++) {
			const char *path = batches[i].files[f].path;

			if (!is_there(storage, path, &there, err))
				return false;
			if (!there)
				return err_set(err, ERR_CONFLICT,
				               "%s: another lake writer has removed it", path);
		}
	return true;
}

static bool store(struct postgres *pg, const struct lake_commit *batches,
                  struct stored_offset *moved, size_t count, struct err *err)
{
	struct lake_snapshot snapshot = {0};
	bool ok = lock_positions(pg, batches, moved, count, err) &&
	          add_files(pg, batches, count, &snapshot, err);

	FAULT_POINT("after_files");
	ok = ok && stored_offsets_move(pg, &positions, moved, count, err);
	for (size_t i = 0; ok && i < count; i++)
		ok = store_batch(pg, &batches[i], snapshot.id, err);
	return ok;
}

bool lake_pg_commit(struct postgres *pg, struct lake_storage *storage,
                    const struct lake_commit *batches, size_t count, struct err *err)
{
	struct stored_offset *moved = xrealloc(NULL, (count + 1) * sizeof(*moved));
	bool ok = lake_pg_begin(pg, err);

	FAULT_POINT("after_lock");
	ok = ok && files_are_there(storage, batches, count, err) &&
	     store(pg, batches, moved, count, err);
	FAULT_POINT("before_commit");
	ok = lake_pg_end(pg, ok, err);
	FAULT_POINT("after_commit");
	free(moved);
	return ok;
}
