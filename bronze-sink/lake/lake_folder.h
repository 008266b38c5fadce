/* A lake in a folder: the functions of lake_storage.h for it. Errors: those of lake_file.h. */
#ifndef FUNNEL_LAKE_FOLDER_H
#define FUNNEL_LAKE_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lake_listing.h"
#include "lake_scratch.h"

struct lake_folder;
/* path: may be relative. NULL: the current folder has no path. Creates nothing. */
struct lake_folder *lake_folder_new(const char *path, struct err *err);
void lake_folder_free(struct lake_folder *folder);
MUST_USE bool lake_folder_prepare(struct lake_folder *folder, struct err *err);
const char *lake_folder_root(const struct lake_folder *folder);
/* LAKE/_tmp, on the same file system as the lake. */
struct lake_scratch *lake_folder_scratch(const struct lake_folder *folder);

MUST_USE bool lake_folder_put(struct lake_folder *folder, const char *local, const char *path,
                              struct err *err);
MUST_USE bool lake_folder_replace(struct lake_folder *folder, const char *path, const char *bytes,
                                  size_t len, struct err *err);
MUST_USE bool lake_folder_get(struct lake_folder *folder, const char *path, char *out, size_t cap,
                              bool *missing, struct err *err);
/* Also removes the folder of the file, if it is empty and the folder of a day. */
MUST_USE bool lake_folder_remove(struct lake_folder *folder, const char *path, struct err *err);
MUST_USE bool lake_folder_list(struct lake_folder *folder, const char *below,
                               struct lake_listing *listing, struct err *err);
MUST_USE bool lake_folder_lock(struct lake_folder *folder, const char *name, int *lock,
                               struct err *err);

#endif
