/* The lock belongs to the session, so it spans the files. It is released explicitly at the end,
 * whatever happened, since a session pooler may keep the connection for its next client. The list
 * of applied migrations is read before anything is written: a loader without the right to make
 * tables can run where an owner has migrated.
 *
 * Limits: one statement may take an hour; a file may have 16 MiB. */
#include "migrate.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "postgres/postgres_session.h"
#include "postgres/postgres_state.h"
#include "service/health.h"
#include "service/log.h"

#define FILE_BYTES_MAX       (16 * 1024 * 1024)
#define STATEMENT_TIMEOUT_US (INT64_C(3600) * 1000000)
#define LOCK_SQL             "SELECT pg_advisory_lock(hashtextextended('funnel migrations', 0))"
#define PATH_CAP             1024

static bool is_dir(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The folder that the program lies in; empty where it cannot be found out. */
static void program_dir(char *out, size_t cap)
{
	ssize_t len = readlink("/proc/self/exe", out, cap - 1);
	char *slash;

	out[len > 0 ? len : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
}

/* The program's own folder comes first: migrations are applied with the rights of the database's owner, and the working
 * directory may be anybody's. */
bool migrate_find_dir(const char *configured, char *out, size_t cap, struct err *err)
{
	static const char *const places[] = {"../share/funnel/sql/migrations" /* bin */,
	                                     "../../../sql/migrations" /* build/FLAVOUR/bin */};
	char program[PATH_CAP];

	if (*configured) {
		snprintf(out, cap, "%s", configured);
		return is_dir(out) ||
		       err_set(err, ERR_OPERATOR,
		               "invalid value \"%s\" for MIGRATIONS_DIR: expected a folder",
		               configured);
	}
	program_dir(program, sizeof(program));
	for (size_t i = 0; *program && i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(out, cap, "%s/%s", program, places[i]) < (int)cap && is_dir(out))
			return true;
	snprintf(out, cap, "sql/migrations");
	return is_dir(out) ||
	       err_set(err, ERR_OPERATOR,
	               "no folder of migrations belongs to the program, and there is no sql/migrations here: set MIGRATIONS_DIR, "
	               "or MIGRATE=false");
}

static int is_migration(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t len = strlen(name);

	for (int i = 0; i < 4; i++)
		if (!isdigit((unsigned char)name[i]))
			return 0;
	return name[4] == '_' && len > 9 && len < MIGRATION_NAME_MAX &&
	       strcmp(name + len - 4, ".sql") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool read_file(const char *path, char **text, size_t *len, struct err *err)
{
	FILE *file = fopen(path, "rb");
	struct stat status;
	bool ok;

	*text = NULL;
	if (!file) {
		err_set(err, ERR_OPERATOR, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	ok = fstat(fileno(file), &status) == 0 && status.st_size >= 0 &&
	     status.st_size <= FILE_BYTES_MAX;
	if (ok) {
		*len = (size_t)status.st_size;
		*text = xrealloc(NULL, *len + 1);
		ok = fread(*text, 1, *len, file) == *len;
		(*text)[ok ? *len : 0] = '\0';
	}
	fclose(file);
	if (!ok)
		err_set(err, ERR_OPERATOR, "cannot read %s, or it has more than 16 MiB", path);
	return ok;
}

static bool load_one(const char *dir, const char *name, struct migration_list *list,
                     struct err *err)
{
	struct migration *migration;
	char path[PATH_CAP + MIGRATION_NAME_MAX];
	size_t len = 0;

	GROW(list->at, list->count, list->capacity);
	migration = &list->at[list->count++];
	*migration = (struct migration){0};
	snprintf(migration->name, sizeof(migration->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (!read_file(path, &migration->sql, &len, err))
		return false;
	if (strlen(migration->sql) != len)
		return err_set(err, ERR_OPERATOR, "%s holds a NUL character", path);
	SHA256Data((const uint8_t *)migration->sql, len, migration->checksum);
	if (list->count > 1 && strncmp(migration[-1].name, name, 4) == 0)
		return err_set(err, ERR_OPERATOR, "two migrations have the number %.4s: %s and %s",
		               name, migration[-1].name, name);
	return true;
}

bool migrate_load(const char *dir, struct migration_list *list, struct err *err)
{
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, is_migration, by_name);
	bool ok = count > 0;

	*list = (struct migration_list){0};
	for (int i = 0; i < count; i++) {
		ok = ok && load_one(dir, entries[i]->d_name, list, err);
		free(entries[i]);
	}
	free(entries);
	if (count <= 0)
		return err_set(err, ERR_OPERATOR, "no migrations (NNNN_name.sql) in %s", dir);
	return ok;
}

void migrate_fini(struct migration_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i].sql);
	free(list->at);
	*list = (struct migration_list){0};
}

/* ---- against the database */

static bool table_exists(struct postgres *pg, bool *exists, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(pg, "SELECT to_regclass('processed.schema_migrations') IS NOT NULL", 0,
	                    NULL, &result, err))
		return false;
	*exists = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return true;
}

static bool make_table(struct postgres *pg, struct err *err)
{
	return postgres_run(
		       pg,
		       "CREATE SCHEMA IF NOT EXISTS processed;"
		       "CREATE TABLE IF NOT EXISTS processed.schema_migrations (name text PRIMARY KEY, checksum text NOT NULL,"
		       " applied_at timestamptz NOT NULL DEFAULT now());"
		       "COMMENT ON TABLE processed.schema_migrations IS 'Migrations that were applied, with the SHA-256 of their files.'",
		       err) ||
	       err_prefix(
		       err,
		       "cannot make processed.schema_migrations (migrate as the owner of the database, or set MIGRATE=false)");
}

/* Whether it is applied; a changed file is refused. */
static bool is_applied(struct postgres *pg, const struct migration *migration, bool *applied,
                       struct err *err)
{
	const char *params[] = {migration->name};
	PGresult *result = NULL;
	bool same;

	if (!postgres_query(pg, "SELECT checksum FROM processed.schema_migrations WHERE name = $1",
	                    1, params, &result, err))
		return false;
	*applied = PQntuples(result) > 0;
	same = !*applied || strcmp(PQgetvalue(result, 0, 0), migration->checksum) == 0;
	PQclear(result);
	return same ||
	       err_set(err, ERR_OPERATOR,
	               "migration %s has changed since it was applied to this database: put the old file back, and make the change in a "
	               "new migration",
	               migration->name);
}

static bool apply_one(struct postgres *pg, const struct migration *migration, struct err *err)
{
	const char *params[] = {migration->name, migration->checksum};
	PGresult *result = NULL;

	if (!postgres_run(pg, "BEGIN", err))
		return false;
	if (!postgres_run(pg, migration->sql, err)) {
		if (err->class != ERR_RETRY)
			err->class = ERR_OPERATOR;
		return err_prefix(err, "migration %s", migration->name);
	}
	if (!postgres_query(
		    pg, "INSERT INTO processed.schema_migrations (name, checksum) VALUES ($1, $2)",
		    2, params, &result, err))
		return false;
	PQclear(result);
	if (!postgres_run(pg, "COMMIT", err))
		return false;
	log_info("migrated", log_str("migration", migration->name));
	return true;
}

/* Moves *next to the first migration from there on that is not applied; to the end where all are. */
static bool skip_applied(struct postgres *pg, const struct migration_list *list, size_t *next,
                         struct err *err)
{
	for (bool applied; *next < list->count; ++*next) {
		if (!is_applied(pg, &list->at[*next], &applied, err))
			return false;
		if (!applied)
			return true;
	}
	return true;
}

static bool apply_all(struct postgres *pg, const struct migration_list *list, struct err *err)
{
	bool exists = false;
	size_t next = 0;

	if (!postgres_connect(pg, NULL, err) || !table_exists(pg, &exists, err) ||
	    (exists && !skip_applied(pg, list, &next, err)))
		return false;
	if (next == list->count)
		return true;
	/* Another instance may be migrating now: wait for it, then look again. */
	if (!postgres_run(pg, LOCK_SQL, err) || (!exists && !make_table(pg, err)))
		return false;
	for (; skip_applied(pg, list, &next, err); next++) {
		if (next == list->count)
			return true;
		if (!apply_one(pg, &list->at[next], err))
			return false;
	}
	return false;
}

/* A connection that is lost has lost its lock. */
static void release_lock(struct postgres *pg)
{
	struct err ignored;

	postgres_rollback(pg);
	if (!postgres_run(pg, "SELECT pg_advisory_unlock_all()", &ignored))
		postgres_disconnect(pg);
}

bool migrate_apply(const struct postgres_config *config, const struct migration_list *list,
                   struct err *err)
{
	struct postgres_config patient = *config;
	struct postgres *pg;
	bool ok;

	patient.statement_timeout_us = STATEMENT_TIMEOUT_US;
	pg = postgres_new(&patient, "pg-loader migrations");
	health_limit_ms(STATEMENT_TIMEOUT_US / 1000);
	ok = apply_all(pg, list, err);
	release_lock(pg);
	health_limit_ms(60000);
	postgres_free(pg);
	return ok;
}
