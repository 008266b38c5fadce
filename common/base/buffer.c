/* The capacity doubles from 256 bytes on. Exhausted memory ends the process (base/memory.h). */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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

void buffer_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, text, strlen(text));
}

/* The first pass measures the text. Its terminator is written too, after len. */
void buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len <= 0)
		return;
	buffer_reserve(buffer, (size_t)len + 1);
	va_start(args, format);
	vsnprintf(buffer->at + buffer->len, (size_t)len + 1, format, args);
	va_end(args);
	buffer->len += (size_t)len;
}
