/* One flat JSON object as names and values. Pure. */
#ifndef FUNNEL_JSON_OBJECT_H
#define FUNNEL_JSON_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#define JSON_MEMBERS_MAX 200
#define JSON_DEPTH_MAX   64

enum json_kind {
	JSON_MISSING, /* null, NaN */
	JSON_TEXT,    /* decoded */
	JSON_NUMBER,  /* as it is written */
	JSON_NESTED   /* an object or an array, or true or false, as it is written */
};

struct json_member {
	struct span name, value;
	enum json_kind kind;
};

struct json_object {
	size_t count;
	struct json_member members[JSON_MEMBERS_MAX];
};

/* Reads an object; the text has nothing else except blanks around it. Decodes texts in place, so
 * text changes, and spans borrow from it. Returns NULL, or why it is not an object. */
const char *json_object_read(struct json_object *object, char *text, size_t len);

/* The length of the object that begins with text, by its braces. 0: it does not end. */
size_t json_object_length(struct span text);

#endif
