/* Brings the database to the state that the SQL files define (migrate_files.h): in one transaction,
 * under an advisory lock.
 *
 * processed.schema_migrations has one row per file: its name, its SHA-256 and, for functions and
 * views, the objects that the file defines. If no file has changed, nothing is written.
 *
 *   a file of tables that the database does not have    applied
 *   one that has changed since it was applied           refused: databases would differ
 *   one that the program does not have                  refused: the database is newer
 *   a file of functions or views that has changed       applied again
 *   a function or view that no file defines any more    dropped
 *
 * If any file is applied, rights.sql is applied after it. If a file of tables is applied, all files
 * of functions and views are applied again. */
#ifndef FUNNEL_MIGRATE_H
#define FUNNEL_MIGRATE_H

#include "base/err.h"
#include "migrate_files.h"
#include "postgres/postgres.h"

/* Uses a connection of its own, and sets list->at[].pending. ERR_OPERATOR: refused as above, an SQL
 * statement failed, or the database has only migrations before 0026. */
MUST_USE bool migrate_apply(const struct postgres_config *config, struct migration_list *list,
                            struct err *err);

#endif
