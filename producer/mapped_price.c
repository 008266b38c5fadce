/* The parts are copied one after the other: sign, first digits, groups of three, decimals. A part
 * is never longer in the output than in the text. */
#include "mapped_price.h"

#include <string.h>

static bool starts_with(struct span text, struct span start)
{
	return text.len >= start.len && memcmp(text.at, start.at, start.len) == 0;
}

static size_t digits_at(struct span text)
{
	size_t n = 0;

	while (n < text.len && text.at[n] >= '0' && text.at[n] <= '9')
		n++;
	return n;
}

static void skip(struct span *text, size_t count)
{
	*text = (struct span){text->at + count, text->len - count};
}

static void take(struct span *text, size_t count, char *out, size_t *len)
{
	memcpy(out + *len, text->at, count);
	*len += count;
	skip(text, count);
}

/* The separator at the start of the text. len 0: none. */
static struct span separator_at(struct span text)
{
	static const char *const separators[] = {".", " ", "\xc2\xa0"};

	for (size_t i = 0; i < sizeof(separators) / sizeof(separators[0]); i++)
		if (starts_with(text, span_of(separators[i])))
			return span_of(separators[i]);
	return SPAN("");
}

/* Takes the groups of three digits, each after the same separator. first: the digits before. */
static bool take_groups(struct span *text, struct span first, char *out, size_t *len)
{
	struct span separator = separator_at(*text);

	if (separator.len == 0)
		return true;
	if (first.len > 3 || first.at[0] == '0')
		return false;
	while (starts_with(*text, separator)) {
		skip(text, separator.len);
		if (digits_at(*text) != 3)
			return false;
		take(text, 3, out, len);
	}
	return true;
}

static bool take_decimals(struct span *text, char *out, size_t *len)
{
	size_t digits;

	if (text->len == 0)
		return true;
	if (text->at[0] != ',')
		return false;
	skip(text, 1);
	digits = digits_at(*text);
	out[(*len)++] = '.';
	take(text, digits, out, len);
	return digits > 0 && text->len == 0;
}

bool mapped_price_read(struct span text, char out[MAPPED_PRICE_MAX], size_t *len)
{
	struct span first;

	*len = 0;
	if (text.len == 0 || text.len > MAPPED_PRICE_MAX)
		return false;
	if (text.at[0] == '-')
		take(&text, 1, out, len);
	first = (struct span){text.at, digits_at(text)};
	take(&text, first.len, out, len);
	return first.len > 0 && take_groups(&text, first, out, len) &&
	       take_decimals(&text, out, len);
}
