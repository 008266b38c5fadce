/* Each kind replaces up to two fields, or changes the number of columns. No kind leaves a quote
 * open: only the rows after it would show whether that is a field with line breaks. */
#include "corruptions.h"

#include <string.h>

enum { TIME, TYPE, PRODUCT, CATEGORY, CODE, BRAND, PRICE, USER, SESSION };

struct corruption {
	struct {
		int field; /* -1: none */
		const char *text;
	} changes[2];
	size_t columns; /* columns kept; 10: one is added */
};

static const struct corruption corruptions[CORRUPTION_KINDS] = {
	{{{TIME, "2019-13-45 25:61:00 UTC"}, {-1, ""}}, 9},
	{{{TIME, ""}, {-1, ""}}, 9},
	{{{TIME, "yesterday"}, {-1, ""}}, 9},
	{{{TIME, "1999-12-31 23:59:59 UTC"}, {-1, ""}}, 9},
	{{{TIME, "9999-12-31 23:59:59 UTC"}, {-1, ""}}, 9},
	{{{TYPE, "click"}, {-1, ""}}, 9},
	{{{TYPE, ""}, {-1, ""}}, 9},
	{{{PRICE, "-12.34"}, {-1, ""}}, 9},
	{{{PRICE, "12.345"}, {-1, ""}}, 9},
	{{{TYPE, "purchase"}, {PRICE, ""}}, 9},
	{{{PRODUCT, "abc12"}, {-1, ""}}, 9},
	{{{PRODUCT, ""}, {-1, ""}}, 9},
	{{{USER, "-5"}, {-1, ""}}, 9},
	{{{SESSION, "user:512000001"}, {-1, ""}}, 9},
	{{{BRAND, "bad\xff\xfe"}, {-1, ""}}, 9},
	{{{BRAND, "\"broken\"quotes"}, {-1, ""}}, 9},
	{{{-1, ""}, {-1, ""}}, 5},
	{{{-1, ""}, {-1, ""}}, 10},
};

static void put(char *out, size_t cap, size_t *len, const char *at, size_t count)
{
	if (count > cap - *len)
		count = cap - *len;
	memcpy(out + *len, at, count);
	*len += count;
}

size_t corruption_write(uint32_t kind, const struct span fields[9], char *out, size_t cap)
{
	const struct corruption *corruption = &corruptions[kind % CORRUPTION_KINDS];
	size_t len = 0;

	for (int i = 0; i < 9 && (size_t)i < corruption->columns; i++) {
		struct span field = fields[i];

		for (size_t c = 0; c < 2; c++)
			if (corruption->changes[c].field == i)
				field = span_of(corruption->changes[c].text);
		if (i > 0)
			put(out, cap, &len, ",", 1);
		put(out, cap, &len, field.at, field.len);
	}
	if (corruption->columns > 9)
		put(out, cap, &len, ",surplus", 8);
	return len;
}
