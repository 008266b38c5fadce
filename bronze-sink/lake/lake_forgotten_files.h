/* Users that reporting.forget_user() has forgotten, in files of the lake. The rules are those of
 * lake_forgotten.h: events get the pseudonym, dead letters lose their bytes. The footers of files
 * have clocks, and these have users too; they get the pseudonym.
 *
 * lake.forgotten_checks has the files that were searched, and up to which request. */
#ifndef FUNNEL_LAKE_FORGOTTEN_FILES_H
#define FUNNEL_LAKE_FORGOTTEN_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "lake_command.h"
#include "lake_tables.h"
#include "postgres/postgres.h"

/* *request: the newest request, to be read before the files; -1: nobody is forgotten. */
MUST_USE bool lake_forgotten_newest(struct postgres *pg, int64_t *request, struct err *err);

/* Searches local files of one table. *found: how many forgotten users, dead letters that name one,
 * and clocks with one they have. DuckDB keeps which ones, until the next search. */
MUST_USE bool lake_forgotten_find(struct lake_command *command, enum lake_table table,
                                  const struct lake_locals *locals, int64_t *found,
                                  struct err *err);

/* Appends a SELECT of all rows of these files. found: of lake_forgotten_find, which was the last
 * search; it replaces what was found. 0: the rows as they are. */
void lake_forgotten_select(struct buffer *sql, enum lake_table table,
                           const struct lake_locals *locals, int64_t found);

/* The value of funnel.batches with the clocks that were found replaced. The caller frees it. */
MUST_USE bool lake_forgotten_batches(struct lake_command *command, const char *batches,
                                     int64_t found, char **replaced, struct err *err);

/* Replaces users in the clocks of the catalogue. */
MUST_USE bool lake_forgotten_catalogue(struct postgres *pg, struct err *err);

/* Notes that the file has no user of this request or of one before. */
MUST_USE bool lake_forgotten_checked(struct postgres *pg, int64_t file_id, int64_t request,
                                     struct err *err);

#endif
