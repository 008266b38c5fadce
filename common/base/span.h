/* A span is a borrowed sequence of bytes. It is not terminated. at == NULL: no value (null);
 * at != NULL with len == 0: an empty value. */
#ifndef FUNNEL_SPAN_H
#define FUNNEL_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *at;
	size_t len;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NULL     ((struct span){NULL, 0})

static inline struct span span_of(const char *text)
{
	return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
	if (!a.at || !b.at)
		return a.at == b.at;
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static inline bool span_is(struct span a, const char *text)
{
	return a.at && a.len == strlen(text) && memcmp(a.at, text, a.len) == 0;
}

static inline bool span_is_blank_byte(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the blanks, tabs and line ends around it. */
static inline struct span span_trim(struct span text)
{
	while (text.len > 0 && span_is_blank_byte(text.at[0]))
		text = (struct span){text.at + 1, text.len - 1};
	while (text.len > 0 && span_is_blank_byte(text.at[text.len - 1]))
		text.len--;
	return text;
}

#endif
