/* A growable byte buffer: encoders reserve the most that a record can take and then write
 * without further checks. */
#ifndef FUNNEL_BUFFER_H
#define FUNNEL_BUFFER_H

#include <stddef.h>

/* Zero-initialised is valid and empty; the owner frees it.
 * Growing dies with a message when memory is exhausted, as nothing sensible is left to do. */
struct buffer {
	char *at;
	size_t len, cap;
};
void buffer_free(struct buffer *buffer);
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *bytes, size_t len);

#endif
