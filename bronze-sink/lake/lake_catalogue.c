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

static bool has_files(struct lake_storage *storage, bool *has, struct err *err)
{
	struct lake_listing files = {0};
	bool ok = lake_storage_list(storage, "", &files, err);

	*has = false;
	for (size_t i = 0; ok && !*has && i < files.count; i++) {
		struct lake_path path;

		*has = lake_path_parse(files.at[i].path, &path);
	}
	lake_listing_free(&files);
	return ok;
}

/* To an empty catalogue, all files of a lake would be left-overs, and be removed. */
static bool claim_empty(struct lake_catalogue *catalogue, struct err *err)
{
	bool has = false;

	if (!has_files(catalogue->storage, &has, err))
		return false;
	if (has)
		return err_set(err, ERR_OPERATOR,
		               "the catalogue in PostgreSQL is empty, but the lake %s of LAKE_URL "
		               "has files: run lake register first, or set LAKE_URL to an empty "
		               "place",
		               lake_storage_root(catalogue->storage));
	return lake_catalogue_claim(catalogue, err);
}

bool lake_catalogue_claim(struct lake_catalogue *catalogue, struct err *err)
{
	return lake_pg_claim(catalogue->pg, lake_storage_root(catalogue->storage), err);
}

bool lake_catalogue_connect(struct lake_catalogue *catalogue, bool *claimed, struct err *err)
{
	return lake_pg_open(catalogue->pg, lake_storage_root(catalogue->storage), claimed, err);
}

bool lake_catalogue_open(struct lake_catalogue *catalogue, struct err *err)
{
	bool claimed = false;

	if (!catalogue->pg)
		return lake_manifest_open(catalogue->storage, err);
	return lake_catalogue_connect(catalogue, &claimed, err) &&
	       (claimed || claim_empty(catalogue, err));
}

bool lake_catalogue_hold(struct lake_catalogue *catalogue, const struct lake_position *at,
                         struct err *err)
{
	struct lake_position now = {.topic = at->topic, .partition = at->partition};

	if (!catalogue->pg)
		return true;
	if (!lake_pg_begin(catalogue->pg, err) || !lake_pg_read_next(catalogue->pg, &now, err))
		return false;
	return now.next == at->next ||
	       err_set(err, ERR_CONFLICT, "%s/%d: another lake writer has moved the position",
	               at->topic, (int)at->partition);
}

void lake_catalogue_let_go(struct lake_catalogue *catalogue)
{
	if (catalogue->pg)
		postgres_rollback(catalogue->pg);
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
	return catalogue->pg
	               ? lake_pg_commit(catalogue->pg, catalogue->storage, batches, count, err)
	               : lake_manifest_commit(catalogue->storage, batches, count, err);
}
