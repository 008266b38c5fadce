/* Where bytes come from: a file, standard input or a URL. A container is an origin over another
 * origin. */
#ifndef FUNNEL_BYTE_ORIGIN_H
#define FUNNEL_BYTE_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct byte_origin {
	void *self;
	/* Gives 1 to cap bytes. 0: the end. -1: failed. Sets err (ERR_OPERATOR: the bytes end
	 * early or are damaged; any other class: reading failed). */
	ssize_t (*read)(void *self, void *buf, size_t cap, struct err *err);
	/* Moves to an offset of the bytes. NULL, or false: not possible. */
	bool (*seek)(void *self, int64_t offset);
	int64_t (*size)(void *self); /* set if seek is */
	/* Whether no byte came within that time, so that a read would block. NULL: never. */
	bool (*waits)(void *self, int timeout_ms);
	void (*free)(void *self);
};

/* "-" is standard input, http:// and https:// begin a URL, and any other path is a file. ERR_INPUT:
 * it cannot be opened. */
MUST_USE bool byte_origin_open(struct byte_origin *origin, const char *path, struct err *err);
void byte_origin_close(struct byte_origin *origin);
/* Whether the path names a stream (standard input or a URL), which has no size here. */
bool byte_origin_is_stream(const char *path);

/* Reads up to cap bytes and makes the origin give them again. Reads less if the origin ends, or if
 * it could block and has given `enough` bytes. -1: failed. */
ssize_t byte_origin_peek(struct byte_origin *origin, void *out, size_t cap, size_t enough,
                         struct err *err);

#endif
