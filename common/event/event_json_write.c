/* The producer does not repair the source. A wrong value must reach bronze-sink, which refuses it
 * with its reason. So
 *  - a number becomes a literal only if every reader gets its exact value (an integer of 64 bits, a
 *    short real with an exponent of at most two digits). Otherwise it is a JSON text: another
 *    literal would make the complete object malformed_json instead of, for example,
 *    invalid_product_id;
 *  - bytes above 0x7f are not changed, so that invalid UTF-8 arrives as invalid_utf8. */
#include "event/event_json_write.h"

#include <stdint.h>

#include "event/event_fields.h"

#define LITERAL_MAX 64

struct writer {
	char *at, *end;
	bool full;
};

static const struct {
	const char *text; /* before the field's value: comma, name and colon */
	size_t len;
	enum event_field_form form;
} prefixes[EVENT_FIELD_COUNT] = {
#define EVENT_FIELD_PREFIX(id, name, form) {",\"" name "\":", sizeof(",\"" name "\":") - 1, form},
	EVENT_FIELD_TABLE(EVENT_FIELD_PREFIX)
#undef EVENT_FIELD_PREFIX
};

static inline void put(struct writer *w, const char *at, size_t len)
{
	if ((size_t)(w->end - w->at) < len) {
		w->full = true;
		return;
	}
	memcpy(w->at, at, len);
	w->at += len;
}

static size_t digits_at(struct span text, size_t from)
{
	size_t i = from;

	while (i < text.len && text.at[i] >= '0' && text.at[i] <= '9')
		i++;
	return i - from;
}

static bool integer_fits(struct span digits)
{
	return digits.len < 19 ||
	       (digits.len == 19 && memcmp(digits.at, "9223372036854775807", 19) <= 0);
}

/* -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]{1,2})?, or an integer only */
static bool is_literal(struct span text, enum event_field_form form)
{
	size_t i = text.len > 0 && text.at[0] == '-', integer, part;

	if (form == WRITE_TEXT || text.len > LITERAL_MAX)
		return false;
	integer = digits_at(text, i);
	if (integer == 0 || (text.at[i] == '0' && integer > 1))
		return false;
	i += integer;
	if (i == text.len)
		return integer_fits((struct span){text.at + i - integer, integer});
	if (form == WRITE_INTEGER)
		return false;
	if (text.at[i] == '.') {
		part = digits_at(text, i + 1);
		i += 1 + part;
		if (part == 0)
			return false;
	}
	if (i < text.len && (text.at[i] == 'e' || text.at[i] == 'E')) {
		i++;
		if (i < text.len && (text.at[i] == '+' || text.at[i] == '-'))
			i++;
		part = digits_at(text, i);
		i += part;
		if (part < 1 || part > 2)
			return false;
	}
	return i == text.len;
}

static inline bool needs_escape(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* A byte has its high bit set in this if it is zero; a byte after a zero one may have it too. */
static inline uint64_t zero_bytes(uint64_t bytes)
{
	return (bytes - EACH_BYTE(1)) & ~bytes;
}

/* The length of the front of the text, in steps of 8, that surely has no byte to escape. */
static size_t clean_front(struct span text)
{
	size_t i = 0;
	uint64_t bytes;

	for (; i + sizeof(bytes) <= text.len; i += sizeof(bytes)) {
		memcpy(&bytes, text.at + i, sizeof(bytes));
		if (((zero_bytes(bytes ^ EACH_BYTE('"')) | zero_bytes(bytes ^ EACH_BYTE('\\')) |
		      ((bytes - EACH_BYTE(0x20)) & ~bytes)) &
		     EACH_BYTE(0x80)) != 0)
			break;
	}
	return i;
}

static void put_escaped(struct writer *w, char c)
{
	static const char hex[] = "0123456789abcdef";
	char escape[6] = {'\\', 'u', '0', '0', hex[(unsigned char)c >> 4], hex[c & 15]};

	if (c == '"' || c == '\\') {
		escape[1] = c;
		put(w, escape, 2);
		return;
	}
	put(w, escape, 6);
}

static void put_text(struct writer *w, struct span text)
{
	size_t start = 0;

	put(w, "\"", 1);
	for (size_t i = clean_front(text); i < text.len; i++) {
		if (!needs_escape(text.at[i]))
			continue;
		put(w, text.at + start, i - start);
		put_escaped(w, text.at[i]);
		start = i + 1;
	}
	put(w, text.at + start, text.len - start);
	put(w, "\"", 1);
}

static inline void put_value(struct writer *w, struct span value, enum event_field_form form)
{
	if (value.len == 0)
		put(w, "null", 4);
	else if (is_literal(value, form))
		put(w, value.at, value.len);
	else
		put_text(w, value);
}

size_t event_write_json_extras(const struct span fields[EVENT_FIELD_COUNT],
                               const struct row_extra *extras, size_t extra_count, char *out,
                               size_t cap)
{
	struct writer w = {out, out + cap, false};

	put(&w, "{", 1);
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
		size_t no_comma = i == 0;

		put(&w, prefixes[i].text + no_comma, prefixes[i].len - no_comma);
		put_value(&w, fields[i], prefixes[i].form);
	}
	for (size_t i = 0; i < extra_count; i++) {
		put(&w, ",", 1);
		put_text(&w, extras[i].name);
		put(&w, ":", 1);
		put_value(&w, extras[i].value, extras[i].text ? WRITE_TEXT : WRITE_NUMBER);
	}
	put(&w, "}", 1);
	return w.full ? 0 : (size_t)(w.at - out);
}

size_t event_write_json(const struct span fields[EVENT_FIELD_COUNT], char *out, size_t cap)
{
	return event_write_json_extras(fields, NULL, 0, out, cap);
}
