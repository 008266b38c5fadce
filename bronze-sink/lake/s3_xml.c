/* Not a parser of XML: answers of S3 servers have neither attributes in the elements that we read,
 * nor comments or CDATA. An element inside one of the same name is not understood. */
#include "s3_xml.h"

#include <stdint.h>
#include <stdio.h>

#define NAME_MAX_BYTES 64

static const char *find(struct span in, struct span what)
{
	for (size_t i = 0; what.len <= in.len && i <= in.len - what.len; i++)
		if (memcmp(in.at + i, what.at, what.len) == 0)
			return in.at + i;
	return NULL;
}

bool s3_xml_next(struct span *rest, const char *name, struct span *content)
{
	char open[NAME_MAX_BYTES], close[NAME_MAX_BYTES];
	const char *begin, *end;
	struct span inner;

	snprintf(open, sizeof(open), "<%s>", name);
	snprintf(close, sizeof(close), "</%s>", name);
	begin = find(*rest, span_of(open));
	if (!begin)
		return false;
	begin += strlen(open);
	inner = (struct span){begin, rest->len - (size_t)(begin - rest->at)};
	end = find(inner, span_of(close));
	if (!end)
		return false;
	*content = (struct span){begin, (size_t)(end - begin)};
	rest->len -= (size_t)(end + strlen(close) - rest->at);
	rest->at = end + strlen(close);
	return true;
}

static size_t write_utf8(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 63));
		out[2] = (char)(0x80 | (code & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 63));
	out[2] = (char)(0x80 | (code >> 6 & 63));
	out[3] = (char)(0x80 | (code & 63));
	return 4;
}

static int digit_of(char c, uint32_t base)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = memchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c, base);

	return at ? (int)(at - digits) : -1;
}

/* "#65" and "#x41". 0: not a character. */
static uint32_t read_reference(struct span name)
{
	bool hex = name.len > 1 && name.at[1] == 'x';
	uint32_t code = 0;

	for (size_t i = hex ? 2 : 1; i < name.len; i++) {
		int digit = digit_of(name.at[i], hex ? 16 : 10);

		if (digit < 0 || code > 0x10ffff)
			return 0;
		code = code * (hex ? 16 : 10) + (uint32_t)digit;
	}
	return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : code;
}

/* The character of an entity, the text between & and ;. 0: unknown. */
static uint32_t read_entity(struct span name)
{
	static const struct {
		const char *name;
		char character;
	} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

	if (name.len > 0 && name.at[0] == '#')
		return read_reference(name);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (span_is(name, known[i].name))
			return (uint32_t)known[i].character;
	return 0;
}

/* Reads one character at *at. 0: a byte that a text cannot have, or an unknown entity. */
static size_t decode_one(const char **at, const char *end, char out[4])
{
	const char *semicolon;
	size_t count;

	out[0] = **at;
	if (**at != '&') {
		(*at)++;
		return out[0] != '\0' && out[0] != '<';
	}
	semicolon = memchr(*at, ';', (size_t)(end - *at));
	if (!semicolon)
		return 0;
	count = write_utf8(read_entity((struct span){*at + 1, (size_t)(semicolon - *at) - 1}), out);
	*at = semicolon + 1;
	return out[0] != '\0' ? count : 0;
}

static bool decode(struct span text, char *out, size_t cap)
{
	const char *at = text.at, *end = text.at + text.len;
	size_t len = 0;

	while (at < end) {
		char bytes[4];
		size_t count = decode_one(&at, end, bytes);

		if (count == 0 || len + count >= cap)
			return false;
		memcpy(out + len, bytes, count);
		len += count;
	}
	out[len] = '\0';
	return cap > 0;
}

bool s3_xml_text(struct span xml, const char *name, char *out, size_t cap)
{
	struct span content;

	return s3_xml_next(&xml, name, &content) && decode(content, out, cap);
}
