/* Calls the functions of a folder or of a bucket. Paths come from the catalogue and from topics, so
 * they are checked here, once: no path leads out of the lake. */
#include "lake_storage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "lake_bucket.h"
#include "lake_file.h"
#include "lake_folder.h"
#include "lake_scratch.h"
#include "lake_url.h"
#include "service/log.h"

#define BUCKET_SCRATCH "/tmp"

/* Either a folder or a bucket; the other one is NULL. */
struct lake_storage {
	struct lake_folder *folder;
	struct lake_bucket *bucket;
	struct lake_scratch *own_scratch; /* NULL: that of the folder */
};

static struct lake_scratch *scratch_of(const struct lake_storage *storage)
{
	return storage->own_scratch ? storage->own_scratch : lake_folder_scratch(storage->folder);
}

/* ---- set-up ---- */

static bool open_bucket(struct lake_storage *storage, const struct lake_storage_config *config,
                        const struct lake_url *url, struct err *err)
{
	struct s3_client_config client = {.endpoint = config->endpoint,
	                                  .region = config->region,
	                                  .access_key = config->access_key,
	                                  .secret_key = config->secret_key,
	                                  .timeout_us = config->timeout_us};

	if (!storage->own_scratch)
		storage->own_scratch = lake_scratch_new(BUCKET_SCRATCH);
	storage->bucket =
		lake_bucket_new(&client, url, config->part_bytes, storage->own_scratch, err);
	return storage->bucket != NULL;
}

static bool open_place(struct lake_storage *storage, const struct lake_storage_config *config,
                       const struct lake_url *url, struct err *err)
{
	if (*config->scratch)
		storage->own_scratch = lake_scratch_new(config->scratch);
	if (url->is_bucket)
		return open_bucket(storage, config, url, err);
	storage->folder = lake_folder_new(url->folder, err);
	return storage->folder != NULL;
}

struct lake_storage *lake_storage_new(const struct lake_storage_config *config, struct err *err)
{
	struct lake_storage *storage = xzalloc(1, sizeof(*storage));
	struct lake_url url;
	struct err why;

	if (!lake_url_parse(config->url, &url, &why))
		err_set(err, ERR_OPERATOR, "invalid value \"%.500s\" for LAKE_URL: %.400s",
		        config->url, why.message);
	else if (open_place(storage, config, &url, err))
		return storage;
	lake_storage_free(storage);
	return NULL;
}

void lake_storage_free(struct lake_storage *storage)
{
	if (!storage)
		return;
	lake_folder_free(storage->folder);
	lake_bucket_free(storage->bucket);
	lake_scratch_free(storage->own_scratch);
	free(storage);
}

bool lake_storage_prepare(struct lake_storage *storage, struct err *err)
{
	if (storage->folder && !lake_folder_prepare(storage->folder, err))
		return err_prefix(err, "LAKE_URL");
	if (!lake_scratch_open(scratch_of(storage), err))
		return err_prefix(err, "LAKE_SCRATCH");
	return storage->folder || lake_bucket_prepare(storage->bucket, err);
}

bool lake_storage_is_folder(const struct lake_storage *storage)
{
	return storage->folder != NULL;
}

const char *lake_storage_root(const struct lake_storage *storage)
{
	return storage->folder ? lake_folder_root(storage->folder)
	                       : lake_bucket_root(storage->bucket);
}

void lake_storage_scratch(struct lake_storage *storage, char *out, size_t cap)
{
	lake_scratch_path(scratch_of(storage), out, cap);
}

void lake_storage_clear_scratch(struct lake_storage *storage)
{
	struct err err;

	if (storage->own_scratch)
		lake_scratch_clear(storage->own_scratch);
	if (storage->folder)
		lake_scratch_clear(lake_folder_scratch(storage->folder));
	if (storage->bucket && !lake_bucket_clear(storage->bucket, &err))
		log_warn("old_uploads_stay", log_str("error", err.message));
}

int64_t lake_storage_free_bytes(const struct lake_storage *storage)
{
	return storage->folder ? lake_file_free_bytes(lake_folder_root(storage->folder)) : -1;
}

/* ---- files ---- */

/* Relative, without empty parts, "." and "..". A folder ends with '/', and may be "". */
static bool is_inside(const char *path, bool is_folder)
{
	size_t len = strlen(path);

	if (is_folder && len == 0)
		return true;
	if (len == 0 || is_folder != (path[len - 1] == '/'))
		return false;
	while (*path) {
		size_t part = strcspn(path, "/");

		if (part == 0 || (part == 1 && path[0] == '.') ||
		    (part == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += part + (path[part] == '/');
	}
	return true;
}

static bool check(const char *path, bool is_folder, struct err *err)
{
	return is_inside(path, is_folder) ||
	       err_set(err, ERR_OPERATOR, "invalid path \"%.500s\": expected a %s below the lake",
	               path, is_folder ? "folder with / at its end" : "file");
}

bool lake_storage_put(struct lake_storage *storage, const char *local, const char *path,
                      struct err *err)
{
	if (!check(path, false, err))
		return false;
	return storage->folder ? lake_folder_put(storage->folder, local, path, err)
	                       : lake_bucket_put(storage->bucket, local, path, err);
}

bool lake_storage_replace(struct lake_storage *storage, const char *path, const char *bytes,
                          size_t len, struct err *err)
{
	if (!storage->folder)
		return err_set(err, ERR_OPERATOR, "cannot replace %s in the bucket %s", path,
		               lake_storage_root(storage));
	return check(path, false, err) &&
	       lake_folder_replace(storage->folder, path, bytes, len, err);
}

bool lake_storage_get(struct lake_storage *storage, const char *path, char *out, size_t cap,
                      bool *is_copy, bool *missing, struct err *err)
{
	bool absent = false;

	*is_copy = storage->bucket != NULL;
	if (!check(path, false, err))
		return false;
	if (!(storage->folder ? lake_folder_get(storage->folder, path, out, cap, &absent, err)
	                      : lake_bucket_get(storage->bucket, path, out, cap, &absent, err)))
		return false;
	if (missing)
		*missing = absent;
	return missing || !absent ||
	       err_set(err, ERR_OPERATOR, "there is no file %s in the lake %s", path,
	               lake_storage_root(storage));
}

bool lake_storage_remove(struct lake_storage *storage, const char *path, struct err *err)
{
	if (!check(path, false, err))
		return false;
	return storage->folder ? lake_folder_remove(storage->folder, path, err)
	                       : lake_bucket_remove(storage->bucket, path, err);
}

bool lake_storage_list(struct lake_storage *storage, const char *below,
                       struct lake_listing *listing, struct err *err)
{
	if (!check(below, true, err))
		return false;
	return storage->folder ? lake_folder_list(storage->folder, below, listing, err)
	                       : lake_bucket_list(storage->bucket, below, listing, err);
}

/* ---- locks ---- */

bool lake_storage_lock(struct lake_storage *storage, const char *name, int *lock, struct err *err)
{
	*lock = -1;
	if (!check(name, false, err))
		return false;
	return !storage->folder || lake_folder_lock(storage->folder, name, lock, err);
}

void lake_storage_unlock(int lock)
{
	if (lock >= 0)
		close(lock);
}
