#include "lake_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "lake_catalogue_postgres.h"
#include "lake_file.h"
#include "lake_parquet.h"
#include "service/fault.h"

#define LOCK_SQL "SELECT pg_try_advisory_lock(hashtextextended('funnel lake upkeep', 0))"

/* DuckDB sorts with the help of files in a folder of this process. */
static bool open_duck(struct lake_command *command, struct err *err)
{
	struct buffer sql = {0};
	char folder[LAKE_PATH_MAX];
	bool ok;

	command->duck =
		duck_open(command->config->memory_bytes, (int)command->config->threads, err);
	if (!command->duck)
		return false;
	lake_storage_scratch(command->storage, folder, sizeof(folder));
	buffer_append(&sql, "SET temp_directory = ", strlen("SET temp_directory = "));
	duck_quote(&sql, folder);
	buffer_append(&sql, "", 1);
	ok = duck_run(command->duck, sql.at, err);
	buffer_free(&sql);
	return ok;
}

static bool take_lock(struct lake_command *command, struct err *err)
{
	PGresult *result = NULL;
	bool taken;

	if (!postgres_query(command->pg, LOCK_SQL, 0, NULL, &result, err))
		return false;
	taken = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return taken || err_set(err, ERR_RETRY,
	                        "another lake compact, expire, verify or register is running: "
	                        "run this command again when it has ended");
}

static bool open_catalogue(struct lake_command *command, bool may_be_empty, struct err *err)
{
	bool claimed = false;

	return may_be_empty ? lake_catalogue_connect(command->catalogue, &claimed, err)
	                    : lake_catalogue_open(command->catalogue, err);
}

static bool open_command(const struct lake_config *config, bool may_be_empty,
                         struct lake_command **command, struct err *err)
{
	struct lake_command *c = xrealloc(NULL, sizeof(*c));

	*c = (struct lake_command){.config = config};
	*command = c;
	if (!*config->postgres.dsn)
		return err_set(err, ERR_OPERATOR,
		               "POSTGRES_DSN is empty: this command needs the catalogue in "
		               "PostgreSQL");
	c->storage = lake_storage_new(&config->storage, err);
	if (!c->storage || !lake_storage_prepare(c->storage, err))
		return false;
	lake_storage_clear_scratch(c->storage);
	c->catalogue = lake_catalogue_new(&config->postgres, c->storage);
	c->pg = lake_catalogue_postgres(c->catalogue);
	return open_catalogue(c, may_be_empty, err) && take_lock(c, err) && open_duck(c, err);
}

bool lake_command_open(const struct lake_config *config, struct lake_command **command,
                       struct err *err)
{
	return open_command(config, false, command, err);
}

bool lake_command_open_unclaimed(const struct lake_config *config, struct lake_command **command,
                                 struct err *err)
{
	return open_command(config, true, command, err);
}

void lake_command_close(struct lake_command *command)
{
	if (!command)
		return;
	duck_close(command->duck);
	lake_catalogue_free(command->catalogue);
	lake_storage_free(command->storage);
	free(command);
}

/* ---- local files */

bool lake_locals_add(struct lake_command *command, const char *path, struct lake_locals *locals,
                     struct err *err)
{
	char *local = locals->last;
	bool is_copy = false, missing = false;

	if (!lake_storage_get(command->storage, path, local, LAKE_PATH_MAX, &is_copy, &missing,
	                      err))
		return false;
	if (missing)
		return err_set(err, ERR_OPERATOR,
		               "%s: the catalogue has this file, but the lake does not; restore it "
		               "from a backup",
		               path);
	if (is_copy) {
		GROW(locals->copies, locals->count, locals->capacity);
		locals->copies[locals->count] = strdup(local);
		if (!locals->copies[locals->count++])
			memory_exhausted();
	}
	buffer_append(&locals->list, locals->list.len == 0 ? "[" : ",", 1);
	duck_quote(&locals->list, local);
	return true;
}

void lake_locals_free(struct lake_locals *locals)
{
	for (size_t i = 0; i < locals->count; i++) {
		unlink(locals->copies[i]);
		free(locals->copies[i]);
	}
	free(locals->copies);
	buffer_free(&locals->list);
	*locals = (struct lake_locals){0};
}

bool lake_command_copy(struct lake_command *command, const char *query, const char *const *metadata,
                       char *local, struct lake_file *file, struct err *err)
{
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	lake_storage_scratch(command->storage, local, LAKE_PATH_MAX);
	buffer_append(&sql, "COPY (", 6);
	buffer_append(&sql, query, strlen(query));
	buffer_append(&sql, ") TO ", 5);
	duck_quote(&sql, local);
	buffer_append(&sql, " ", 1);
	lake_parquet_options(&sql, file->table, metadata);
	buffer_append(&sql, "", 1);
	ok = duck_query(command->duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok) {
		unlink(local);
		return err_prefix(err, "cannot write %s", local);
	}
	ok = lake_parquet_result(&result, file, err) && lake_file_sha256(local, file->sha256, err);
	duckdb_destroy_result(&result);
	return ok;
}

/* ---- old files */

/* The catalogue forgets the files first: then no reader looks for them. After a crash here they are
 * still noted, and the next command removes them. */
static bool forget(struct lake_command *command, int64_t grace_us, PGresult **paths,
                   struct err *err)
{
	char seconds[32];
	const char *params[] = {seconds};

	snprintf(seconds, sizeof(seconds), "%" PRId64, grace_us / 1000000);
	return lake_pg_end(command->pg,
	                   lake_pg_begin(command->pg, err) &&
	                           postgres_query(command->pg,
	                                          "SELECT lake.forget_files(clock_timestamp()"
	                                          " - make_interval(secs => $1::bigint))",
	                                          1, params, paths, err),
	                   err);
}

static bool remove_one(struct lake_command *command, const char *path, struct err *err)
{
	PGresult *result = NULL;
	bool ok = lake_storage_remove(command->storage, path, err) &&
	          postgres_query(command->pg,
	                         "DELETE FROM lake.ducklake_files_scheduled_for_deletion"
	                         " WHERE path = $1",
	                         1, &path, &result, err);

	PQclear(result);
	return ok;
}

bool lake_command_remove_old(struct lake_command *command, int64_t grace_us, int64_t *removed,
                             struct err *err)
{
	PGresult *paths = NULL;
	bool ok = forget(command, grace_us, &paths, err);

	FAULT_POINT("after_forget");
	*removed = 0;
	for (int r = 0; ok && r < PQntuples(paths); r++) {
		ok = remove_one(command, PQgetvalue(paths, r, 0), err);
		*removed += ok;
	}
	PQclear(paths);
	return ok;
}
