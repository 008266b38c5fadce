/* Only the database recognises a user, and it does not return all of them. So DuckDB lists the
 * users of the files, or the bytes of dead letters, and the database gets them in portions. The
 * answer is a small table of DuckDB, which the SELECT of the new file joins. Rows are never in our
 * own memory, except for one portion of dead letters. */
#include "lake_forgotten_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "duck.h"
#include "lake_forgotten.h"

#define USERS_PER_QUESTION 100000
#define BYTES_PER_PORTION  4000000

static void append_files(struct buffer *sql, const struct lake_locals *locals, const char *options)
{
	buffer_text(sql, "read_parquet(");
	buffer_append(sql, locals->list.at, locals->list.len);
	buffer_text(sql, "], hive_partitioning = false");
	buffer_text(sql, options);
	buffer_text(sql, ")");
}

static bool run_and_free(struct duck *duck, struct buffer *sql, struct err *err)
{
	bool ok;

	buffer_append(sql, "", 1);
	ok = duck_run(duck, sql->at, err);
	buffer_free(sql);
	return ok;
}

/* *text: one value, which the caller frees with duckdb_free; NULL: null. */
static bool ask_duck(struct duck *duck, const char *sql, char **text, struct err *err)
{
	duckdb_result result;

	*text = NULL;
	if (!duck_query(duck, sql, &result, err))
		return false;
	*text = duck_text(&result, 0, 0);
	duckdb_destroy_result(&result);
	return true;
}

bool lake_forgotten_newest(struct postgres *pg, int64_t *request, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(pg, "SELECT coalesce(processed.newest_forget_request(), -1)", 0, NULL,
	                    &result, err))
		return err_prefix(err, "cannot read which users are forgotten");
	*request = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return true;
}

/* ---- events */

/* The users of the files, each once. A user below 1 is a pseudonym already. */
static bool list_users(struct duck *duck, const struct lake_locals *locals, struct err *err)
{
	struct buffer sql = {0};

	buffer_text(&sql, "CREATE OR REPLACE TEMPORARY TABLE forgotten_user (user_id BIGINT,"
	                  " pseudonym BIGINT);"
	                  " CREATE OR REPLACE TEMPORARY TABLE file_user AS"
	                  " SELECT DISTINCT user_id FROM ");
	append_files(&sql, locals, "");
	buffer_text(&sql, " WHERE user_id > 0");
	return run_and_free(duck, &sql, err);
}

static bool note_users(struct duck *duck, const PGresult *users, struct err *err)
{
	char sql[256];

	for (int r = 0; r < PQntuples(users); r++) {
		snprintf(sql, sizeof(sql),
		         "INSERT INTO forgotten_user VALUES (%" PRId64 ", %" PRId64 ")",
		         (int64_t)strtoll(PQgetvalue(users, r, 0), NULL, 10),
		         (int64_t)strtoll(PQgetvalue(users, r, 1), NULL, 10));
		if (!duck_run(duck, sql, err))
			return false;
	}
	return true;
}

/* Asks for one portion, from the row `from` of file_user on. *more: there was one. */
static bool ask_users(struct lake_command *command, int64_t from, bool *more, int64_t *found,
                      struct err *err)
{
	const char *params[1];
	PGresult *result = NULL;
	char sql[256], *users;
	bool ok;

	snprintf(sql, sizeof(sql),
	         "SELECT '{' || string_agg(CAST(user_id AS VARCHAR), ',') || '}' FROM file_user"
	         " WHERE rowid >= %" PRId64 " AND rowid < %" PRId64,
	         from, from + USERS_PER_QUESTION);
	if (!ask_duck(command->duck, sql, &users, err))
		return false;
	*more = users != NULL;
	if (!users)
		return true;
	params[0] = users;
	ok = postgres_query(command->pg,
	                    "SELECT user_id, pseudonym FROM processed.forgotten($1::text[])", 1,
	                    params, &result, err) &&
	     note_users(command->duck, result, err);
	*found += ok ? PQntuples(result) : 0;
	PQclear(result);
	duckdb_free(users);
	return ok;
}

static bool find_users(struct lake_command *command, const struct lake_locals *locals,
                       int64_t *found, struct err *err)
{
	bool more = true, ok = list_users(command->duck, locals, err);

	for (int64_t from = 0; ok && more; from += USERS_PER_QUESTION)
		ok = ask_users(command, from, &more, found, err);
	return ok;
}

/* ---- dead letters */

#define PLACES ", filename = true, file_row_number = true"

/* The letters with bytes. Those of a portion have few megabytes, or there is one of them. */
static bool list_letters(struct duck *duck, const struct lake_locals *locals, struct err *err)
{
	struct buffer sql = {0};
	char portion[64];

	snprintf(portion, sizeof(portion), " // %d AS INTEGER) AS portion", BYTES_PER_PORTION);
	buffer_text(&sql, "CREATE OR REPLACE TEMPORARY TABLE forgotten_letter (file VARCHAR,"
	                  " place BIGINT);"
	                  " CREATE OR REPLACE TEMPORARY TABLE letter AS"
	                  " SELECT filename AS file, file_row_number AS place, key, value, detail,"
	                  " CAST(sum(200 + coalesce(octet_length(key), 0)"
	                  "          + coalesce(octet_length(value), 0)"
	                  "          + coalesce(strlen(detail), 0))"
	                  " OVER (ORDER BY filename, file_row_number)");
	buffer_text(&sql, portion);
	buffer_text(&sql, " FROM ");
	append_files(&sql, locals, PLACES);
	buffer_text(&sql, " WHERE coalesce(key, value, encode(detail)) IS NOT NULL");
	return run_and_free(duck, &sql, err);
}

/* Asks for all numbers of the letters at once. */
static const char NAMES_SQL[] =
	"WITH letter AS MATERIALIZED ("
	"    SELECT n, raw.user_ids_of(key::bytea, value::bytea, detail) AS ids"
	"    FROM json_to_recordset($1::json) AS l(n bigint, key text, value text, detail text)"
	"), hit AS (SELECT user_id FROM processed.forgotten("
	"    ARRAY(SELECT DISTINCT unnest(ids) FROM letter)))"
	" SELECT string_agg(n::text, ','), count(*) FROM letter"
	" WHERE ids && ARRAY(SELECT user_id FROM hit)";

static bool note_letters(struct duck *duck, const PGresult *hits, int64_t *found, struct err *err)
{
	struct buffer sql = {0};

	if (PQgetisnull(hits, 0, 0))
		return true;
	*found += strtoll(PQgetvalue(hits, 0, 1), NULL, 10);
	buffer_text(&sql, "INSERT INTO forgotten_letter SELECT file, place FROM letter"
	                  " WHERE rowid IN (");
	buffer_text(&sql, PQgetvalue(hits, 0, 0));
	buffer_text(&sql, ")");
	return run_and_free(duck, &sql, err);
}

/* PostgreSQL has no byte 0 in texts. */
static bool ask_letters(struct lake_command *command, const char *portion, int64_t *found,
                        struct err *err)
{
	const char *params[1];
	PGresult *result = NULL;
	char sql[512], *letters;
	bool ok;

	snprintf(sql, sizeof(sql),
	         "SELECT CAST(json_group_array(json_object('n', rowid, 'key', '\\x' || hex(key),"
	         " 'value', '\\x' || hex(value), 'detail', replace(detail, chr(0), '?')))"
	         " AS VARCHAR) FROM letter WHERE portion = %s",
	         portion);
	if (!ask_duck(command->duck, sql, &letters, err))
		return false;
	params[0] = letters;
	ok = postgres_query(command->pg, NAMES_SQL, 1, params, &result, err) &&
	     note_letters(command->duck, result, found, err);
	PQclear(result);
	duckdb_free(letters);
	return ok;
}

static bool find_letters(struct lake_command *command, const struct lake_locals *locals,
                         int64_t *found, struct err *err)
{
	duckdb_result portions;
	bool ok = true;

	if (!list_letters(command->duck, locals, err) ||
	    !duck_query(command->duck, "SELECT DISTINCT portion FROM letter ORDER BY 1", &portions,
	                err))
		return false;
	for (idx_t r = 0; ok && r < duckdb_row_count(&portions); r++) {
		char *portion = duck_text(&portions, 0, r);

		ok = ask_letters(command, portion, found, err);
		duckdb_free(portion);
	}
	duckdb_destroy_result(&portions);
	return ok && duck_run(command->duck, "DROP TABLE letter", err);
}

/* ---- clocks */

/* The clocks in the footers, as an array of PostgreSQL. A clock has no quotes. */
static bool list_clocks(struct duck *duck, const struct lake_locals *locals, char **clocks,
                        struct err *err)
{
	struct buffer sql = {0};
	bool ok;

	buffer_text(&sql, "WITH footer AS (SELECT decode(key) AS k, decode(value) AS v"
	                  " FROM parquet_kv_metadata(");
	buffer_append(&sql, locals->list.at, locals->list.len);
	buffer_text(&sql,
	            "])), clock AS (SELECT v AS clock FROM footer WHERE k = 'funnel.clock' UNION"
	            " SELECT unnest(json_extract_string(v, '$[*][5]')) FROM footer"
	            " WHERE k = 'funnel.batches')"
	            " SELECT '{\"' || string_agg(clock, '\",\"') || '\"}' FROM clock"
	            " WHERE clock SIMILAR TO '[-0-9,]+'");
	buffer_append(&sql, "", 1);
	ok = ask_duck(duck, sql.at, clocks, err);
	buffer_free(&sql);
	return ok;
}

static bool note_clocks(struct duck *duck, const PGresult *clocks, struct err *err)
{
	bool ok = true;

	for (int r = 0; ok && r < PQntuples(clocks); r++) {
		struct buffer sql = {0};

		buffer_text(&sql, "INSERT INTO forgotten_clock VALUES (");
		duck_quote(&sql, PQgetvalue(clocks, r, 0));
		buffer_text(&sql, ", ");
		duck_quote(&sql, PQgetvalue(clocks, r, 1));
		buffer_text(&sql, ")");
		ok = run_and_free(duck, &sql, err);
	}
	return ok;
}

static bool find_clocks(struct lake_command *command, const struct lake_locals *locals,
                        int64_t *found, struct err *err)
{
	const char *params[1];
	PGresult *result = NULL;
	char *clocks = NULL;
	bool ok;

	if (!duck_run(command->duck,
	              "CREATE OR REPLACE TEMPORARY TABLE forgotten_clock (clock VARCHAR,"
	              " pseudonymous VARCHAR)",
	              err) ||
	    !list_clocks(command->duck, locals, &clocks, err))
		return false;
	if (!clocks)
		return true;
	params[0] = clocks;
	ok = postgres_query(command->pg,
	                    "SELECT clock, pseudonymous FROM lake.forget_in_clocks($1::text[])", 1,
	                    params, &result, err) &&
	     note_clocks(command->duck, result, err);
	*found += ok ? PQntuples(result) : 0;
	PQclear(result);
	duckdb_free(clocks);
	return ok;
}

/* Appends the text with one clock replaced. In JSON it has quotes around it. */
static void replace_clock(struct buffer *out, const char *text, const char *from, const char *to)
{
	size_t len = strlen(from);

	for (const char *at = text; *at;) {
		if (at > text && at[-1] == '"' && strncmp(at, from, len) == 0 && at[len] == '"') {
			buffer_text(out, to);
			at += len;
		} else
			buffer_append(out, at++, 1);
	}
	buffer_append(out, "", 1);
}

bool lake_forgotten_batches(struct lake_command *command, const char *batches, int64_t found,
                            char **replaced, struct err *err)
{
	struct buffer copy = {0};
	duckdb_result clocks;

	buffer_append(&copy, batches, strlen(batches) + 1);
	*replaced = copy.at;
	if (found == 0)
		return true;
	if (!duck_query(command->duck, "SELECT clock, pseudonymous FROM forgotten_clock", &clocks,
	                err))
		return false;
	for (idx_t r = 0; r < duckdb_row_count(&clocks); r++) {
		char *from = duck_text(&clocks, 0, r), *to = duck_text(&clocks, 1, r);
		struct buffer out = {0};

		replace_clock(&out, *replaced, from, to);
		free(*replaced);
		*replaced = out.at;
		duckdb_free(from);
		duckdb_free(to);
	}
	duckdb_destroy_result(&clocks);
	return true;
}

bool lake_forgotten_catalogue(struct postgres *pg, struct err *err)
{
	PGresult *result = NULL;
	bool ok = postgres_query(pg, "SELECT lake.forget_in_batches()", 0, NULL, &result, err);

	PQclear(result);
	return ok;
}

/* ---- all */

static bool find_in_rows(struct lake_command *command, enum lake_table table,
                         const struct lake_locals *locals, int64_t *found, struct err *err)
{
	switch (table) {
	case LAKE_BRONZE:
	case LAKE_LATE_EVENTS: return find_users(command, locals, found, err);
	case LAKE_DEAD_LETTERS: return find_letters(command, locals, found, err);
	case LAKE_CONTROLS:
	case LAKE_COUNTS:
	case LAKE_TABLE_COUNT: break; /* without users */
	}
	return true;
}

bool lake_forgotten_find(struct lake_command *command, enum lake_table table,
                         const struct lake_locals *locals, int64_t *found, struct err *err)
{
	*found = 0;
	return find_clocks(command, locals, found, err) &&
	       find_in_rows(command, table, locals, found, err);
}

static void select_events(struct buffer *sql, const struct lake_locals *locals)
{
	buffer_text(sql, "SELECT r.* REPLACE (coalesce(f.pseudonym, r.user_id) AS user_id) FROM ");
	append_files(sql, locals, "");
	buffer_text(sql, " r LEFT JOIN forgotten_user f ON f.user_id = r.user_id");
}

static void select_letters(struct buffer *sql, const struct lake_locals *locals)
{
	buffer_text(sql, "SELECT r.* EXCLUDE (filename, file_row_number) REPLACE ("
	                 "CASE WHEN f.place IS NULL THEN r.key END AS key,"
	                 " CASE WHEN f.place IS NULL THEN r.value END AS value,"
	                 " CASE WHEN f.place IS NULL THEN r.detail END AS detail,"
	                 " CASE WHEN f.place IS NULL THEN r.headers"
	                 " ELSE " LAKE_FORGOTTEN_HEADERS " END AS headers) FROM ");
	append_files(sql, locals, PLACES);
	buffer_text(sql, " r LEFT JOIN forgotten_letter f"
	                 " ON f.file = r.filename AND f.place = r.file_row_number");
}

void lake_forgotten_select(struct buffer *sql, enum lake_table table,
                           const struct lake_locals *locals, int64_t found)
{
	if (found > 0 && table == LAKE_DEAD_LETTERS)
		select_letters(sql, locals);
	else if (found > 0 && (table == LAKE_BRONZE || table == LAKE_LATE_EVENTS))
		select_events(sql, locals);
	else {
		buffer_text(sql, "SELECT * FROM ");
		append_files(sql, locals, "");
	}
}

bool lake_forgotten_checked(struct postgres *pg, int64_t file_id, int64_t request, struct err *err)
{
	char numbers[2][32];
	const char *params[] = {numbers[0], numbers[1]};
	PGresult *result = NULL;
	bool ok;

	snprintf(numbers[0], sizeof(numbers[0]), "%" PRId64, file_id);
	snprintf(numbers[1], sizeof(numbers[1]), "%" PRId64, request);
	ok = postgres_query(pg,
	                    "INSERT INTO lake.forgotten_checks (data_file_id, request)"
	                    " SELECT data_file_id, $2::bigint FROM lake.ducklake_data_file"
	                    " WHERE data_file_id = $1::bigint"
	                    " ON CONFLICT (data_file_id) DO UPDATE SET request = excluded.request",
	                    2, params, &result, err);
	PQclear(result);
	return ok;
}
