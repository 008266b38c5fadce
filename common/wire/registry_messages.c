/* Requests and answers of Confluent's REST interface, read and written by jansson. A service sends
 * a few requests per start, so the code is strict rather than fast. */
#include "wire/registry_messages.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static int append(const char *bytes, size_t len, void *out)
{
	buffer_append(out, bytes, len);
	return 0;
}

void registry_register_body(const struct schema_text *schema, struct buffer *out)
{
	json_t *body = json_object();

	json_object_set_new(body, "schema", json_string(schema->text));
	if (schema->is_json_schema)
		json_object_set_new(body, "schemaType", json_string("JSON"));
	json_dump_callback(body, append, out, JSON_COMPACT);
	json_decref(body);
}

static json_t *read_object(struct span body)
{
	json_t *json = body.at ? json_loadb(body.at, body.len, 0, NULL) : NULL;

	if (json && !json_is_object(json)) {
		json_decref(json);
		json = NULL;
	}
	return json;
}

bool registry_read_id(struct span body, int32_t *id, struct err *err)
{
	json_t *json = read_object(body);
	json_int_t value = json_integer_value(json_object_get(json, "id"));

	json_decref(json);
	if (value < 1 || value > INT32_MAX)
		return err_set(err, ERR_RETRY,
		               "invalid answer of the registry: expected a positive integer as id");
	*id = (int32_t)value;
	return true;
}

bool registry_read_schema(struct span body, struct buffer *out, bool *is_json_schema,
                          struct err *err)
{
	json_t *json = read_object(body), *text = json_object_get(json, "schema");
	const char *type = json_string_value(json_object_get(json, "schemaType"));
	bool ok = json_is_string(text);

	if (ok) {
		*is_json_schema = type && strcmp(type, "JSON") == 0;
		out->len = 0;
		buffer_append(out, json_string_value(text), json_string_length(text));
	} else {
		err_set(err, ERR_RETRY,
		        "invalid answer of the registry: expected a text as schema");
	}
	json_decref(json);
	return ok;
}

bool registry_read_versions(struct span body, int32_t *versions, size_t cap, size_t *count,
                            struct err *err)
{
	json_t *json = body.at ? json_loadb(body.at, body.len, 0, NULL) : NULL;
	size_t given = json_array_size(json), first = given > cap ? given - cap : 0;
	bool ok = json_is_array(json);

	*count = 0;
	for (size_t i = first; i < given && ok; i++) {
		json_int_t version = json_integer_value(json_array_get(json, i));

		ok = version >= 1 && version <= INT32_MAX;
		versions[(*count)++] = ok ? (int32_t)version : 0;
	}
	json_decref(json);
	return ok || err_set(err, ERR_RETRY,
	                     "invalid answer of the registry: expected a list of versions");
}

bool registry_level_checks_backward(struct span body)
{
	static const char *const levels[] = {"BACKWARD", "BACKWARD_TRANSITIVE", "FULL",
	                                     "FULL_TRANSITIVE"};
	json_t *json = read_object(body);
	const char *level = json_string_value(json_object_get(json, "compatibilityLevel"));
	bool checks = false;

	for (size_t i = 0; level && i < sizeof(levels) / sizeof(levels[0]); i++)
		checks = checks || strcmp(level, levels[i]) == 0;
	json_decref(json);
	return checks;
}

bool json_schema_title_is(struct span text, const char *title)
{
	json_t *json = read_object(text);
	const char *found = json_string_value(json_object_get(json, "title"));
	bool same = found && strcmp(found, title) == 0;

	json_decref(json);
	return same;
}

/* Copies text as one line of printable ASCII: line breaks and tabs become blanks, other bytes
 * '?'. */
static void copy_line(struct span text, char *out, size_t cap)
{
	size_t len = text.len < cap - 1 ? text.len : cap - 1;

	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text.at[i];
		if (byte == '\n' || byte == '\r' || byte == '\t')
			out[i] = ' ';
		else
			out[i] = byte >= ' ' && byte <= '~' ? text.at[i] : '?';
	}
	out[len] = '\0';
}

static void copy_message(json_t *json, struct span body, char *out, size_t cap)
{
	static const char *const names[] = {"reason", "message", "detail"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *text = json_object_get(json, names[i]);
		if (json_string_length(text) > 0) {
			copy_line((struct span){json_string_value(text), json_string_length(text)},
			          out, cap);
			return;
		}
	}
	copy_line(body, out, cap);
}

static enum registry_failure classify(long status, json_int_t code)
{
	if (status == 404 && code >= 40401 && code <= 40409)
		return REGISTRY_FAILURE_UNKNOWN;
	if (status == 404 || status == 408 || status == 429 || status >= 500 || status < 400)
		return REGISTRY_FAILURE_RETRY;
	if (status == 409)
		return REGISTRY_FAILURE_INCOMPATIBLE;
	return REGISTRY_FAILURE_REFUSED;
}

enum registry_failure registry_read_failure(long status, struct span body, char *message,
                                            size_t cap)
{
	json_t *json = read_object(body);
	enum registry_failure failure =
		classify(status, json_integer_value(json_object_get(json, "error_code")));

	if (message && cap > 0)
		copy_message(json, body, message, cap);
	json_decref(json);
	return failure;
}
