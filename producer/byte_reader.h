/* The bytes of a file, unpacked where it is gzip (told by its first bytes, not its name; several
 * members one after the other are one stream). */
#ifndef FUNNEL_BYTE_READER_H
#define FUNNEL_BYTE_READER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct byte_reader;
/* NULL and err (ERR_INPUT) where the file cannot be opened. */
struct byte_reader *byte_reader_new(const char *path, struct err *err);
void byte_reader_free(struct byte_reader *reader);

enum byte_verdict {
	BYTES_GIVEN,
	BYTES_END,
	BYTES_CUT /* the gzip stream ends early, or is damaged */,
	BYTES_FAILED /* err: reading failed */
};
/* Gives 1 to cap bytes. After BYTES_CUT err says what is wrong; all bytes before the cut were given. */
enum byte_verdict byte_reader_read(struct byte_reader *reader, char *out, size_t cap, size_t *given,
                                   struct err *err);

/* Goes to an offset of the unpacked bytes without reading them. False: a gzip stream, which cannot. */
bool byte_reader_seek(struct byte_reader *reader, int64_t offset);
/* Bytes of the file (as it is on the disk) read so far. */
int64_t byte_reader_position(const struct byte_reader *reader);

#endif
