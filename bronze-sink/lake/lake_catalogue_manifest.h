/* The catalogue without PostgreSQL: _manifests/<topic>-<partition>.json in the lake, one per
 * partition. Folders only.
 *
 * The contracts are those of lake_catalogue.h, but each partition is a commit of its own: after
 * ERR_RETRY some batches may be stored. Call again with the same batches: those that are stored
 * already are left out. The lock of the partition keeps other writers away. */
#ifndef FUNNEL_LAKE_CATALOGUE_MANIFEST_H
#define FUNNEL_LAKE_CATALOGUE_MANIFEST_H

#include "lake_catalogue.h"

/* ERR_OPERATOR: the lake is a bucket. */
MUST_USE bool lake_manifest_open(struct lake_storage *storage, struct err *err);
MUST_USE bool lake_manifest_read(struct lake_storage *storage, struct lake_position *at,
                                 size_t count, struct err *err);
MUST_USE bool lake_manifest_commit(struct lake_storage *storage, const struct lake_commit *batches,
                                   size_t count, struct err *err);

#endif
