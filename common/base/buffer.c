/* A byte buffer that doubles. Encoders reserve the most that a record can take and then
 * write without further checks.
 *
 * Limits: memory exhaustion ends the process; with work half done in memory and a
 * transaction open, dying and rebuilding from the log is the one safe way on. */
#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *buffer)
{
	free(buffer->at);
	*buffer = (struct buffer){0};
}

void buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t cap = buffer->cap ? buffer->cap : 256;
	char *at;

	if (buffer->at && more <= buffer->cap - buffer->len)
		return;
	if (more > SIZE_MAX / 4 || buffer->len > SIZE_MAX / 4) {
		fputs("event=out_of_memory reason=buffer_size\n", stderr);
		abort();
	}
	while (cap - buffer->len < more)
		cap *= 2;
	at = realloc(buffer->at, cap);
	if (!at) {
		fputs("event=out_of_memory reason=realloc\n", stderr);
		abort();
	}
	buffer->at = at;
	buffer->cap = cap;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
	buffer_reserve(buffer, len);
	if (len > 0)
		memcpy(buffer->at + buffer->len, bytes, len);
	buffer->len += len;
}
