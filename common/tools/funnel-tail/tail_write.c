/* Rejected: jansson's objects, which have no decimals. A price of 2.50 would become 2.5, and a sum
 * of revenue a double. The unit tests parse every line with jansson. */
#include "tail_write.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/timetext.h"
#include "base/utf8.h"

static void put(struct tail_write *write, const char *text)
{
	buffer_append(write->out, text, strlen(text));
}

static void begin_value(struct tail_write *write, const char *name)
{
	if (write->separate)
		put(write, write->plain ? " " : ",");
	write->separate = true;
	if (!name)
		return;
	put(write, write->plain ? "" : "\"");
	put(write, name);
	put(write, write->plain ? "=" : "\":");
}

void tail_write_open(struct tail_write *write, const char *name)
{
	begin_value(write, name);
	put(write, "{");
	write->separate = false;
}

void tail_write_close(struct tail_write *write)
{
	put(write, "}");
	write->separate = true;
}

void tail_write_list_open(struct tail_write *write, const char *name)
{
	begin_value(write, name);
	put(write, "[");
	write->separate = false;
}

void tail_write_list_close(struct tail_write *write)
{
	put(write, "]");
	write->separate = true;
}

/* The number of bytes at `at` that need an escape: a quote, a backslash, DEL or a control
 * character. U+0080 to U+009F have two bytes; terminals obey them. */
static size_t escaped_bytes(const char *at, const char *end)
{
	unsigned char byte = (unsigned char)*at;

	if (byte == '"' || byte == '\\' || byte < 0x20 || byte == 0x7f)
		return 1;
	return byte == 0xc2 && end - at > 1 && (unsigned char)at[1] < 0xa0 ? 2 : 0;
}

static void put_escape(struct tail_write *write, const char *at, size_t len)
{
	unsigned char byte = (unsigned char)at[len - 1];
	char escape[8];

	if (byte == '"' || byte == '\\')
		snprintf(escape, sizeof(escape), "\\%c", byte);
	else
		snprintf(escape, sizeof(escape), "\\u%04x", byte);
	put(write, escape);
}

static void put_quoted(struct tail_write *write, struct span text)
{
	const char *at = text.at, *end = at + text.len, *plain = at;

	put(write, "\"");
	while (at < end) {
		size_t len = escaped_bytes(at, end);

		if (len == 0) {
			at++;
			continue;
		}
		buffer_append(write->out, plain, (size_t)(at - plain));
		put_escape(write, at, len);
		plain = at += len;
	}
	buffer_append(write->out, plain, (size_t)(at - plain));
	put(write, "\"");
}

static bool is_bare(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr(" =", text.at[i]) || escaped_bytes(text.at + i, text.at + text.len))
			return false;
	return text.len > 0;
}

static void put_text(struct tail_write *write, struct span text)
{
	if (write->plain && is_bare(text))
		buffer_append(write->out, text.at, text.len);
	else
		put_quoted(write, text);
}

static void put_base64(struct tail_write *write, struct span bytes)
{
	put(write, "\"");
	base64_append(write->out, bytes);
	put(write, "\"");
}

void tail_write_base64(struct tail_write *write, const char *name, struct span bytes)
{
	begin_value(write, name);
	put_base64(write, bytes);
}

void tail_write_null(struct tail_write *write, const char *name)
{
	if (write->plain)
		return;
	begin_value(write, name);
	put(write, "null");
}

void tail_write_text(struct tail_write *write, const char *name, struct span text)
{
	char base64_name[64];

	if (!text.at || !utf8_is_valid(text)) {
		tail_write_null(write, name);
	} else {
		begin_value(write, name);
		put_text(write, text);
	}
	if (!text.at || utf8_is_valid(text))
		return;
	snprintf(base64_name, sizeof(base64_name), "%s_base64", name);
	tail_write_base64(write, base64_name, text);
}

static void put_any(struct tail_write *write, struct span text)
{
	if (utf8_is_valid(text))
		put_text(write, text);
	else
		put_base64(write, text);
}

void tail_write_plain_pair(struct tail_write *write, struct span name, struct span value)
{
	begin_value(write, NULL);
	put_any(write, name);
	put(write, "=");
	if (value.at)
		put_any(write, value);
}

/* In valid JSON a line end can only stand between tokens. DEL and U+0080 to U+009F may stand in a
 * text; they become escapes. */
void tail_write_json(struct tail_write *write, const char *name, struct span json)
{
	const char *end = json.at + json.len;
	size_t len;

	begin_value(write, name);
	for (const char *at = json.at; at < end; at += len) {
		bool is_mark = *at == '"' || *at == '\\';

		len = is_mark ? 0 : escaped_bytes(at, end);
		if (len && (unsigned char)at[len - 1] < 0x20)
			put(write, " ");
		else if (len)
			put_escape(write, at, len);
		else
			buffer_append(write->out, at, len = 1);
	}
}

void tail_write_number(struct tail_write *write, const char *name, int64_t number)
{
	char text[24];

	begin_value(write, name);
	snprintf(text, sizeof(text), "%lld", (long long)number);
	put(write, text);
}

void tail_write_bool(struct tail_write *write, const char *name, bool truth)
{
	begin_value(write, name);
	put(write, truth ? "true" : "false");
}

void tail_write_money(struct tail_write *write, const char *name, int64_t cents)
{
	char text[32];

	begin_value(write, name);
	money_format(cents, text);
	put(write, text);
}

void tail_write_time(struct tail_write *write, const char *name, int64_t time_us)
{
	char text[32];

	time_format_iso(time_us, text);
	tail_write_text(write, name, span_of(text));
}

void tail_write_time_ms(struct tail_write *write, const char *name, int64_t time_ms)
{
	int64_t rest_ms = (time_ms % 1000 + 1000) % 1000;
	char text[32];
	size_t len = time_format_iso((time_ms - rest_ms) * 1000, text);

	snprintf(text + len - 1, sizeof(text) - len + 1, ".%03dZ", (int)rest_ms);
	tail_write_text(write, name, span_of(text));
}
