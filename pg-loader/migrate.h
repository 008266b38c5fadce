/* Brings the database to the state that the files of migrate_files.h define: in one transaction,
 * under an advisory lock.
 *
 * processed.schema_migrations has one row per file: name, SHA-256 and, of functions and views, the
 * objects that the file defines. Nothing is written where all files are as they were applied.
 *
 *   a file of tables that the database does not have    applied
 *   one that has changed since it was applied           refused: databases would differ
 *   one that the program does not have                  refused: the database is newer
 *   a file of functions or views that has changed       applied again
 *   a function or view that no file defines any more    dropped
 *
 * Where anything is applied, rights.sql is. Where tables are, all files are. */
#ifndef FUNNEL_MIGRATE_H
#define FUNNEL_MIGRATE_H

#include "base/err.h"
#include "migrate_files.h"
#include "postgres/postgres.h"

/* Uses a connection of its own. ERR_OPERATOR: see above, SQL that fails, or a database of migrations
 * before 0026. Sets list->at[].pending. */
MUST_USE bool migrate_apply(const struct postgres_config *config, struct migration_list *list,
                            struct err *err);

#endif
