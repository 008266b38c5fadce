/* DuckDB in this process: one database in memory, one connection. It writes and reads Parquet.
 * Errors: ERR_RETRY for a failing or full disk, ERR_OPERATOR for too little memory or a missing
 * right, ERR_FATAL otherwise; the message has the engine's text. One thread at a time. */
#ifndef FUNNEL_DUCK_H
#define FUNNEL_DUCK_H

#include <duckdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"

struct duck;
/* memory_bytes: limit of the engine. threads: how many it may use. */
struct duck *duck_open(int64_t memory_bytes, int threads, struct err *err);
void duck_close(struct duck *duck); /* takes NULL */
duckdb_connection duck_connection(const struct duck *duck);

/* Sets err from a text of DuckDB, which may be NULL. Returns false. */
bool duck_failed(const char *text, struct err *err);
/* Runs statements without a result. */
MUST_USE bool duck_run(struct duck *duck, const char *sql, struct err *err);
/* Runs one statement; the caller frees the result with duckdb_destroy_result. */
MUST_USE bool duck_query(struct duck *duck, const char *sql, duckdb_result *result,
                         struct err *err);
/* The text of one cell of the current result; the caller frees it with duckdb_free. NULL: null. */
char *duck_text(duckdb_result *result, idx_t column, idx_t row);
int64_t duck_int64(duckdb_result *result, idx_t column, idx_t row);

/* Appends text as a literal of SQL, with quotes. */
void duck_quote(struct buffer *sql, const char *text);

#endif
