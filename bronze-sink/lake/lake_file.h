/* Durable files and folders of the local file system.
 *
 * Errors: ERR_RETRY, the disk or the quota is full (the message has the free bytes), or the cause
 * may go away; ERR_OPERATOR, rights, a read-only file system or a wrong path; ERR_FATAL, a file
 * was removed by somebody else, or an fsync failed: the kernel may have dropped the data, and a
 * second fsync would not report that. The file has to be written again. */
#ifndef FUNNEL_LAKE_FILE_H
#define FUNNEL_LAKE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LAKE_PATH_MAX   4096
#define LAKE_SHA256_MAX 65 /* a SHA-256 as hex, with the NUL */

/* Sets the error of a call that failed with errno `why`. action: "create", "write". */
bool lake_file_failed(struct err *err, int why, const char *action, const char *path);

/* Makes the content of a file, or the entries of a folder, durable. */
MUST_USE bool lake_file_sync(const char *path, struct err *err);
MUST_USE bool lake_file_sync_folder(const char *path, struct err *err);
/* Creates the folder and those above it, durably. */
MUST_USE bool lake_file_make_folders(const char *path, struct err *err);
/* Writes a durable new file. The entry in its folder is not durable yet. */
MUST_USE bool lake_file_write(const char *path, const char *bytes, size_t len, struct err *err);
MUST_USE bool lake_file_copy(const char *from, const char *to, struct err *err);
/* Reads the file, and writes its SHA-256 as lower-case hex. */
MUST_USE bool lake_file_sha256(const char *path, char out[LAKE_SHA256_MAX], struct err *err);

/* Free bytes for us in the file system of the path, or of the nearest folder above it that is
 * there. -1: not known. */
int64_t lake_file_free_bytes(const char *path);

#endif
