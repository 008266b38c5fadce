/* The bytes of a file in a container that libarchive reads: zstd, xz, bzip2, lz4, zip and tar. */
#ifndef FUNNEL_ARCHIVE_ORIGIN_H
#define FUNNEL_ARCHIVE_ORIGIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "byte_origin.h"

/* Puts a layer over an origin of zstd, xz, bzip2 or lz4. path: for messages. After a failure the
 * caller still closes the origin. */
MUST_USE bool archive_origin_unpack(struct byte_origin *origin, const char *path, struct err *err);
/* Puts a layer over an origin of zip or tar. member: name of the file to read; NULL: the only file
 * of the archive that is not empty. */
MUST_USE bool archive_origin_member(struct byte_origin *origin, const char *path,
                                    const char *member, struct err *err);

/* Checks that a zip or tar has one file only that has bytes. ERR_INPUT: it has no such file, or
 * several. The caller closes the origin. */
MUST_USE bool archive_origin_check_single(struct byte_origin *origin, const char *path,
                                          struct err *err);

/* Calls visit for each file of a zip or tar, in the order of the archive. Skips folders, hidden
 * files and files of __MACOSX. bytes: size of the file; -1: not known. False: the archive cannot be
 * read, or visit returned false. The caller closes the origin. */
typedef bool archive_visit(void *context, const char *member, int64_t bytes, struct err *err);
MUST_USE bool archive_origin_list(struct byte_origin *origin, const char *path,
                                  archive_visit *visit, void *context, struct err *err);

#endif
