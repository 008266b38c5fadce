/* The bytes of a file, decompressed if it is gzip. Its first bytes decide that, not its name.
 * Several gzip members one after the other are one stream. */
#ifndef FUNNEL_BYTE_READER_H
#define FUNNEL_BYTE_READER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct byte_reader;
/* NULL and err (ERR_INPUT): the file cannot be opened. */
struct byte_reader *byte_reader_new(const char *path, struct err *err);
void byte_reader_free(struct byte_reader *reader);

enum byte_result {
	BYTES_GIVEN,
	BYTES_END,
	BYTES_CUT,   /* err: the gzip stream ends early, or is damaged */
	BYTES_FAILED /* err: reading failed */
};
/* Gives 1 to cap bytes. BYTES_CUT comes after all bytes before the damage were given. */
enum byte_result byte_reader_read(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                  struct err *err);

/* Moves to an offset of the uncompressed bytes without reading up to it. False: not possible,
 * because the file is gzip or cannot seek. */
bool byte_reader_seek(struct byte_reader *reader, int64_t offset);
/* Bytes of the file read so far, compressed if the file is compressed. */
int64_t byte_reader_position(const struct byte_reader *reader);

#endif
