/* The footers go to a table of DuckDB, where SQL makes batches of them. A file that a compacted
 * file replaces does not count. Then each batch that the catalogue does not have is committed, as
 * by the writer, in the order of offsets. So the command may be stopped and started again.
 *
 * Statistics are not in the footer in the form that DuckLake has, so each file is written once
 * more, to the scratch folder.
 *
 * Limits: the checksums are those of the files as they are now. Footers have no hash of the newest
 * record, so the writer recognises a topic that was deleted and created again only after it has
 * written the next batch. */
#include "lake_register.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/memory.h"
#include "lake_catalogue_postgres.h"
#include "lake_command.h"
#include "lake_file.h"
#include "lake_listing.h"
#include "service/log.h"
#include "stream/start_offset.h"

struct register_state {
	struct lake_command *command;
	duckdb_result batches;
	idx_t next; /* batch */
	bool is_read;
	struct lake_position at; /* the newest batch's end; topic "": none */
	char topic[256];
	int64_t stored_batches, stored_files;
};

static const char CREATE_SQL[] =
	"CREATE TABLE footer (path VARCHAR, bytes BIGINT, footer_bytes BIGINT, rows BIGINT,"
	" tab VARCHAR, topic VARCHAR, part INTEGER, first BIGINT, next BIGINT, counts VARCHAR,"
	" clock VARCHAR, segment VARCHAR, batches VARCHAR, replaces VARCHAR)";

static const char READ_SQL[] =
	"INSERT INTO footer SELECT %s, any_value(file_size_bytes), any_value(footer_size),"
	" any_value(num_rows), max(v) FILTER (k = 'funnel.table'),"
	" max(v) FILTER (k = 'funnel.topic'),"
	" CAST(max(v) FILTER (k = 'funnel.partition') AS INTEGER),"
	" CAST(max(v) FILTER (k = 'funnel.first') AS BIGINT),"
	" CAST(max(v) FILTER (k = 'funnel.next') AS BIGINT), max(v) FILTER (k = 'funnel.rows'),"
	" max(v) FILTER (k = 'funnel.clock'), max(v) FILTER (k = 'funnel.segment'),"
	" max(v) FILTER (k = 'funnel.batches'), max(v) FILTER (k = 'funnel.replaces')"
	" FROM (SELECT file_name, decode(key) AS k, decode(value) AS v"
	"       FROM parquet_kv_metadata(%s]))"
	" JOIN (SELECT file_name, file_size_bytes, footer_size, num_rows"
	"       FROM parquet_file_metadata(%s])) USING (file_name)"
	" WHERE starts_with(k, 'funnel.')";

/* part: one row per batch and file. The rows of a batch that no compacted file covers must all be
 * there, or the batch was never registered: then its writer crashed. */
static const char BATCHES_SQL[] =
	"CREATE TABLE live AS SELECT * FROM footer WHERE path NOT IN ("
	"    SELECT unnest(from_json(replaces, '[\"VARCHAR\"]')) FROM footer"
	"    WHERE replaces IS NOT NULL);"
	"CREATE TABLE piece AS"
	" SELECT topic, part, first, next, counts, clock, segment, path, rows, false AS compacted"
	" FROM live WHERE batches IS NULL"
	" UNION ALL"
	" SELECT b ->> 0, CAST(b ->> 1 AS INTEGER), CAST(b ->> 2 AS BIGINT),"
	"        CAST(b ->> 3 AS BIGINT),"
	"        CAST(b -> 4 AS VARCHAR), b ->> 5, b ->> 6, path, 0, true"
	" FROM (SELECT path, unnest(from_json(batches, '[\"JSON\"]')) AS b FROM live"
	"       WHERE batches IS NOT NULL);"
	"CREATE TABLE batch AS"
	" SELECT topic, part, first, max(next) AS next, any_value(counts) AS counts,"
	"        any_value(clock) AS clock, any_value(segment) AS segment,"
	"        list_sort(list(DISTINCT path)) AS paths, sum(rows) AS rows,"
	"        bool_or(compacted) AS compacted, min(next) <> max(next) OR count(*) >"
	"            count(DISTINCT regexp_replace(path, '/[^/]*$', '')) AS unequal,"
	"        false AS is_last FROM piece GROUP BY ALL;"
	"UPDATE batch SET is_last = true WHERE first = (SELECT max(first) FROM batch b"
	"    WHERE b.topic = batch.topic AND b.part = batch.part)";

static const char LIST_SQL[] =
	"SELECT topic, part, first, next, counts, coalesce(clock, ''), coalesce(segment, ''),"
	" CAST(to_json(paths) AS VARCHAR),"
	" unequal OR first < coalesce(lag(next) OVER (PARTITION BY topic, part ORDER BY first), 0),"
	" is_last AND NOT compacted AND rows < (SELECT sum(CAST(v AS BIGINT)) FROM ("
	"     SELECT unnest(json_extract_string(counts, '$.*')) AS v))"
	" FROM batch ORDER BY topic, part, first";
enum {
	B_TOPIC,
	B_PART,
	B_FIRST,
	B_NEXT,
	B_COUNTS,
	B_CLOCK,
	B_SEGMENT,
	B_PATHS,
	B_WRONG,
	B_PARTIAL
};

/* ---- footers */

static void append_read(struct buffer *sql, const char *path, const struct lake_locals *locals)
{
	const char *at = READ_SQL;

	for (int i = 0; i < 3; i++) {
		const char *hole = strstr(at, "%s");

		buffer_append(sql, at, (size_t)(hole - at));
		if (i == 0)
			duck_quote(sql, path);
		else
			buffer_append(sql, locals->list.at, locals->list.len);
		at = hole + 2;
	}
	buffer_append(sql, at, strlen(at) + 1);
}

static bool read_footer(struct register_state *state, const char *path, struct err *err)
{
	struct lake_locals locals = {0};
	struct buffer sql = {0};
	bool ok = lake_locals_add(state->command, path, &locals, err);

	if (ok) {
		append_read(&sql, path, &locals);
		ok = duck_run(state->command->duck, sql.at, err) ||
		     err_prefix(err, "cannot read the footer of %s", path);
	}
	buffer_free(&sql);
	lake_locals_free(&locals);
	return ok;
}

/* Files with other names are not ours. */
static bool read_footers(struct register_state *state, struct err *err)
{
	struct lake_listing listing = {0};
	struct lake_path parsed;
	bool ok = duck_run(state->command->duck, CREATE_SQL, err) &&
	          lake_storage_list(state->command->storage, "", &listing, err);

	for (size_t i = 0; ok && i < listing.count; i++) {
		if (lake_path_parse(listing.at[i].path, &parsed))
			ok = read_footer(state, listing.at[i].path, err);
		else
			log_warn("file_left_out", log_str("file", listing.at[i].path),
			         log_str("detail", "not a name of the lake"));
	}
	lake_listing_free(&listing);
	return ok && duck_run(state->command->duck, BATCHES_SQL, err) &&
	       duck_query(state->command->duck, LIST_SQL, &state->batches, err);
}

/* ---- files of a batch */

static bool is_registered(struct register_state *state, const char *path, bool *registered,
                          struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(state->command->pg,
	                    "SELECT EXISTS (SELECT FROM lake.ducklake_data_file f"
	                    " JOIN lake.ducklake_table t USING (table_id)"
	                    " WHERE t.table_name || '/' || f.path = $1 AND f.end_snapshot IS NULL)",
	                    1, &path, &result, err))
		return false;
	*registered = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return true;
}

/* Bytes of the file and of its footer, which a copy does not have. */
static bool read_sizes(struct register_state *state, const char *path, struct lake_file *file,
                       struct err *err)
{
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	buffer_text(&sql, "SELECT bytes, footer_bytes, rows FROM footer WHERE path = ");
	duck_quote(&sql, path);
	buffer_append(&sql, "", 1);
	ok = duck_query(state->command->duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok)
		return false;
	file->bytes = duck_int64(&result, 0, 0);
	file->footer_bytes = duck_int64(&result, 1, 0);
	file->rows = duck_int64(&result, 2, 0);
	duckdb_destroy_result(&result);
	return true;
}

static bool measure(struct register_state *state, const char *path, struct lake_file *file,
                    struct err *err)
{
	static const char *const none[] = {"funnel.table", "copy", NULL};
	struct lake_locals locals = {0};
	struct lake_path parsed;
	struct buffer query = {0};
	char local[LAKE_PATH_MAX], sha256[LAKE_SHA256_MAX];
	bool ok;

	if (!lake_path_parse(path, &parsed))
		return err_set(err, ERR_FATAL, "%s: not a name of the lake", path);
	*file = (struct lake_file){.table = parsed.table, .path = strdup(path)};
	if (!file->path)
		memory_exhausted();
	ok = lake_locals_add(state->command, path, &locals, err) &&
	     lake_file_sha256(locals.last, sha256, err);
	if (ok) {
		buffer_text(&query, "SELECT * FROM read_parquet(");
		buffer_append(&query, locals.list.at, locals.list.len);
		buffer_text(&query, "], hive_partitioning = false)");
		buffer_append(&query, "", 1);
		ok = lake_command_copy(state->command, query.at, none, local, file, err);
	}
	if (ok) {
		unlink(local);
		memcpy(file->sha256, sha256, sizeof(sha256));
	}
	buffer_free(&query);
	lake_locals_free(&locals);
	return ok && read_sizes(state, path, file, err);
}

static bool add_path(struct register_state *state, const char *path, struct lake_file *files,
                     size_t *count, struct err *err)
{
	bool registered;

	if (!is_registered(state, path, &registered, err))
		return false;
	return registered || measure(state, path, &files[(*count)++], err);
}

/* ---- batches */

static void take_counts(const char *counts, int64_t rows[LAKE_TABLE_COUNT])
{
	json_t *json = json_loads(counts, 0, NULL);

	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		rows[t] = json_integer_value(
			json_object_get(json, lake_table_def((enum lake_table)t)->name));
	json_decref(json);
}

static void take_text(duckdb_result *result, idx_t column, idx_t row, char *out, size_t cap)
{
	char *text = duck_text(result, column, row);

	snprintf(out, cap, "%s", text ? text : "");
	duckdb_free(text);
}

/* Offsets without a record have no file, so there may be a hole before the batch. It becomes a
 * batch without rows. */
static bool fill_hole(struct register_state *state, int64_t first, struct err *err)
{
	struct lake_commit hole = {.from = state->at, .to = state->at, .first = state->at.next};

	if (state->at.next == OFFSET_NONE || state->at.next >= first)
		return true;
	hole.to.next = first;
	log_warn("hole", log_partition(state->topic, state->at.partition),
	         log_int("first", state->at.next), log_int("next", first),
	         log_str("detail", "no file has these offsets: they held no records, or their "
	                           "files are lost or expired"));
	if (!lake_catalogue_commit(state->command->catalogue, &hole, 1, err))
		return false;
	state->at = hole.to;
	return true;
}

static bool store(struct register_state *state, const struct lake_position *to, int64_t first,
                  idx_t row, const json_t *paths, struct err *err)
{
	struct lake_file *files = xrealloc(NULL, (json_array_size(paths) + 1) * sizeof(*files));
	struct lake_commit batch = {.from = state->at, .to = *to, .first = first, .files = files};
	char *counts = duck_text(&state->batches, B_COUNTS, row);
	bool ok = true;

	take_counts(counts ? counts : "{}", batch.rows);
	duckdb_free(counts);
	for (size_t i = 0; ok && i < json_array_size(paths); i++)
		ok = add_path(state, json_string_value(json_array_get(paths, i)), files,
		              &batch.file_count, err);
	ok = ok && lake_catalogue_commit(state->command->catalogue, &batch, 1, err);
	state->stored_batches += ok;
	state->stored_files += ok ? (int64_t)batch.file_count : 0;
	for (size_t i = 0; i < batch.file_count; i++) {
		free(files[i].path);
		free(files[i].statistics);
	}
	free(files);
	return ok;
}

/* Reads the catalogue's position when a new partition begins. */
static bool enter_partition(struct register_state *state, idx_t row, struct err *err)
{
	int32_t partition = (int32_t)duck_int64(&state->batches, B_PART, row);
	char topic[sizeof(state->topic)];

	take_text(&state->batches, B_TOPIC, row, topic, sizeof(topic));
	if (strcmp(topic, state->topic) == 0 && state->at.partition == partition)
		return true;
	memcpy(state->topic, topic, sizeof(topic));
	state->at = (struct lake_position){.topic = state->topic, .partition = partition};
	return lake_catalogue_read(state->command->catalogue, &state->at, 1, err);
}

static bool register_batch(struct register_state *state, idx_t row, struct err *err)
{
	duckdb_result *batches = &state->batches;
	int64_t first = duck_int64(batches, B_FIRST, row);
	struct lake_position to;
	char *text;
	json_t *paths;
	bool ok;

	if (!enter_partition(state, row, err))
		return false;
	to = state->at;
	to.next = duck_int64(batches, B_NEXT, row);
	to.last = RECORD_MARK_NONE;
	take_text(batches, B_CLOCK, row, to.clock, sizeof(to.clock));
	take_text(batches, B_SEGMENT, row, to.segment, sizeof(to.segment));
	if (duckdb_value_boolean(batches, B_WRONG, row))
		return err_set(err, ERR_OPERATOR,
		               "%s/%" PRId32 ": the batch from offset %" PRId64
		               " is there twice, or overlaps another one: the folder has files of "
		               "two lakes, or of an interrupted lake compact",
		               state->topic, state->at.partition, first);
	if (state->at.next >= to.next)
		return true; /* the catalogue has it */
	if (duckdb_value_boolean(batches, B_PARTIAL, row)) {
		log_warn("batch_left_out", log_partition(state->topic, state->at.partition),
		         log_int("first", first),
		         log_str("detail", "it is not complete; lake write writes it again"));
		return true;
	}
	if (!fill_hole(state, first, err))
		return false;
	text = duck_text(batches, B_PATHS, row);
	paths = json_loads(text, 0, NULL);
	duckdb_free(text);
	ok = store(state, &to, first, row, paths, err);
	json_decref(paths);
	if (ok)
		state->at = to;
	return ok;
}

/* ---- the command */

static bool register_open(void *config, void **state, struct err *err)
{
	struct register_state *new = xrealloc(NULL, sizeof(*new));

	*new = (struct register_state){0};
	*state = new;
	return lake_command_open_unclaimed(config, &new->command, err);
}

static enum step register_step(void *opaque, bool stopping, struct err *err)
{
	struct register_state *state = opaque;

	if (stopping)
		return STEP_DONE;
	if (!state->is_read) {
		if (!read_footers(state, err))
			return STEP_FAILED;
		state->is_read = true;
		return STEP_MORE;
	}
	if (state->next < duckdb_row_count(&state->batches))
		return register_batch(state, state->next++, err) ? STEP_MORE : STEP_FAILED;
	if (!lake_catalogue_claim(state->command->catalogue, err))
		return STEP_FAILED;
	log_info("register_finished", log_int("batches", state->stored_batches),
	         log_int("files", state->stored_files));
	return STEP_DONE;
}

static void register_close(void *opaque)
{
	struct register_state *state = opaque;

	if (!state)
		return;
	if (state->is_read)
		duckdb_destroy_result(&state->batches);
	lake_command_close(state->command);
	free(state);
}

static const struct config_option *const tables[] = {lake_storage_options, NULL};

const struct service lake_register_service = {
	.name = "lake register",
	.summary = "makes the catalogue in PostgreSQL again from the footers of the files",
	.tables = tables,
	.config_size = sizeof(struct lake_config),
	.open = register_open,
	.step = register_step,
	.close = register_close,
};
