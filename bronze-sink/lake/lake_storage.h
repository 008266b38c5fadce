/* Where the files of a lake are: a folder, or a bucket of an S3 server. Paths are relative to the
 * lake, with '/' between their parts.
 *
 * A file appears complete or not at all, and is never changed. Errors: ERR_RETRY, the disk is full
 * or the server does not answer, call again; ERR_OPERATOR, rights, keys or addresses are wrong;
 * ERR_FATAL, a local file was removed or an fsync failed, so the file has to be written again;
 * ERR_CONFLICT, see lake_storage_put. */
#ifndef FUNNEL_LAKE_STORAGE_H
#define FUNNEL_LAKE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lake_listing.h"

struct lake_storage_config {
	/* LAKE_URL: a folder ("/srv/lake", "file:///srv/lake") or "s3://bucket/prefix". */
	const char *url;
	const char *scratch; /* LAKE_SCRATCH: folder for files being written; "": LAKE/_tmp, /tmp */
	/* For a bucket. */
	const char *endpoint; /* LAKE_S3_ENDPOINT, such as https://s3.eu-central-1.amazonaws.com */
	const char *region;   /* LAKE_S3_REGION */
	const char *access_key; /* LAKE_S3_ACCESS_KEY */
	const char *secret_key; /* LAKE_S3_SECRET_KEY */
	int64_t part_bytes;     /* larger files are sent in parts of this size */
	int64_t timeout_us;     /* longest time without progress */
};

struct lake_storage;
/* Borrows config. Creates nothing. */
struct lake_storage *lake_storage_new(const struct lake_storage_config *config, struct err *err);
void lake_storage_free(struct lake_storage *storage);
/* Creates what is missing (folders) and checks that we may write. */
MUST_USE bool lake_storage_prepare(struct lake_storage *storage, struct err *err);
bool lake_storage_is_folder(const struct lake_storage *storage);
/* The absolute folder, or "s3://bucket/prefix", with '/' at its end: the data path of DuckLake. */
const char *lake_storage_root(const struct lake_storage *storage);

/* Writes the path of a new local file to out: in the scratch folder, unique, not there yet. Only
 * after lake_storage_prepare. */
void lake_storage_scratch(struct lake_storage *storage, char *out, size_t cap);
/* Removes what processes left that do not run any more: files in the scratch folder, and in a
 * bucket the parts of files whose upload began more than a day ago. */
void lake_storage_clear_scratch(struct lake_storage *storage);

/* Makes the complete local file the file `path` of the lake, and removes the local one. When it
 * returns true, the content is durable. ERR_CONFLICT: there is a file of this name already, which
 * another writer or an earlier process has put: it may be registered. After ERR_RETRY the same
 * local file can be put again, even if the first call has succeeded after all; the local file must
 * have a name of lake_storage_scratch. With a bucket a call may take several times timeout_us. */
MUST_USE bool lake_storage_put(struct lake_storage *storage, const char *local, const char *path,
                               struct err *err);
/* The same for small texts that are replaced, such as manifests. Folders only. */
MUST_USE bool lake_storage_replace(struct lake_storage *storage, const char *path,
                                   const char *bytes, size_t len, struct err *err);
/* Makes the file readable as a local file: writes its path to out. It is the file itself, or a copy
 * in the scratch folder (*is_copy), which the caller removes. *missing (may be NULL): there is no
 * such file; returns true then. */
MUST_USE bool lake_storage_get(struct lake_storage *storage, const char *path, char *out,
                               size_t cap, bool *is_copy, bool *missing, struct err *err);
/* A file that is not there is no error. */
MUST_USE bool lake_storage_remove(struct lake_storage *storage, const char *path, struct err *err);

/* Adds all files below a folder of the lake, such as "bronze/" or "", sorted by path. Left out are
 * names that begin with '.', and with "" those at the top that begin with '_'. */
MUST_USE bool lake_storage_list(struct lake_storage *storage, const char *below,
                                struct lake_listing *listing, struct err *err);

/* Free bytes of the folder's file system; -1: not known (a bucket). */
int64_t lake_storage_free_bytes(const struct lake_storage *storage);

/* Folders: one writer per partition. Takes the lock `name` and keeps it until it is given back or
 * the process ends. ERR_RETRY: another process has it. A bucket has no locks: returns true. */
MUST_USE bool lake_storage_lock(struct lake_storage *storage, const char *name, int *lock,
                                struct err *err);
void lake_storage_unlock(int lock);

#endif
