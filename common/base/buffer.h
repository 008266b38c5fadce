/* A growable byte buffer. Encoders reserve the largest size of a record, and then write without
 * further checks. */
#ifndef FUNNEL_BUFFER_H
#define FUNNEL_BUFFER_H

#include <stddef.h>

/* Zero-initialised: valid and empty. The owner frees it. Exhausted memory ends the process. */
struct buffer {
	char *at;
	size_t len, cap;
};
void buffer_free(struct buffer *buffer);
/* Makes room for `more` bytes after len. */
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *bytes, size_t len);
/* Without the terminator of the text. */
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
