/* A byte buffer that doubles. Encoders reserve the most that a record can take and then
 * write without further checks.
 *
 * Limits: memory exhaustion ends the process; with work half done in memory and a
 * transaction open, dying and rebuilding from the log is the one safe way on. */
#include "base/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void buffer_free(struct buffer *buffer)
{
	free(buffer->at);
	*buffer = (struct buffer){0};
}

void buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t cap = buffer->cap ? buffer->cap : 256;

	if (buffer->at && more <= buffer->cap - buffer->len)
		return;
	if (more > SIZE_MAX / 4 || buffer->len > SIZE_MAX / 4)
		memory_exhausted();
	while (cap - buffer->len < more)
		cap *= 2;
	buffer->at = xrealloc(buffer->at, cap);
	buffer->cap = cap;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t len)
{
	buffer_reserve(buffer, len);
	if (len > 0)
		memcpy(buffer->at + buffer->len, bytes, len);
	buffer->len += len;
}
