/* Numbered SQL files, each applied once, in order, in a transaction of its own, under an advisory lock.
 *
 * processed.schema_migrations holds name and SHA-256 of what was applied. A file that has changed since is refused:
 * databases that have it and databases to come would differ. Migrations only go forward. */
#ifndef FUNNEL_MIGRATE_H
#define FUNNEL_MIGRATE_H

#include <stddef.h>

#include "base/err.h"
#include "postgres/postgres.h"

#define MIGRATION_NAME_MAX 120

struct migration {
	char name[MIGRATION_NAME_MAX]; /* 0001_tables.sql */
	char checksum[65];             /* hexadecimal */
	char *sql;                     /* owned */
};
struct migration_list {
	struct migration *at;
	size_t count, capacity;
};

/* configured, or where it is empty: the folder of the installation that the program belongs to, else that of its checkout,
 * else sql/migrations below the working directory. ERR_OPERATOR where there is none. */
MUST_USE bool migrate_find_dir(const char *configured, char *out, size_t cap, struct err *err);
/* All NNNN_name.sql of a folder, sorted. ERR_OPERATOR: unreadable, none at all, or a number twice. */
MUST_USE bool migrate_load(const char *dir, struct migration_list *list, struct err *err);
void migrate_fini(struct migration_list *list);
/* Applies what is missing. Uses a connection of its own. ERR_OPERATOR: a changed file, or SQL that fails. */
MUST_USE bool migrate_apply(const struct postgres_config *config, const struct migration_list *list,
                            struct err *err);

#endif
