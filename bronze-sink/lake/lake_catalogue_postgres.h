/* The catalogue in PostgreSQL: schema lake (sql/tables/0020_lake.sql, sql/functions/lake.sql).
 * The contracts are those of lake_catalogue.h. */
#ifndef FUNNEL_LAKE_CATALOGUE_POSTGRES_H
#define FUNNEL_LAKE_CATALOGUE_POSTGRES_H

#include "lake_catalogue.h"

/* root: lake_storage_root. ERR_RETRY: among others, the database does not have the schema yet.
 * *claimed: the catalogue is that of the lake `root`. ERR_OPERATOR: it is that of another one. */
MUST_USE bool lake_pg_open(struct postgres *pg, const char *root, bool *claimed, struct err *err);
/* The catalogue becomes that of this lake, if it is that of none. */
MUST_USE bool lake_pg_claim(struct postgres *pg, const char *root, struct err *err);
MUST_USE bool lake_pg_read(struct postgres *pg, struct lake_position *at, size_t count,
                           struct err *err);
/* In the open transaction: the next offset alone. */
MUST_USE bool lake_pg_read_next(struct postgres *pg, struct lake_position *at, struct err *err);
/* Of a bucket, it checks that the files are there: another writer may have taken them for
 * left-overs. */
MUST_USE bool lake_pg_commit(struct postgres *pg, struct lake_storage *storage,
                             const struct lake_commit *batches, size_t count, struct err *err);

/* ---- parts of a transaction, for the commands */

/* BEGIN, and the lake's lock. */
MUST_USE bool lake_pg_begin(struct postgres *pg, struct err *err);
/* COMMIT if ok, or else a rollback. Returns whether the transaction is committed. A snapshot that
 * DuckDB has committed at the same time gives ERR_RETRY. */
MUST_USE bool lake_pg_end(struct postgres *pg, bool ok, struct err *err);

struct lake_snapshot {
	int64_t id, first_file;
};
/* changes: in the words of DuckLake, such as "inserted_into_table:1". info: JSON. */
MUST_USE bool lake_pg_snapshot(struct postgres *pg, size_t files, const char *changes,
                               const char *info, struct lake_snapshot *snapshot, struct err *err);
/* n: of the new files of the snapshot, from 0. */
MUST_USE bool lake_pg_add_file(struct postgres *pg, const struct lake_snapshot *snapshot, size_t n,
                               const struct lake_file *file, struct err *err);

#endif
