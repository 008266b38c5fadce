/* An event id is the MD5 of a text, in the form of a UUID. SQL can compute the same id with
 * PostgreSQL's md5(). The id identifies an event; it does not protect against forgery. */
#include "event/event_id.h"

#include <md5.h>
#include <stdio.h>

#include "base/timetext.h"

static size_t put_integer(char *out, int64_t value)
{
	char digits[20];
	size_t count = 0, len = 0;
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		out[len++] = '-';
	while (count > 0)
		out[len++] = digits[--count];
	return len;
}

static void md5_of(struct span head, const char *tail, size_t tail_len, uint8_t id[EVENT_ID_BYTES])
{
	MD5_CTX context;

	MD5Init(&context);
	if (head.len > 0)
		MD5Update(&context, (const uint8_t *)head.at, head.len);
	MD5Update(&context, (const uint8_t *)tail, tail_len);
	MD5Final(id, &context);
}

void event_id_content(const struct event *event, uint8_t id[EVENT_ID_BYTES])
{
	/* |user_id|product_id|event_type|event_time: 4 bars, 20 + 20 digits, 16 letters and 31
	 * characters of time. */
	char tail[128], *p = tail;
	const char *type = event_type_name(event->type);
	size_t type_len = strlen(type);

	*p++ = '|';
	p += put_integer(p, event->user_id);
	*p++ = '|';
	p += put_integer(p, event->product_id);
	*p++ = '|';
	memcpy(p, type, type_len);
	p += type_len;
	*p++ = '|';
	p += time_format_plain(event->event_time_us, p);
	md5_of(event->user_session, tail, (size_t)(p - tail), id);
}

void event_id_source(const struct lineage *lineage, uint8_t id[EVENT_ID_BYTES])
{
	char tail[24];

	tail[0] = '|';
	md5_of(lineage->source_file, tail, 1 + put_integer(tail + 1, lineage->source_row), id);
}

static bool dash_before(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void event_id_format(const uint8_t id[EVENT_ID_BYTES], char text[37])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < EVENT_ID_BYTES; i++) {
		if (dash_before(i))
			*text++ = '-';
		*text++ = hex[id[i] >> 4];
		*text++ = hex[id[i] & 15];
	}
	*text = '\0';
}

/* The value of a hexadecimal digit plus 1; 0: not a digit. */
static const uint8_t hex_digits[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool event_id_parse(struct span text, uint8_t id[EVENT_ID_BYTES])
{
	const char *p = text.at;

	if (text.len != 36)
		return false;
	for (size_t i = 0; i < EVENT_ID_BYTES; i++) {
		uint8_t high, low;

		if (dash_before(i) && *p++ != '-')
			return false;
		high = hex_digits[(unsigned char)p[0]];
		low = hex_digits[(unsigned char)p[1]];
		if (high == 0 || low == 0)
			return false;
		id[i] = (uint8_t)((high - 1) << 4 | (low - 1));
		p += 2;
	}
	return true;
}
