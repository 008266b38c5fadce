/* jansson parses all of JSON. The parser keeps the tree of the last value, since the event's texts
 * borrow from it.
 *
 * A value that jansson refuses is malformed_json: a repeated key (in any object), text after the
 * object, nesting beyond its limit of 2048, a NUL in a key, and numbers out of the range of 64-bit
 * integers and doubles, in additional fields too. UTF-8 is checked before, for the complete value.
 * So an invalid byte has the same reason at every position.
 *
 * Python writes missing numbers as NaN, which is not JSON. So a value that is refused is parsed
 * again, with null instead of NaN and Infinity. */
#include "event/event_json_library.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "event/event_fields.h"
#include "event/event_json_fast.h"

struct event_parser {
	struct event_rules rules;
	json_t *tree;            /* of the last value that the library parsed; NULL: none */
	struct buffer rewritten; /* a value whose NaN became null */
};

struct event_parser *event_parser_new(const struct event_rules *rules)
{
	struct event_parser *parser = calloc(1, sizeof(*parser));

	if (!parser)
		return NULL;
	if (rules)
		parser->rules = *rules;
	else
		event_rules_default(&parser->rules);
	return parser;
}

const struct event_rules *event_parser_rules(const struct event_parser *parser)
{
	return &parser->rules;
}

void event_parser_free(struct event_parser *parser)
{
	if (!parser)
		return;
	json_decref(parser->tree);
	buffer_free(&parser->rewritten);
	free(parser);
}

static void field_of_json(const json_t *value, struct event_field *field)
{
	*field = (struct event_field){.kind = FIELD_MISSING};
	if (!value)
		return;
	switch (json_typeof(value)) {
	case JSON_NULL: break;
	case JSON_STRING:
		field->text = (struct span){json_string_value(value), json_string_length(value)};
		if (field->text.len > 0)
			field->kind = FIELD_TEXT;
		break;
	case JSON_INTEGER:
		field->kind = FIELD_INTEGER;
		field->integer = json_integer_value(value);
		break;
	case JSON_REAL:
		field->kind = FIELD_REAL;
		field->real = json_real_value(value);
		break;
	default: field->kind = FIELD_OTHER; break;
	}
}

/* jansson's message quotes the text near the fault, in any length. Only the part before it is
 * kept. */
static enum reason malformed(const json_error_t *error, char *detail, size_t detail_cap)
{
	const char *near = strstr(error->text, " near ");
	int len = (int)(near ? (size_t)(near - error->text) : strlen(error->text));

	if (detail)
		snprintf(detail, detail_cap, "at byte %d: %.*s", error->position, len, error->text);
	return REASON_MALFORMED_JSON;
}

/* The length of a bare NaN, Infinity or -Infinity at the front of the text; 0: none. */
static size_t not_a_number(struct span text)
{
	static const struct span words[] = {{"NaN", 3}, {"Infinity", 8}, {"-Infinity", 9}};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (text.len >= words[i].len && memcmp(text.at, words[i].at, words[i].len) == 0)
			return words[i].len;
	return 0;
}

/* Copies the value, until the copy has `limit` bytes. Outside of texts, NaN, Infinity and -Infinity
 * become null. Returns the bytes read. */
static size_t copy_with_null(struct span value, size_t limit, struct buffer *copy)
{
	bool in_text = false;
	size_t i = 0;

	copy->len = 0;
	buffer_reserve(copy, value.len + value.len / 3 + 4); /* NaN grows by a third */
	while (i < value.len && copy->len < limit) {
		char c = value.at[i];
		size_t word = in_text || (c != 'N' && c != 'I' && c != '-')
		                      ? 0
		                      : not_a_number((struct span){value.at + i, value.len - i});

		if (word > 0) {
			buffer_append(copy, "null", 4);
			i += word;
			continue;
		}
		copy->at[copy->len++] = c;
		i++;
		if (c == '"')
			in_text = !in_text;
		else if (in_text && c == '\\' && i < value.len)
			copy->at[copy->len++] = value.at[i++];
	}
	return i;
}

/* NULL: *error says why, at a position in the value. */
static json_t *tree_of(struct event_parser *parser, struct span value, json_error_t *error)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	json_t *tree = json_loadb(value.at, value.len, flags, error);
	struct buffer *copy = &parser->rewritten;

	if (tree)
		return tree;
	copy_with_null(value, SIZE_MAX, copy);
	if (copy->len == value.len && memcmp(copy->at, value.at, value.len) == 0)
		return NULL;
	tree = json_loadb(copy->at, copy->len, flags, error);
	if (!tree && error->position > 0)
		error->position = (int)copy_with_null(value, (size_t)error->position, copy);
	return tree;
}

/* Whether the bytes may be parsed. */
static enum reason check_value(struct span value, char *detail, size_t detail_cap)
{
	size_t valid;

	if (value.len > EVENT_VALUE_MAX) {
		if (detail)
			snprintf(detail, detail_cap, "%zu bytes, expected at most %d", value.len,
			         EVENT_VALUE_MAX);
		return REASON_OVERSIZED;
	}
	valid = utf8_valid_length(value);
	if (valid == value.len)
		return REASON_NONE;
	if (detail)
		snprintf(detail, detail_cap, "byte 0x%02x at offset %zu",
		         (unsigned char)value.at[valid], valid);
	return REASON_INVALID_UTF8;
}

enum reason event_parse_json_library(struct event_parser *parser, struct span value,
                                     struct event *event, char *detail, size_t detail_cap)
{
	struct event_field fields[EVENT_FIELD_COUNT];
	json_error_t error = {.text = "empty"};
	enum reason reason = check_value(value, detail, detail_cap);

	json_decref(parser->tree);
	parser->tree = NULL;
	if (reason != REASON_NONE)
		return reason;
	if (value.len > 0)
		parser->tree = tree_of(parser, value, &error);
	if (!parser->tree)
		return malformed(&error, detail, detail_cap);
	if (!json_is_object(parser->tree)) {
		if (detail)
			snprintf(detail, detail_cap, "found an array, expected an object");
		return REASON_MALFORMED_JSON;
	}
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		field_of_json(json_object_get(parser->tree, event_field_names[i]), &fields[i]);
	return event_validate(fields, &parser->rules, event, detail, detail_cap);
}

enum reason event_parse_json(struct event_parser *parser, struct span value, struct event *event,
                             char *detail, size_t detail_cap)
{
	enum reason reason;

	if (detail && detail_cap > 0)
		detail[0] = '\0';
	if (event_parse_json_fast(value, &parser->rules, event, &reason))
		return reason;
	return event_parse_json_library(parser, value, event, detail, detail_cap);
}
