/* Chooses between PostgreSQL and manifests. */
#include "lake_catalogue.h"

#include <stdlib.h>

#include "base/memory.h"
#include "lake_catalogue_manifest.h"
#include "lake_catalogue_postgres.h"

struct lake_catalogue {
	struct postgres *pg; /* NULL: manifests */
	struct lake_storage *storage;
};

struct lake_catalogue *lake_catalogue_new(const struct postgres_config *config,
                                          struct lake_storage *storage)
{
	struct lake_catalogue *catalogue = xrealloc(NULL, sizeof(*catalogue));

	*catalogue = (struct lake_catalogue){.storage = storage};
	if (config && config->dsn && *config->dsn)
		catalogue->pg = postgres_new(config, "lake");
	return catalogue;
}

void lake_catalogue_free(struct lake_catalogue *catalogue)
{
	if (catalogue)
		postgres_free(catalogue->pg);
	free(catalogue);
}

struct postgres *lake_catalogue_postgres(struct lake_catalogue *catalogue)
{
	return catalogue->pg;
}

bool lake_catalogue_open(struct lake_catalogue *catalogue, struct err *err)
{
	return catalogue->pg
	               ? lake_pg_open(catalogue->pg, lake_storage_root(catalogue->storage), err)
	               : lake_manifest_open(catalogue->storage, err);
}

bool lake_catalogue_read(struct lake_catalogue *catalogue, struct lake_position *at, size_t count,
                         struct err *err)
{
	return catalogue->pg ? lake_pg_read(catalogue->pg, at, count, err)
	                     : lake_manifest_read(catalogue->storage, at, count, err);
}

bool lake_catalogue_commit(struct lake_catalogue *catalogue, const struct lake_commit *batches,
                           size_t count, struct err *err)
{
	return catalogue->pg ? lake_pg_commit(catalogue->pg, batches, count, err)
	                     : lake_manifest_commit(catalogue->storage, batches, count, err);
}
