/* The capacity doubles from 256 bytes on. Exhausted memory ends the process (base/memory.h). */
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
