/* A folder for files that are being written. Several processes may share it, also from several
 * containers, where process ids mean nothing: each process holds a lock file, and its files have
 * the name of that lock.
 *
 *   SCRATCH/lake-Xa81Zq.lock    locked by flock while its process runs
 *           lake-Xa81Zq-1       its files */
#ifndef FUNNEL_LAKE_SCRATCH_H
#define FUNNEL_LAKE_SCRATCH_H

#include <stddef.h>

#include "base/err.h"

struct lake_scratch;
/* Copies the path. Creates nothing. */
struct lake_scratch *lake_scratch_new(const char *folder);
/* Removes the lock file and the files of this process. */
void lake_scratch_free(struct lake_scratch *scratch);
/* Creates the folder and the lock of this process, once. Errors: those of lake_file.h. */
MUST_USE bool lake_scratch_open(struct lake_scratch *scratch, struct err *err);
/* Writes the path of a file that is not there yet. Only after lake_scratch_open. */
void lake_scratch_path(struct lake_scratch *scratch, char *out, size_t cap);
/* Removes the files of processes that do not run any more. */
void lake_scratch_clear(struct lake_scratch *scratch);

#endif
