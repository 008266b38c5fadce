/* The SQL files that define the database, in one folder (sql/ of the project).
 *
 *   tables/NNNN_name.sql    tables, indexes and first rows: numbered, each applied once
 *   functions/name.sql      functions and triggers: applied again when the file has changed
 *   views/name.sql          views: applied again when the file has changed
 *   rights.sql              roles and rights: applied last, after any other file
 *   upgrade/from_0026.sql   for a database of the old migrations that tables/ replaced
 *
 * Functions and views are applied in the order of their file names: a view that reads another view
 * must come after it. */
#ifndef FUNNEL_MIGRATE_FILES_H
#define FUNNEL_MIGRATE_FILES_H

#include <stddef.h>

#include "base/err.h"

#define MIGRATION_NAME_MAX 120

/* In the order in which they are applied. */
enum migration_kind {
	MIGRATION_UPGRADE,
	MIGRATION_TABLES,
	MIGRATION_FUNCTIONS,
	MIGRATION_VIEWS,
	MIGRATION_RIGHTS
};

struct migration {
	char name[MIGRATION_NAME_MAX]; /* tables/0001_raw.sql */
	enum migration_kind kind;
	char checksum[65]; /* SHA-256, hexadecimal */
	char *sql;         /* owned */
	bool pending;      /* to be applied; set by migrate.c */
};
struct migration_list {
	struct migration *at;
	size_t count, capacity;
};

/* Finds the folder: `configured`, or if that is empty, the folder of the program's installation,
 * else of its checkout, else ./sql. ERR_OPERATOR: the folder has no folder tables, or none was
 * found. */
MUST_USE bool migrate_find_dir(const char *configured, char *out, size_t cap, struct err *err);
/* Reads all files, in the order in which they are applied. ERR_OPERATOR: a file cannot be read or
 * is missing, or two files of tables have the same number. Call migrate_fini in either case. */
MUST_USE bool migrate_load(const char *dir, struct migration_list *list, struct err *err);
void migrate_fini(struct migration_list *list);

#endif
