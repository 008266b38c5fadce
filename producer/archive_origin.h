/* The bytes of a file in a container that libarchive reads: zstd, xz, bzip2, lz4, zip and tar. */
#ifndef FUNNEL_ARCHIVE_ORIGIN_H
#define FUNNEL_ARCHIVE_ORIGIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "byte_origin.h"

/* Puts itself over an origin of zstd, xz, bzip2 or lz4. path: for messages. Failed: the caller
 * still closes the origin. */
MUST_USE bool archive_origin_unpack(struct byte_origin *origin, const char *path, struct err *err);
/* Puts itself over an origin of zip or tar. member: its name; NULL: the only file of the
 * archive. */
MUST_USE bool archive_origin_member(struct byte_origin *origin, const char *path,
                                    const char *member, struct err *err);

/* Calls visit for each file of a zip or tar in its order, but not for folders, hidden files and
 * those of __MACOSX. bytes: of the file, 0 if the archive does not say. False: the archive cannot
 * be read, or visit returned false. The caller closes the origin. */
typedef bool archive_visit(void *context, const char *member, int64_t bytes, struct err *err);
MUST_USE bool archive_origin_list(struct byte_origin *origin, const char *path,
                                  archive_visit *visit, void *context, struct err *err);

#endif
