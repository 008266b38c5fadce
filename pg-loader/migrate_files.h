/* The SQL that makes the database, as files of one folder (sql/ of the project).
 *
 *   tables/NNNN_name.sql    tables, indexes and their first rows: numbered, each applied once
 *   functions/name.sql      functions and triggers: applied again whenever the file has changed
 *   views/name.sql          views: likewise
 *   rights.sql              roles and rights: applied last, whenever anything else was applied
 *   upgrade/from_0026.sql   for a database of the migrations that tables/ replaced
 *
 * Functions and views are applied in the order of their names: a view that reads another view
 * stands after it. */
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
	bool pending;      /* to be applied; migrate.c finds out */
};
struct migration_list {
	struct migration *at;
	size_t count, capacity;
};

/* configured, or where it is empty: the folder of the installation that the program belongs to,
 * else that of its checkout, else sql below the working directory. ERR_OPERATOR where none of them
 * has a folder tables. */
MUST_USE bool migrate_find_dir(const char *configured, char *out, size_t cap, struct err *err);
/* All files, in the order in which they are applied. ERR_OPERATOR: unreadable, tables or rights are
 * missing, or a number of tables occurs twice. Free the list in either case. */
MUST_USE bool migrate_load(const char *dir, struct migration_list *list, struct err *err);
void migrate_fini(struct migration_list *list);

#endif
