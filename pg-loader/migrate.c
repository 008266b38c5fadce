/* The advisory lock belongs to the session. It is released explicitly at the end, also after an
 * error, because a session pooler may keep the connection for its next client. The list of applied
 * files is read before anything is written, so a loader without the right to create tables can run
 * after an owner has migrated.
 *
 * The transaction first waits, without a time limit, for a refresh of the reports that is running,
 * and keeps others from beginning. So no refresh runs with old and new functions mixed. Every
 * further wait for a lock is limited to 10 seconds. If a query reads a report for longer, the
 * transaction ends and is tried again, so that other readers do not queue up after it. Views are
 * replaced, not dropped, so that the views and rights that an administrator has added to them stay.
 *
 * The objects of a file are the functions and views whose rows in the catalogue PostgreSQL has
 * written (xmin) while the file was applied. written_rows has the places of all rows so far.
 *
 * Limit: one statement may take an hour. */
#include "migrate.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "postgres/postgres_session.h"
#include "postgres/postgres_state.h"
#include "service/health.h"
#include "service/log.h"

#define STATEMENT_TIMEOUT_US (INT64_C(3600) * 1000000)
#define LOCK_SQL             "SELECT pg_advisory_lock(hashtextextended('funnel migrations', 0))"

static const char APPLIED_SQL[] =
	"SELECT name, checksum FROM processed.schema_migrations ORDER BY name";

static const char CREATE_TABLE_SQL[] =
	"CREATE SCHEMA IF NOT EXISTS processed;"
	"CREATE TABLE IF NOT EXISTS processed.schema_migrations (name text PRIMARY KEY,"
	" checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), objects text[]);"
	/* a database of the old migrations has this table without the column */
	"ALTER TABLE processed.schema_migrations ADD COLUMN IF NOT EXISTS objects text[];"
	"COMMENT ON TABLE processed.schema_migrations IS"
	" 'SQL files that were applied, with their SHA-256.';"
	"COMMENT ON COLUMN processed.schema_migrations.objects IS"
	" 'Functions and views that the file defines.'";

/* check_function_bodies is off because functions may call functions of later files. */
static const char BEGIN_SQL[] =
	"BEGIN; SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL lock_timeout = 0;"
	"DO $do$ BEGIN IF to_regprocedure('mart.lock_reporting()') IS NOT NULL THEN"
	" PERFORM pg_advisory_xact_lock(mart.lock_reporting()); END IF; END $do$;"
	"SET LOCAL lock_timeout = 10000; SET LOCAL check_function_bodies = off";

static const char KEEP_OBJECTS_SQL[] =
	"CREATE TEMPORARY TABLE old_objects ON COMMIT DROP AS"
	" SELECT unnest(objects) AS object FROM processed.schema_migrations;"
	"CREATE TEMPORARY TABLE written_rows (object text, place tid) ON COMMIT DROP";

static const char RECORD_SQL[] =
	"WITH ours AS (SELECT oid FROM pg_namespace"
	"              WHERE nspname IN ('raw', 'processed', 'mart', 'reporting', 'lake')"
	"), written AS ("
	"    SELECT 'FUNCTION ' || p.oid::regprocedure AS object, p.ctid AS place"
	"    FROM pg_proc p JOIN ours ON ours.oid = pronamespace"
	"    WHERE p.xmin = pg_current_xact_id()::xid"
	"    UNION ALL" /* replacing a view writes its rule, but not always its row */
	"    SELECT 'VIEW ' || c.oid::regclass, r.ctid"
	"    FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class"
	"    JOIN ours ON ours.oid = relnamespace"
	"    WHERE relkind = 'v' AND r.xmin = pg_current_xact_id()::xid"
	"), fresh AS (INSERT INTO written_rows"
	"             SELECT * FROM written EXCEPT SELECT * FROM written_rows RETURNING object)"
	"INSERT INTO processed.schema_migrations (name, checksum, objects)"
	"SELECT $1, $2, CASE WHEN $3 = 'objects' THEN"
	"    ARRAY(SELECT DISTINCT object FROM fresh ORDER BY 1) END "
	"ON CONFLICT (name) DO UPDATE"
	" SET checksum = excluded.checksum, objects = excluded.objects, applied_at = now()";

static const char DROP_OBJECTS_SQL[] =
	"DO $do$ DECLARE"
	"    kind text;"
	"    gone text;"
	"BEGIN"
	"    FOREACH kind IN ARRAY ARRAY['VIEW', 'FUNCTION'] LOOP"
	"        SELECT string_agg(substr(object, length(kind) + 2), ', ') INTO gone"
	"        FROM old_objects"
	"        WHERE object LIKE kind || ' %' AND NOT EXISTS ("
	"            SELECT FROM processed.schema_migrations m WHERE object = ANY (m.objects));"
	"        IF gone IS NOT NULL THEN"
	/* Of kind FUNCTION are aggregates too. */
	"            EXECUTE format('DROP %s IF EXISTS %s',"
	"                           CASE kind WHEN 'FUNCTION' THEN 'ROUTINE' ELSE kind END, gone);"
	"        END IF;"
	"    END LOOP;"
	"END $do$";

/* Which old migration has made the content of which file of tables. */
#define OLDEST_UPGRADED "0026_wide_sums.sql"
static const struct {
	const char *old, *tables;
} replaced[] = {
	{OLDEST_UPGRADED, "tables/0001_raw.sql"},
	{OLDEST_UPGRADED, "tables/0002_processed.sql"},
	{OLDEST_UPGRADED, "tables/0003_mart.sql"},
	{OLDEST_UPGRADED, "tables/0004_reporting.sql"},
	{"0028_reconciliation.sql", "tables/0005_reconciliation.sql"},
};

/* ---- what the database has */

/* The checksum of a file when it was applied; NULL: it was not applied. applied may be NULL: no
 * file was. */
static const char *applied_checksum(const PGresult *applied, const char *name)
{
	for (int i = 0; applied && i < PQntuples(applied); i++)
		if (strcmp(PQgetvalue(applied, i, 0), name) == 0)
			return PQgetvalue(applied, i, 1);
	return NULL;
}

static bool is_listed(const struct migration_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->at[i].name, name) == 0)
			return true;
	return false;
}

/* The last old migration by name; NULL: none. Their names have no folder and begin with a digit. */
static const char *last_old_migration(const PGresult *applied)
{
	const char *last = NULL;

	for (int i = 0; applied && i < PQntuples(applied); i++)
		if (isdigit((unsigned char)*PQgetvalue(applied, i, 0)))
			last = PQgetvalue(applied, i, 0);
	return last;
}

static bool is_replaced(const PGresult *applied, const char *tables)
{
	for (size_t i = 0; i < sizeof(replaced) / sizeof(*replaced); i++)
		if (strcmp(replaced[i].tables, tables) == 0)
			return applied_checksum(applied, replaced[i].old) != NULL;
	return false;
}

static bool can_upgrade(const PGresult *applied, const struct migration_list *list, struct err *err)
{
	const char *old = last_old_migration(applied);

	if (old && !applied_checksum(applied, OLDEST_UPGRADED))
		return err_set(err, ERR_OPERATOR,
		               "the database is at migration %s: expected " OLDEST_UPGRADED
		               " or later; first upgrade it with pg-loader of commit e96e698 and "
		               "MIGRATE=only, or create it again",
		               old);
	for (int i = 0; applied && i < PQntuples(applied); i++) {
		const char *name = PQgetvalue(applied, i, 0);

		if (strncmp(name, "tables/", strlen("tables/")) == 0 && !is_listed(list, name))
			return err_set(
				err, ERR_OPERATOR,
				"the database has %s, which this version of pg-loader does not "
				"have: a newer version has migrated it; start that one",
				name);
	}
	return true;
}

/* ---- which files are pending */

static bool tables_pending(const PGresult *applied, const struct migration *file, bool *pending,
                           struct err *err)
{
	const char *checksum = applied_checksum(applied, file->name);

	*pending = !checksum && !is_replaced(applied, file->name);
	if (checksum && strcmp(checksum, file->checksum) != 0)
		return err_set(err, ERR_OPERATOR,
		               "%s has changed since it was applied to this database: restore the "
		               "old file, and make the change in a new file in tables",
		               file->name);
	return true;
}

static bool is_as_applied(const PGresult *applied, const struct migration *file)
{
	const char *checksum = applied_checksum(applied, file->name);

	return checksum && strcmp(checksum, file->checksum) == 0;
}

/* If the program no longer has a file, its objects are dropped, and rights are set again. */
static bool any_file_gone(const PGresult *applied, const struct migration_list *list)
{
	for (int i = 0; applied && i < PQntuples(applied); i++)
		if (!is_listed(list, PQgetvalue(applied, i, 0)))
			return true;
	return false;
}

/* Sets pending of all files. *any: there is something to do. */
static bool plan(const PGresult *applied, struct migration_list *list, bool *any, struct err *err)
{
	bool all = last_old_migration(applied) != NULL;

	*any = any_file_gone(applied, list);
	for (size_t i = 0; i < list->count; i++) {
		struct migration *file = &list->at[i];

		if (file->kind == MIGRATION_UPGRADE)
			file->pending = all;
		else if (file->kind != MIGRATION_TABLES)
			file->pending = all || !is_as_applied(applied, file) ||
			                (file->kind == MIGRATION_RIGHTS && *any);
		else if (!tables_pending(applied, file, &file->pending, err))
			return false;
		else
			all = all || file->pending;
		*any = *any || file->pending;
	}
	return true;
}

/* Reads which files were applied, and plans. *applied: the caller clears it; NULL: the database has
 * no table schema_migrations. */
static bool inspect(struct postgres *pg, struct migration_list *list, PGresult **applied, bool *any,
                    struct err *err)
{
	PGresult *result = NULL;
	bool exists;

	*applied = NULL;
	if (!postgres_query(pg, "SELECT to_regclass('processed.schema_migrations') IS NOT NULL", 0,
	                    NULL, &result, err))
		return false;
	exists = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	return (!exists || postgres_query(pg, APPLIED_SQL, 0, NULL, applied, err)) &&
	       can_upgrade(*applied, list, err) && plan(*applied, list, any, err);
}

/* ---- applying them */

static bool record(struct postgres *pg, const struct migration *file, struct err *err)
{
	bool defines = file->kind == MIGRATION_FUNCTIONS || file->kind == MIGRATION_VIEWS;
	const char *params[] = {file->name, file->checksum, defines ? "objects" : "none"};
	PGresult *result = NULL;

	if (!postgres_query(pg, RECORD_SQL, 3, params, &result, err))
		return false;
	PQclear(result);
	return true;
}

/* Deletes the rows of files that the program no longer has, and of old migrations. */
static bool forget(struct postgres *pg, const PGresult *applied, const struct migration_list *list,
                   struct err *err)
{
	for (int i = 0; applied && i < PQntuples(applied); i++) {
		const char *name = PQgetvalue(applied, i, 0);
		PGresult *result = NULL;

		if (is_listed(list, name))
			continue;
		if (!postgres_query(pg, "DELETE FROM processed.schema_migrations WHERE name = $1",
		                    1, &name, &result, err))
			return false;
		PQclear(result);
	}
	return true;
}

static bool prepare(struct postgres *pg, const PGresult *applied, struct err *err)
{
	bool create = !applied || last_old_migration(applied);

	if (create && !postgres_run(pg, CREATE_TABLE_SQL, err))
		return err_prefix(
			err, "cannot create processed.schema_migrations: migrate as the owner of "
			     "the database, or set MIGRATE=false");
	return postgres_run(pg, KEEP_OBJECTS_SQL, err);
}

static bool apply_file(struct postgres *pg, const PGresult *applied, const struct migration *file,
                       struct err *err)
{
	if (file->pending && !postgres_run(pg, file->sql, err))
		return err_prefix(err, "migration %s", file->name);
	if (file->kind == MIGRATION_UPGRADE)
		return true;
	return (!file->pending && applied_checksum(applied, file->name)) || record(pg, file, err);
}

static bool apply_pending(struct postgres *pg, const PGresult *applied,
                          const struct migration_list *list, struct err *err)
{
	if (!postgres_run(pg, BEGIN_SQL, err) || !prepare(pg, applied, err))
		return false;
	for (size_t i = 0; i < list->count; i++)
		if (!apply_file(pg, applied, &list->at[i], err))
			return false;
	if (!forget(pg, applied, list, err))
		return false;
	if (!postgres_run(pg, DROP_OBJECTS_SQL, err))
		return err_prefix(
			err, "cannot drop the views and functions that this version no longer has");
	return postgres_run(pg, "COMMIT", err);
}

static void report(const struct migration_list *list)
{
	size_t redefined = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].pending && list->at[i].kind <= MIGRATION_TABLES)
			log_info("migrated", log_str("migration", list->at[i].name));
		else
			redefined += list->at[i].pending;
	log_info("redefined", log_uint("files", redefined));
}

static bool migrate(struct postgres *pg, struct migration_list *list, struct err *err)
{
	PGresult *applied = NULL;
	bool any = false, ok;

	ok = inspect(pg, list, &applied, &any, err);
	if (ok && any) {
		/* Another instance may be migrating now: wait for it, then read the list again. */
		PQclear(applied);
		applied = NULL;
		ok = postgres_run(pg, LOCK_SQL, err) && inspect(pg, list, &applied, &any, err);
		if (ok && any) {
			ok = apply_pending(pg, applied, list, err);
			if (ok)
				report(list);
			else if (err->class != ERR_RETRY)
				err->class = ERR_OPERATOR;
		}
	}
	PQclear(applied);
	return ok;
}

/* If the connection is lost, the server has released its lock. */
static void release_lock(struct postgres *pg)
{
	struct err ignored;

	postgres_rollback(pg);
	if (!postgres_run(pg, "SELECT pg_advisory_unlock_all()", &ignored))
		postgres_disconnect(pg);
}

bool migrate_apply(const struct postgres_config *config, struct migration_list *list,
                   struct err *err)
{
	struct postgres_config patient = *config;
	struct postgres *pg;
	bool ok;

	patient.statement_timeout_us = STATEMENT_TIMEOUT_US;
	pg = postgres_new(&patient, "pg-loader migrations");
	health_limit_ms(STATEMENT_TIMEOUT_US / 1000);
	ok = postgres_connect(pg, NULL, err) && migrate(pg, list, err);
	release_lock(pg);
	health_limit_ms(60000);
	postgres_free(pg);
	return ok;
}
