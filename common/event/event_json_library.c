/* jansson parses all of JSON. The parser keeps the tree of the last value, since the event's texts
 * borrow from it.
 *
 * A value that jansson refuses is malformed_json: a repeated key (in any object), text after the
 * object, nesting beyond its limit of 2048, a NUL in a key, and numbers out of the range of 64-bit
 * integers and doubles, in additional fields too. UTF-8 is checked before, for the complete value.
 * So an invalid byte has the same reason at every position. */
#include "event/event_json_library.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "event/event_fields.h"
#include "event/event_json_fast.h"

struct event_parser {
	json_t *tree; /* of the last value that the library parsed; NULL: none */
};

struct event_parser *event_parser_new(void)
{
	return calloc(1, sizeof(struct event_parser));
}

void event_parser_free(struct event_parser *parser)
{
	if (!parser)
		return;
	json_decref(parser->tree);
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

enum reason event_parse_json_library(struct event_parser *parser, struct span value,
                                     struct event *event, char *detail, size_t detail_cap)
{
	struct event_field fields[EVENT_FIELD_COUNT];
	json_error_t error = {.text = "empty"};
	size_t valid;

	json_decref(parser->tree);
	parser->tree = NULL;
	if (value.len > EVENT_VALUE_MAX) {
		if (detail)
			snprintf(detail, detail_cap, "%zu bytes, expected at most %d", value.len,
			         EVENT_VALUE_MAX);
		return REASON_OVERSIZED;
	}
	valid = utf8_valid_length(value);
	if (valid < value.len) {
		if (detail)
			snprintf(detail, detail_cap, "byte 0x%02x at offset %zu",
			         (unsigned char)value.at[valid], valid);
		return REASON_INVALID_UTF8;
	}
	if (value.len > 0)
		parser->tree = json_loadb(value.at, value.len,
		                          JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!parser->tree)
		return malformed(&error, detail, detail_cap);
	if (!json_is_object(parser->tree)) {
		if (detail)
			snprintf(detail, detail_cap, "found an array, expected an object");
		return REASON_MALFORMED_JSON;
	}
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		field_of_json(json_object_get(parser->tree, event_field_names[i]), &fields[i]);
	return event_validate(fields, event, detail, detail_cap);
}

enum reason event_parse_json(struct event_parser *parser, struct span value, struct event *event,
                             char *detail, size_t detail_cap)
{
	enum reason reason;

	if (detail && detail_cap > 0)
		detail[0] = '\0';
	if (event_parse_json_fast(value, event, &reason))
		return reason;
	return event_parse_json_library(parser, value, event, detail, detail_cap);
}
