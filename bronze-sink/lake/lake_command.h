/* What the commands that keep a lake in order share: the lake, its catalogue in PostgreSQL, and
 * DuckDB. One of them runs at a time: it has a lock of the database while it is connected. */
#ifndef FUNNEL_LAKE_COMMAND_H
#define FUNNEL_LAKE_COMMAND_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "duck.h"
#include "lake_catalogue.h"
#include "lake_config.h"
#include "lake_file.h"
#include "lake_storage.h"

struct lake_command {
	const struct lake_config *config;
	struct lake_storage *storage;
	struct lake_catalogue *catalogue;
	struct postgres *pg; /* of the catalogue */
	struct duck *duck;
};

/* Allocates *command; also after a failure, lake_command_close frees it. ERR_OPERATOR: POSTGRES_DSN
 * is empty. ERR_RETRY: another command of this kind is running. */
MUST_USE bool lake_command_open(const struct lake_config *config, struct lake_command **command,
                                struct err *err);
/* The same for a catalogue that is empty, although the lake has files. */
MUST_USE bool lake_command_open_unclaimed(const struct lake_config *config,
                                          struct lake_command **command, struct err *err);
void lake_command_close(struct lake_command *command); /* takes NULL */

/* Local copies of files of the lake, or the files themselves. Zero-initialised: empty. */
struct lake_locals {
	struct buffer list; /* "['/a','/b'": a list of DuckDB without its end */
	char **copies;
	size_t count, capacity;
	char last[LAKE_PATH_MAX]; /* the local path of the file that was added last */
};
MUST_USE bool lake_locals_add(struct lake_command *command, const char *path,
                              struct lake_locals *locals, struct err *err);
/* Removes the copies. */
void lake_locals_free(struct lake_locals *locals);

/* Writes the rows of a query as a new local file of the table. local: LAKE_PATH_MAX bytes.
 * file: gets rows, bytes, footer_bytes, sha256 and statistics; the caller frees statistics. */
MUST_USE bool lake_command_copy(struct lake_command *command, const char *query,
                                const char *const *metadata, char *local, struct lake_file *file,
                                struct err *err);

/* Removes the files that were replaced or expired longer than grace_us ago. *removed: how many. */
MUST_USE bool lake_command_remove_old(struct lake_command *command, int64_t grace_us,
                                      int64_t *removed, struct err *err);

#endif
