/* The database has hashes of the users and keeps their key to itself, so it has to be asked for the
 * users of each batch. */
#include "lake_forgotten.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "duck.h"

static bool somebody_forgotten(struct postgres *pg, bool *somebody, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(pg, "SELECT processed.somebody_forgotten()", 0, NULL, &result, err))
		return err_prefix(err, "cannot read which users are forgotten");
	*somebody = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return true;
}

/* ---- events */

/* The users of the sheet as an array of PostgreSQL, such as {17,4}; NULL with err: DuckDB failed. A
 * user below 1 is a pseudonym already. */
static char *users_of(const struct lake_sheet *sheet, struct err *err)
{
	char sql[256];
	duckdb_result result;
	char *users;

	snprintf(sql, sizeof(sql),
	         "SELECT '{' || coalesce(string_agg(DISTINCT CAST(user_id AS VARCHAR), ','), '')"
	         " || '}' FROM %s WHERE user_id > 0",
	         lake_table_def(sheet->table)->name);
	if (!duck_query(sheet->duck, sql, &result, err))
		return NULL;
	users = duck_text(&result, 0, 0);
	duckdb_destroy_result(&result);
	return users;
}

static bool rename_user(const struct lake_sheet *sheet, int64_t user, int64_t pseudonym,
                        struct err *err)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "UPDATE %s SET user_id = %" PRId64 " WHERE user_id = %" PRId64,
	         lake_table_def(sheet->table)->name, pseudonym, user);
	return duck_run(sheet->duck, sql, err);
}

static bool forget_events(struct postgres *pg, struct lake_sheet *sheet, struct err *err)
{
	PGresult *result = NULL;
	const char *params[1];
	char *users;
	bool ok;

	if (sheet->rows == 0)
		return true;
	if (!lake_sheet_flush(sheet, err) || !(users = users_of(sheet, err)))
		return false;
	params[0] = users;
	ok = postgres_query(pg, "SELECT user_id, pseudonym FROM processed.forgotten($1::text[])", 1,
	                    params, &result, err);
	duckdb_free(users);
	for (int r = 0; ok && r < PQntuples(result); r++)
		ok = rename_user(sheet, strtoll(PQgetvalue(result, r, 0), NULL, 10),
		                 strtoll(PQgetvalue(result, r, 1), NULL, 10), err);
	PQclear(result);
	return ok;
}

/* ---- dead letters */

static bool names_forgotten(struct postgres *pg, const char *const params[3], bool *names,
                            struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(pg,
	                    "SELECT EXISTS (SELECT FROM processed.forgotten("
	                    "raw.user_ids_of($1::bytea, $2::bytea, $3)))",
	                    3, params, &result, err))
		return false;
	*names = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return true;
}

static bool strip_letter(const struct lake_sheet *sheet, const char *row, struct err *err)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
	         "UPDATE dead_letters SET key = NULL, value = NULL, detail = NULL,"
	         " headers = " LAKE_FORGOTTEN_HEADERS " WHERE rowid = %s",
	         row);
	return duck_run(sheet->duck, sql, err);
}

static bool forget_letter(struct postgres *pg, const struct lake_sheet *sheet,
                          duckdb_result *letters, idx_t row, struct err *err)
{
	char *columns[4];
	bool names = false, ok;

	for (idx_t c = 0; c < 4; c++)
		columns[c] = duck_text(letters, c, row);
	ok = names_forgotten(pg, (const char *const *)columns + 1, &names, err) &&
	     (!names || strip_letter(sheet, columns[0], err));
	for (int c = 0; c < 4; c++)
		duckdb_free(columns[c]);
	return ok;
}

static bool forget_letters(struct postgres *pg, struct lake_sheet *sheet, struct err *err)
{
	duckdb_result letters;
	bool ok = true;

	if (sheet->rows == 0)
		return true;
	if (!lake_sheet_flush(sheet, err) ||
	    !duck_query(sheet->duck,
	                "SELECT CAST(rowid AS VARCHAR), '\\x' || hex(key), '\\x' || hex(value), "
	                "detail FROM dead_letters",
	                &letters, err))
		return false;
	for (idx_t r = 0; ok && r < duckdb_row_count(&letters); r++)
		ok = forget_letter(pg, sheet, &letters, r, err);
	duckdb_destroy_result(&letters);
	return ok;
}

bool lake_forget(struct postgres *pg, struct lake_sheet sheets[LAKE_TABLE_COUNT], struct err *err)
{
	bool somebody = false;

	if (!somebody_forgotten(pg, &somebody, err))
		return false;
	return !somebody || (forget_events(pg, &sheets[LAKE_BRONZE], err) &&
	                     forget_events(pg, &sheets[LAKE_LATE_EVENTS], err) &&
	                     forget_letters(pg, &sheets[LAKE_DEAD_LETTERS], err));
}
