#include "duck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct duck {
	duckdb_database database;
	duckdb_connection connection;
};

/* The engine has no error codes for these. With the same rows it would lack memory again. */
static enum err_class class_of(const char *text)
{
	static const struct {
		const char *part;
		enum err_class class;
	} known[] = {{"Out of Memory", ERR_OPERATOR},
	             {"Permission denied", ERR_OPERATOR},
	             {"No space left", ERR_RETRY},
	             {"IO Error", ERR_RETRY}};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strstr(text, known[i].part))
			return known[i].class;
	return ERR_FATAL;
}

bool duck_failed(const char *text, struct err *err)
{
	if (!text)
		text = "no reason given";
	return err_set(err, class_of(text), "DuckDB: %.700s%s", text,
	               strstr(text, "Out of Memory")
	                       ? "; raise LAKE_MEMORY, or lower LAKE_BATCH_ROWS and "
	                         "LAKE_BATCH_BYTES"
	                       : "");
}

static bool connect(struct duck *duck, int64_t memory_bytes, int threads, struct err *err)
{
	char *why = NULL;
	char sql[256];

	if (duckdb_open_ext(NULL, &duck->database, NULL, &why) != DuckDBSuccess) {
		err_set(err, ERR_FATAL, "DuckDB does not start: %s", why ? why : "no reason given");
		duckdb_free(why);
		return false;
	}
	if (duckdb_connect(duck->database, &duck->connection) != DuckDBSuccess)
		return err_set(err, ERR_FATAL, "DuckDB does not give a connection");
	snprintf(sql, sizeof(sql),
	         "SET memory_limit = '%" PRId64 "B'; SET threads = %d; SET TimeZone = 'UTC';"
	         " SET preserve_insertion_order = true; SET temp_directory = ''",
	         memory_bytes, threads);
	return duck_run(duck, sql, err);
}

struct duck *duck_open(int64_t memory_bytes, int threads, struct err *err)
{
	struct duck *duck = xrealloc(NULL, sizeof(*duck));

	*duck = (struct duck){0};
	if (connect(duck, memory_bytes, threads, err))
		return duck;
	duck_close(duck);
	return NULL;
}

void duck_close(struct duck *duck)
{
	if (!duck)
		return;
	if (duck->connection)
		duckdb_disconnect(&duck->connection);
	if (duck->database)
		duckdb_close(&duck->database);
	free(duck);
}

duckdb_connection duck_connection(const struct duck *duck)
{
	return duck->connection;
}

bool duck_query(struct duck *duck, const char *sql, duckdb_result *result, struct err *err)
{
	if (duckdb_query(duck->connection, sql, result) == DuckDBSuccess)
		return true;
	duck_failed(duckdb_result_error(result), err);
	duckdb_destroy_result(result);
	return false;
}

bool duck_run(struct duck *duck, const char *sql, struct err *err)
{
	duckdb_result result;

	if (!duck_query(duck, sql, &result, err))
		return false;
	duckdb_destroy_result(&result);
	return true;
}

char *duck_text(duckdb_result *result, idx_t column, idx_t row)
{
	return duckdb_value_varchar(result, column, row);
}

int64_t duck_int64(duckdb_result *result, idx_t column, idx_t row)
{
	return duckdb_value_int64(result, column, row);
}

void duck_quote(struct buffer *sql, const char *text)
{
	buffer_append(sql, "'", 1);
	for (const char *at = text; *at; at++) {
		if (*at == '\'')
			buffer_append(sql, "'", 1);
		buffer_append(sql, at, 1);
	}
	buffer_append(sql, "'", 1);
}
