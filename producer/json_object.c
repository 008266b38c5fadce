/* Rejected: jansson, which refuses NaN and turns numbers into doubles, and so loses digits of ids.
 * Nested values are only skipped: their brackets and quotes have to match. */
#include "json_object.h"

#include <stdint.h>
#include <string.h>

struct scanner {
	char *at, *end;
	const char *why; /* not NULL: failed */
};

static bool fail(struct scanner *s, const char *why)
{
	s->why = why;
	return false;
}

static void skip_blanks(struct scanner *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

static bool take(struct scanner *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

/* ---- texts */

static bool take_hex(struct scanner *s, uint32_t *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++, s->at++) {
		char c = s->at < s->end ? *s->at : '\0';

		if (c >= '0' && c <= '9')
			*unit = *unit * 16 + (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			*unit = *unit * 16 + (uint32_t)((c | 32) - 'a') + 10;
		else
			return fail(s, "broken JSON: a \\u escape without four digits");
	}
	return true;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 63));
		*out++ = (char)(0x80 | (c & 63));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 63));
		*out++ = (char)(0x80 | (c >> 6 & 63));
		*out++ = (char)(0x80 | (c & 63));
	}
	return out;
}

/* After "\u": one character, of one or two escapes. It takes less room than they do. */
static bool take_unicode(struct scanner *s, char **out)
{
	uint32_t c, low;

	if (!take_hex(s, &c))
		return false;
	if (c >= 0xd800 && c < 0xe000) {
		if (c >= 0xdc00 || !take(s, '\\') || !take(s, 'u') || !take_hex(s, &low) ||
		    low < 0xdc00 || low >= 0xe000)
			return fail(s, "broken JSON: half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*out = put_utf8(*out, c);
	return true;
}

static bool take_escape(struct scanner *s, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = s->at < s->end ? *s->at++ : '\0';
	const char *found = c ? strchr(from, c) : NULL;

	if (c == 'u')
		return take_unicode(s, out);
	if (!found)
		return fail(s, "broken JSON: an escape that JSON does not have");
	*(*out)++ = to[found - from];
	return true;
}

/* After the opening quote. */
static bool take_text(struct scanner *s, struct span *text)
{
	char *start = s->at, *out;

	while (s->at < s->end && *s->at != '"' && *s->at != '\\')
		s->at++;
	out = s->at;
	while (s->at < s->end && *s->at != '"') {
		char c = *s->at++;

		if (c != '\\')
			*out++ = c;
		else if (!take_escape(s, &out))
			return false;
	}
	if (!take(s, '"'))
		return fail(s, "broken JSON: a text without its closing quote");
	*text = (struct span){start, (size_t)(out - start)};
	return true;
}

/* ---- lengths, without a change of the text */

/* After the opening quote. Returns the byte after the closing one, or end. */
static const char *after_text(const char *at, const char *end)
{
	for (; at < end && *at != '"'; at++)
		at += *at == '\\' && at + 1 < end;
	return at < end ? at + 1 : end;
}

/* The length of a value that begins with a bracket or brace. 0: it does not end, or the brackets do
 * not match. */
static size_t nested_length(struct span text)
{
	const char *at = text.at, *end = text.at + text.len;
	char open[JSON_DEPTH_MAX];
	size_t depth = 0;

	while (at < end) {
		char c = *at++;

		if (c == '"') {
			at = after_text(at, end);
			if (at == end && (at - text.at < 2 || at[-1] != '"'))
				return 0;
		} else if (c == '{' || c == '[') {
			if (depth == JSON_DEPTH_MAX)
				return 0;
			open[depth++] = c;
		} else if (c == '}' || c == ']') {
			if (open[--depth] != (c == '}' ? '{' : '['))
				return 0;
			if (depth == 0)
				return (size_t)(at - text.at);
		}
	}
	return 0;
}

size_t json_object_length(struct span text)
{
	return text.len > 0 && text.at[0] == '{' ? nested_length(text) : 0;
}

/* ---- values */

static bool is_word_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '+' || c == '-' || c == '.';
}

static bool take_word(struct scanner *s, struct json_member *member)
{
	const char *start = s->at;

	while (s->at < s->end && is_word_byte(*s->at))
		s->at++;
	member->value = (struct span){start, (size_t)(s->at - start)};
	if (span_is(member->value, "null") || span_is(member->value, "NaN"))
		member->kind = JSON_MISSING;
	else if (span_is(member->value, "true") || span_is(member->value, "false"))
		member->kind = JSON_NESTED;
	else if (span_is(member->value, "Infinity") || span_is(member->value, "-Infinity") ||
	         (member->value.len > 0 && (*start == '-' || (*start >= '0' && *start <= '9'))))
		member->kind = JSON_NUMBER;
	else
		return fail(s, "broken JSON: a value that JSON does not have");
	return true;
}

static bool take_value(struct scanner *s, struct json_member *member)
{
	if (take(s, '"')) {
		member->kind = JSON_TEXT;
		return take_text(s, &member->value);
	}
	if (s->at < s->end && (*s->at == '{' || *s->at == '[')) {
		size_t len = nested_length((struct span){s->at, (size_t)(s->end - s->at)});

		member->kind = JSON_NESTED;
		member->value = (struct span){s->at, len};
		s->at += len;
		return len > 0 || fail(s, "broken JSON: a bracket that is not closed");
	}
	return take_word(s, member);
}

static bool take_member(struct scanner *s, struct json_object *object)
{
	struct json_member *member = &object->members[object->count];

	if (object->count == JSON_MEMBERS_MAX)
		return fail(s, "the object has more than 200 members");
	skip_blanks(s);
	if (!take(s, '"'))
		return fail(s, "broken JSON: a name was expected");
	if (!take_text(s, &member->name))
		return false;
	if (memchr(member->name.at, '\0', member->name.len))
		return fail(s, "a name has a NUL character");
	skip_blanks(s);
	if (!take(s, ':'))
		return fail(s, "broken JSON: a colon was expected");
	skip_blanks(s);
	if (!take_value(s, member))
		return false;
	object->count++;
	skip_blanks(s);
	return true;
}

const char *json_object_read(struct json_object *object, char *text, size_t len)
{
	struct scanner s = {text, text + len, NULL};

	object->count = 0;
	skip_blanks(&s);
	if (!take(&s, '{'))
		return "not a JSON object";
	skip_blanks(&s);
	if (!take(&s, '}')) {
		do {
			if (!take_member(&s, object))
				return s.why;
		} while (take(&s, ','));
		if (!take(&s, '}'))
			return "broken JSON: a comma or the end was expected";
	}
	skip_blanks(&s);
	return s.at == s.end ? NULL : "broken JSON: more text after the object";
}
