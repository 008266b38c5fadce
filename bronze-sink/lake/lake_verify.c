/* The lake is listed before the catalogue is read: a writer stores files first, and registers them
 * then. A file from the position of its partition on may still be registered, so it is neither a
 * difference nor removed; the next writer of the partition removes it if it is left over. */
#include "lake_verify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "lake_balance.h"
#include "lake_command.h"
#include "lake_file.h"
#include "lake_listing.h"
#include "service/log.h"

struct verify_config {
	struct lake_config lake;
	bool repair, read;
};

#define IN(member) offsetof(struct verify_config, member)

static const struct config_option options[] = {
	{"REPAIR", CONFIG_BOOLEAN, IN(repair), "false", 0, 0,
         "remove files that the catalogue does not know", NULL, NULL},
	{"READ", CONFIG_BOOLEAN, IN(read), "false", 0, 0,
         "read all values and compare the checksums of all files, not only their footers", NULL,
         NULL},
	{0},
};

struct verify {
	const struct verify_config *config;
	struct lake_command *command;
	PGresult *files; /* columns FILE_…; NULL before the catalogue is checked */
	int next;
	duckdb_result again; /* files to read again, after is_chosen */
	idx_t next_again;
	bool is_chosen;
	int64_t differences, removed, without_checksum;
	int64_t counts; /* kinds of rows and partitions, compared with all that was counted */
};

enum { FILE_PATH, FILE_ROWS, FILE_TABLE, FILE_SHA256 };

/* ---- the catalogue by itself */

/* Each returns the subject and what is wrong. Files of other programs do not count. */
static const char *const checks[] = {
	"SELECT format('%s/%s', topic, partition),"
	" format('the batch from offset %s follows one that ends at %s', first_offset, before)"
	" FROM (SELECT *, lag(next_offset) OVER (PARTITION BY topic, partition"
	"                                        ORDER BY first_offset) AS before"
	"       FROM lake.batches) b WHERE before <> first_offset",

	/* A partition without records has a position and no batch. */
	"SELECT format('%s/%s', topic, partition),"
	" format('the position is %s, and the newest batch ends at %s', next_offset, ends)"
	" FROM (SELECT topic, partition, max(next_offset) AS ends FROM lake.batches"
	"       GROUP BY 1, 2) b"
	" FULL JOIN lake.positions USING (topic, partition)"
	" WHERE next_offset IS DISTINCT FROM coalesce(ends, next_offset)",

	"WITH counted AS (SELECT key AS name, sum(value::bigint) AS rows"
	"                 FROM lake.batches, jsonb_each_text(rows) GROUP BY 1"
	"), stored AS ("
	"    SELECT name, sum(rows) AS rows FROM ("
	"        SELECT table_name AS name, record_count AS rows"
	"        FROM lake.ducklake_data_file f JOIN lake.ducklake_table t USING (table_id)"
	"        WHERE f.end_snapshot IS NULL AND f.path ~ '^(event|record)_date='"
	"        UNION ALL SELECT table_name, rows FROM lake.expired_days) s GROUP BY 1"
	") SELECT name, format('the batches have %s rows, and the files with the expired days %s',"
	"                      coalesce(c.rows, 0), coalesce(s.rows, 0))"
	" FROM counted c FULL JOIN stored s USING (name)"
	" WHERE coalesce(c.rows, 0) <> coalesce(s.rows, 0)",
};

/* Partitions whose first record the lake does not have: it began when the log had lost it. */
static const char BEGAN_LATE_SQL[] =
	"SELECT topic LIKE '%bronze\\_events', partition FROM lake.batches"
	" WHERE topic LIKE '%bronze\\_events' OR topic LIKE '%dead\\_letter' GROUP BY 1, 2"
	" HAVING min(first_offset) > 0";

static void report(struct verify *verify, const char *subject, const char *what)
{
	verify->differences++;
	log_error("difference", log_str("subject", subject), log_str("detail", what));
}

static bool report_rows(struct verify *verify, const char *sql, int count,
                        const char *const *params, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(verify->command->pg, sql, count, params, &result, err))
		return false;
	for (int r = 0; r < PQntuples(result); r++)
		report(verify, PQgetvalue(result, r, 0), PQgetvalue(result, r, 1));
	PQclear(result);
	return true;
}

/* ---- the catalogue and the list of files */

#define KNOWN_SQL                                                                                 \
	"WITH listed AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS l(path, bytes)"        \
	"), known AS (SELECT table_name || '/' || f.path AS path, file_size_bytes,"               \
	"                    f.end_snapshot IS NULL AS live"                                      \
	"             FROM lake.ducklake_data_file f JOIN lake.ducklake_table t USING (table_id)" \
	"             WHERE f.path_is_relative"                                                   \
	"             UNION ALL SELECT path, NULL, false"                                         \
	"             FROM lake.ducklake_files_scheduled_for_deletion) "

static const char MISSING_SQL[] =
	KNOWN_SQL "SELECT path, CASE WHEN bytes IS NULL THEN 'the file is missing'"
		  " ELSE format('the file has %s bytes: expected %s', bytes, file_size_bytes) END"
		  " FROM known LEFT JOIN listed USING (path)"
		  " WHERE live AND bytes IS DISTINCT FROM file_size_bytes ORDER BY path";

/* Files before the position of their partition, and compacted files, are never registered later. */
static const char UNKNOWN_SQL[] =
	KNOWN_SQL ", unknown AS (SELECT path, regexp_match(path,"
		  "    '^[^/]+/[^/]+/(.+)-([0-9]{1,9})-([0-9]{1,18})[.]parquet$') AS name"
		  " FROM listed WHERE path NOT IN (SELECT path FROM known))"
		  " SELECT path, 'the catalogue does not know this file' FROM unknown"
		  " LEFT JOIN lake.positions p ON p.topic = name[1] AND p.partition = name[2]::int"
		  " WHERE name IS NULL OR name[1] = 'compacted' OR name[3]::bigint < next_offset"
		  " ORDER BY path";

static void append_quoted(struct buffer *array, const char *text)
{
	buffer_append(array, array->len > 1 ? ",\"" : "\"", array->len > 1 ? 2 : 1);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buffer_append(array, "\\", 1);
		buffer_append(array, text, 1);
	}
	buffer_append(array, "\"", 1);
}

static void list_arrays(const struct lake_listing *listing, struct buffer *paths,
                        struct buffer *bytes)
{
	buffer_append(paths, "{", 1);
	buffer_append(bytes, "{", 1);
	for (size_t i = 0; i < listing->count; i++) {
		char number[32];
		int len = snprintf(number, sizeof(number), "%s%" PRId64, i > 0 ? "," : "",
		                   listing->at[i].bytes);

		append_quoted(paths, listing->at[i].path);
		buffer_append(bytes, number, (size_t)len);
	}
	buffer_append(paths, "}", 2);
	buffer_append(bytes, "}", 2);
}

static bool check_unknown(struct verify *verify, const char *const *params, struct err *err)
{
	PGresult *result = NULL;
	bool ok = true;

	if (!verify->config->repair)
		return report_rows(verify, UNKNOWN_SQL, 2, params, err);
	if (!postgres_query(verify->command->pg, UNKNOWN_SQL, 2, params, &result, err))
		return false;
	for (int r = 0; ok && r < PQntuples(result); r++) {
		const char *path = PQgetvalue(result, r, 0);

		ok = lake_storage_remove(verify->command->storage, path, err);
		if (ok)
			log_info("removed", log_str("file", path));
		verify->removed += ok;
	}
	PQclear(result);
	return ok;
}

static bool check_list(struct verify *verify, const struct lake_listing *listing, struct err *err)
{
	struct buffer paths = {0}, bytes = {0};
	const char *params[2];
	bool ok;

	list_arrays(listing, &paths, &bytes);
	params[0] = paths.at;
	params[1] = bytes.at;
	ok = report_rows(verify, MISSING_SQL, 2, params, err) && check_unknown(verify, params, err);
	buffer_free(&paths);
	buffer_free(&bytes);
	return ok;
}

static bool check_catalogue(struct verify *verify, struct err *err)
{
	struct lake_listing listing = {0};
	bool ok = lake_storage_list(verify->command->storage, "", &listing, err);

	for (size_t i = 0; ok && i < sizeof(checks) / sizeof(*checks); i++)
		ok = report_rows(verify, checks[i], 0, NULL, err);
	ok = ok && check_list(verify, &listing, err) &&
	     postgres_query(verify->command->pg,
	                    "SELECT table_name || '/' || f.path, record_count, table_name, sha256"
	                    " FROM lake.ducklake_data_file f JOIN lake.ducklake_table t"
	                    " USING (table_id) LEFT JOIN lake.file_checksums USING (data_file_id)"
	                    " WHERE f.end_snapshot IS NULL AND f.path_is_relative ORDER BY 1",
	                    0, NULL, &verify->files, err) &&
	     lake_balance_open(verify->command->duck, err);
	lake_listing_free(&listing);
	return ok;
}

/* ---- the content of files */

/* hash(t) reads all values of a row. */
static bool count_rows(struct verify *verify, const char *list, int64_t *rows, struct err *err)
{
	const char *select = verify->config->read
	                             ? "SELECT count(hash(t)) FROM read_parquet("
	                             : "SELECT sum(num_rows) FROM parquet_file_metadata(";
	const char *end = verify->config->read ? "], hive_partitioning = false) t" : "])";
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	buffer_append(&sql, select, strlen(select));
	buffer_append(&sql, list, strlen(list));
	buffer_append(&sql, end, strlen(end) + 1);
	ok = duck_query(verify->command->duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok)
		return false;
	*rows = duck_int64(&result, 0, 0);
	duckdb_destroy_result(&result);
	return true;
}

static void compare_rows(struct verify *verify, const char *path, const char *expected,
                         int64_t rows)
{
	char what[128];

	if (rows == strtoll(expected, NULL, 10))
		return;
	snprintf(what, sizeof(what), "the file has %" PRId64 " rows: expected %.30s", rows,
	         expected);
	report(verify, path, what);
}

/* expected: "" for a file of another program, or of a lake before there were checksums. */
static bool compare_checksum(struct verify *verify, const char *path, const char *expected,
                             const char *local, struct err *err)
{
	char sha256[LAKE_SHA256_MAX], what[256];

	if (!verify->config->read)
		return true;
	if (!*expected) {
		verify->without_checksum++;
		return true;
	}
	if (!lake_file_sha256(local, sha256, err))
		return false;
	if (strcmp(sha256, expected) == 0)
		return true;
	snprintf(what, sizeof(what), "the file is damaged: its SHA-256 is %s, expected %.64s",
	         sha256, expected);
	report(verify, path, what);
	return true;
}

static bool check_content(struct verify *verify, int row, const char *local, const char *list,
                          struct err *err)
{
	const char *path = PQgetvalue(verify->files, row, FILE_PATH);
	const char *table = PQgetvalue(verify->files, row, FILE_TABLE);
	int64_t rows = 0;

	if (!compare_checksum(verify, path, PQgetvalue(verify->files, row, FILE_SHA256), local,
	                      err) ||
	    !count_rows(verify, list, &rows, err))
		return false;
	compare_rows(verify, path, PQgetvalue(verify->files, row, FILE_ROWS), rows);
	return lake_balance_add(verify->command->duck, lake_table_by_name(span_of(table)), path,
	                        list, err);
}

/* A file that cannot be read is a difference. A missing one was reported already. */
static bool check_file(struct verify *verify, int row, struct err *err)
{
	const char *path = PQgetvalue(verify->files, row, FILE_PATH);
	char local[LAKE_PATH_MAX];
	bool is_copy = false, missing = false;
	struct buffer list = {0};

	if (!lake_storage_get(verify->command->storage, path, local, sizeof(local), &is_copy,
	                      &missing, err)) {
		if (err->class != ERR_OPERATOR)
			return false;
		report(verify, path, err->message); /* damaged on its way to or in the bucket */
		return true;
	}
	if (missing)
		return true;
	buffer_append(&list, "[", 1);
	duck_quote(&list, local);
	buffer_append(&list, "", 1);
	if (!check_content(verify, row, local, list.at, err))
		report(verify, path, err->message);
	buffer_free(&list);
	if (is_copy)
		unlink(local);
	return true;
}

/* ---- the counts of bronze-sink */

static bool begin_balance(struct verify *verify, struct err *err)
{
	PGresult *late = NULL;
	bool ok = postgres_query(verify->command->pg, BEGAN_LATE_SQL, 0, NULL, &late, err);

	for (int r = 0; ok && r < PQntuples(late); r++)
		ok = lake_balance_excuse(verify->command->duck,
		                         *PQgetvalue(late, r, 0) == 't' ? LAKE_BRONZE
		                                                        : LAKE_DEAD_LETTERS,
		                         PQgetvalue(late, r, 1), err);
	PQclear(late);
	verify->is_chosen = ok && lake_balance_choose(verify->command->duck, &verify->again, err);
	return verify->is_chosen;
}

static bool read_again(struct verify *verify, idx_t row, struct err *err)
{
	char *table = duck_text(&verify->again, 0, row), *path = duck_text(&verify->again, 1, row);
	struct lake_locals locals = {0};
	bool ok = lake_locals_add(verify->command, path, &locals, err);

	if (ok) {
		buffer_append(&locals.list, "", 1);
		ok = lake_balance_add_again(verify->command->duck,
		                            lake_table_by_name(span_of(table)), locals.list.at,
		                            err);
	}
	lake_locals_free(&locals);
	duckdb_free(table);
	duckdb_free(path);
	return ok;
}

static bool expired_events(struct verify *verify, int64_t *expired, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(verify->command->pg,
	                    "SELECT coalesce(sum(rows), 0) FROM lake.expired_days"
	                    " WHERE table_name = 'bronze'",
	                    0, NULL, &result, err))
		return false;
	*expired = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return true;
}

static bool compare_counts(struct verify *verify, struct err *err)
{
	duckdb_result found;
	int64_t expired;

	if (!expired_events(verify, &expired, err) ||
	    !lake_balance_compare(verify->command->duck, expired, &found, err))
		return false;
	for (idx_t r = 0; r < duckdb_row_count(&found); r++) {
		char *subject = duck_text(&found, 0, r), *wrong = duck_text(&found, 1, r),
		     *open = duck_text(&found, 2, r);

		if (wrong)
			report(verify, subject, wrong);
		if (open)
			log_info("not_compared", log_str("subject", subject),
			         log_str("detail", open));
		verify->counts += !open || wrong;
		duckdb_free(subject);
		duckdb_free(wrong);
		duckdb_free(open);
	}
	duckdb_destroy_result(&found);
	return true;
}

/* ---- the command */

static bool verify_open(void *config, void **state, struct err *err)
{
	struct verify *verify = xrealloc(NULL, sizeof(*verify));
	struct verify_config *settings = config;

	*verify = (struct verify){.config = settings};
	*state = verify;
	return lake_command_open(&settings->lake, &verify->command, err);
}

static enum step finish(struct verify *verify, struct err *err)
{
	if (!compare_counts(verify, err))
		return STEP_FAILED;
	log_info("verify_finished", log_int("files", verify->next),
	         log_int("files_without_checksum", verify->without_checksum),
	         log_int("counts_compared", verify->counts),
	         log_int("differences", verify->differences),
	         log_int("removed_files", verify->removed));
	if (verify->differences == 0)
		return STEP_DONE;
	err_set(err, ERR_OPERATOR,
	        "%" PRId64
	        " differences between the catalogue, the files of the lake and what was counted: "
	        "see the log lines event=difference",
	        verify->differences);
	return STEP_FAILED;
}

static enum step verify_step(void *state, bool stopping, struct err *err)
{
	struct verify *verify = state;
	bool ok;

	if (stopping)
		return STEP_DONE;
	if (!verify->files)
		return check_catalogue(verify, err) ? STEP_MORE : STEP_FAILED;
	if (verify->next < PQntuples(verify->files))
		ok = check_file(verify, verify->next++, err);
	else if (!verify->is_chosen)
		ok = begin_balance(verify, err);
	else if (verify->next_again < duckdb_row_count(&verify->again))
		ok = read_again(verify, verify->next_again++, err);
	else
		return finish(verify, err);
	return ok ? STEP_MORE : STEP_FAILED;
}

static void verify_close(void *state)
{
	struct verify *verify = state;

	if (!verify)
		return;
	PQclear(verify->files);
	if (verify->is_chosen)
		duckdb_destroy_result(&verify->again);
	lake_command_close(verify->command);
	free(verify);
}

static const struct config_option *const tables[] = {lake_storage_options, options, NULL};

const struct service lake_verify_service = {
	.name = "lake verify",
	.summary = "compares the catalogue with the files and the counts; finds gaps and overlaps",
	.tables = tables,
	.config_size = sizeof(struct verify_config),
	.open = verify_open,
	.step = verify_step,
	.close = verify_close,
};
