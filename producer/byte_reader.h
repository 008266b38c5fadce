/* The bytes of a file of an input as UTF-8 text: unpacked if it is in a container, and converted if
 * it has another encoding. Its first bytes decide what it is, not its name.
 *
 * Containers are gzip, zstd, xz, bzip2, lz4, zip and tar, also one in another. A path may name a
 * file in an archive: `archive.zip/member.csv`. */
#ifndef FUNNEL_BYTE_READER_H
#define FUNNEL_BYTE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive_origin.h"
#include "base/err.h"

struct byte_reader;
/* encoding: name for iconv; NULL or "" is UTF-8. NULL and err (ERR_INPUT): the file cannot be
 * opened. */
struct byte_reader *byte_reader_new(const char *path, const char *encoding, struct err *err);
void byte_reader_free(struct byte_reader *reader);

enum byte_result {
	BYTES_GIVEN,
	BYTES_END,
	BYTES_CUT,   /* err: the compressed stream ends early, or is damaged */
	BYTES_FAILED /* err: reading failed */
};
/* Gives 1 to cap bytes. BYTES_CUT comes after the bytes before the damage were given. */
enum byte_result byte_reader_read(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                  struct err *err);

/* Moves to an offset of the text without reading up to it. False: not possible, because the file is
 * in a container, is converted or cannot seek. */
bool byte_reader_seek(struct byte_reader *reader, int64_t offset);
/* Bytes of the file read so far, compressed if the file is compressed. Of a file in an archive:
 * bytes of that file. */
int64_t byte_reader_position(const struct byte_reader *reader);
/* The path for messages, without the secrets of a URL. */
const char *byte_reader_path(const struct byte_reader *reader);
/* Whether this is a pipe or a stream, and no byte came within one second. False for files. */
bool byte_reader_waits(struct byte_reader *reader);

/* Whether the text is in an archive that is in another archive. */
bool byte_reader_is_nested(const struct byte_reader *reader);
/* Checks that each archive inside another one has one file that has bytes. Reads through the
 * archives. ERR_INPUT: it has several. */
MUST_USE bool byte_reader_check_nested(const char *path, struct err *err);

/* Calls visit for the files of an archive. *is_archive: whether the path is one. ERR_INPUT: it
 * cannot be read. */
MUST_USE bool byte_reader_list(const char *path, bool *is_archive, archive_visit *visit,
                               void *context, struct err *err);

#endif
