/* Schema resolution, from bytes to bytes.
 *
 * The Avro library parses the schemas. One walk over the body with the writer's schema finds the
 * bytes of each of the writer's fields. Then our fields are written in our order: each is copied
 * from the writer's field of that name, or from its default if the writer does not have the field.
 * Only the growth of the output allocates.
 *
 * Rejected: the library's own resolvers. They do not support defaults ("Reader field X doesn't
 * appear in writer"). The library's decoders allocate any length that the bytes announce, and leak
 * when a decode fails.
 *
 * Resolved as in the specification: int to long, string to bytes and back, enums by symbol, unions
 * by branch, maps. Other fields of the writer are skipped, of any type. In addition, a decimal with
 * another scale and a time with another unit are refused, as their numbers would change.
 *
 * Limits: our records do not have records, arrays, fixed or floating point as fields, so these are
 * skipped but not resolved. Aliases are not supported. Depth (32) and number of steps are bounded
 * against hostile bytes: an array of 2^60 nulls has no bytes. */
#include "wire/avro_resolver.h"

#include <avro.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/avro_io.h"

#define WALK_DEPTH_MAX   32
#define WALK_SPARE_STEPS 4096 /* per body, for values without bytes */

struct field_plan {
	avro_schema_t reader, writer; /* writer: NULL if the default is used */
	size_t source;                /* index of the writer's field */
	size_t default_at, default_len;
};

struct schema_resolver {
	avro_schema_t writer, reader;
	struct span *found; /* per field of the writer: its bytes in the current body */
	size_t found_count;
	struct field_plan *plan; /* per field of our schema */
	size_t plan_count;
	struct buffer defaults; /* encoded */
	bool identity;
};

struct walk {
	struct avro_in in;
	int64_t steps_left;
	int depth;
};

static avro_schema_t target_of(avro_schema_t schema)
{
	return is_avro_link(schema) ? avro_schema_link_target(schema) : schema;
}

/* ---- the walk over a writer's bytes ---- */

static void skip_value(struct walk *walk, avro_schema_t schema);

static struct span take_bytes(struct walk *walk)
{
	return avro_take_text(&walk->in, (size_t)(walk->in.end - walk->in.at),
	                      "length beyond the end");
}

static void skip_bytes(struct walk *walk, int64_t count)
{
	if (count < 0 || count > walk->in.end - walk->in.at)
		avro_fail(&walk->in, "value beyond the end");
	else
		walk->in.at += count;
}

/* The number of items in the next block; 0: the end. */
static int64_t take_block(struct walk *walk)
{
	int64_t count = avro_take_long(&walk->in, -INT32_MAX, INT32_MAX, "block count");

	if (count >= 0)
		return count;
	avro_take_count(&walk->in, "block size");
	return walk->in.why ? 0 : -count;
}

static void skip_blocks(struct walk *walk, avro_schema_t items, bool with_keys)
{
	int64_t count;

	while ((count = take_block(walk)) != 0) {
		for (; count > 0 && !walk->in.why; count--) {
			if (with_keys)
				take_bytes(walk);
			skip_value(walk, items);
		}
	}
}

static void skip_record(struct walk *walk, avro_schema_t record)
{
	size_t count = avro_schema_record_size(record);

	for (size_t i = 0; i < count && !walk->in.why; i++)
		skip_value(walk, avro_schema_record_field_get_by_index(record, (int)i));
}

static avro_schema_t take_branch(struct walk *walk, avro_schema_t schema)
{
	int64_t last = (int64_t)avro_schema_union_size(schema) - 1;

	return avro_schema_union_branch(schema,
	                                (int)avro_take_long(&walk->in, 0, last, "union branch"));
}

static void skip_value(struct walk *walk, avro_schema_t schema)
{
	if (walk->in.why)
		return;
	if (walk->depth == WALK_DEPTH_MAX || walk->steps_left-- <= 0) {
		avro_fail(&walk->in, "nested too deep or too many values");
		return;
	}
	walk->depth++;
	schema = target_of(schema);
	switch (avro_typeof(schema)) {
	case AVRO_NULL: break;
	case AVRO_BOOLEAN: avro_take_bool(&walk->in, "boolean"); break;
	case AVRO_INT32: avro_take_long(&walk->in, INT32_MIN, INT32_MAX, "int"); break;
	case AVRO_INT64: avro_take_long(&walk->in, INT64_MIN, INT64_MAX, "long"); break;
	case AVRO_FLOAT: skip_bytes(walk, 4); break;
	case AVRO_DOUBLE: skip_bytes(walk, 8); break;
	case AVRO_BYTES:
	case AVRO_STRING: take_bytes(walk); break;
	case AVRO_FIXED: skip_bytes(walk, avro_schema_fixed_size(schema)); break;
	case AVRO_ENUM:
		avro_take_long(&walk->in, 0, avro_schema_enum_number_of_symbols(schema) - 1,
		               "enum");
		break;
	case AVRO_ARRAY: skip_blocks(walk, avro_schema_array_items(schema), false); break;
	case AVRO_MAP: skip_blocks(walk, avro_schema_map_values(schema), true); break;
	case AVRO_UNION: skip_value(walk, take_branch(walk, schema)); break;
	case AVRO_RECORD: skip_record(walk, schema); break;
	default: avro_fail(&walk->in, "unknown type");
	}
	walk->depth--;
}

/* ---- which types resolve ---- */

static bool is_text(avro_schema_t schema)
{
	return is_avro_string(schema) || is_avro_bytes(schema);
}

static bool resolves(avro_schema_t writer, avro_schema_t reader);

static bool branch_resolves(avro_schema_t writer, avro_schema_t reader, bool writer_is_union)
{
	avro_schema_t choice = writer_is_union ? writer : reader;

	for (size_t i = 0; i < avro_schema_union_size(choice); i++) {
		avro_schema_t branch = avro_schema_union_branch(choice, (int)i);
		if (writer_is_union ? resolves(branch, reader) : resolves(writer, branch))
			return true;
	}
	return false;
}

/* Some values of the writer's type have a form under ours. */
static bool resolves(avro_schema_t writer, avro_schema_t reader)
{
	writer = target_of(writer);
	reader = target_of(reader);
	if (is_avro_union(writer))
		return branch_resolves(writer, reader, true);
	if (is_avro_union(reader))
		return branch_resolves(writer, reader, false);
	if (is_text(writer))
		return is_text(reader);
	if (is_avro_int32(writer))
		return is_avro_int32(reader) || is_avro_int64(reader);
	if (avro_typeof(writer) != avro_typeof(reader))
		return false;
	if (is_avro_enum(writer))
		return strcmp(avro_schema_name(writer), avro_schema_name(reader)) == 0;
	if (is_avro_map(writer))
		return resolves(avro_schema_map_values(writer), avro_schema_map_values(reader));
	return is_avro_null(writer) || is_avro_boolean(writer) || is_avro_int64(writer);
}

/* Our branch for a writer's value: one of the same type, else the first that it resolves to. -1:
 * none. */
static int choose_branch(avro_schema_t writer, avro_schema_t reader)
{
	int count = (int)avro_schema_union_size(reader), first = -1;

	for (int i = count - 1; i >= 0; i--)
		if (resolves(writer, avro_schema_union_branch(reader, i)))
			first = i;
	for (int i = 0; i < count && first >= 0; i++)
		if (avro_typeof(avro_schema_union_branch(reader, i)) == avro_typeof(writer) &&
		    resolves(writer, avro_schema_union_branch(reader, i)))
			return i;
	return first;
}

/* ---- the copy of one value ---- */

static void put_long(struct buffer *out, int64_t value)
{
	buffer_reserve(out, AVRO_LONG_MAX_BYTES);
	out->len = (size_t)(avro_put_long(out->at + out->len, value) - out->at);
}

static void put_text(struct buffer *out, struct span text)
{
	put_long(out, (int64_t)text.len);
	buffer_append(out, text.at, text.len);
}

static void copy_enum(struct walk *walk, avro_schema_t writer, avro_schema_t reader,
                      struct buffer *out)
{
	int64_t last = avro_schema_enum_number_of_symbols(writer) - 1;
	const char *symbol =
		avro_schema_enum_get(writer, (int)avro_take_long(&walk->in, 0, last, "enum"));
	int index = symbol ? avro_schema_enum_get_by_name(reader, symbol) : -1;

	if (index < 0)
		avro_fail(&walk->in, "enum symbol unknown to the reader");
	else
		put_long(out, index);
}

static void copy_value(struct walk *walk, avro_schema_t writer, avro_schema_t reader,
                       struct buffer *out);

static void copy_map(struct walk *walk, avro_schema_t writer, avro_schema_t reader,
                     struct buffer *out)
{
	int64_t count;

	while ((count = take_block(walk)) != 0) {
		put_long(out, count);
		for (; count > 0 && !walk->in.why; count--) {
			put_text(out, take_bytes(walk));
			copy_value(walk, avro_schema_map_values(writer),
			           avro_schema_map_values(reader), out);
		}
	}
	put_long(out, 0);
}

static void copy_plain(struct walk *walk, avro_schema_t writer, avro_schema_t reader,
                       struct buffer *out)
{
	switch (avro_typeof(writer)) {
	case AVRO_NULL: break;
	case AVRO_BOOLEAN:
		/* the long -1 is the byte 1 */
		put_long(out, avro_take_bool(&walk->in, "boolean") ? -1 : 0);
		break;
	case AVRO_INT32:
		put_long(out, avro_take_long(&walk->in, INT32_MIN, INT32_MAX, "int"));
		break;
	case AVRO_INT64:
		put_long(out, avro_take_long(&walk->in, INT64_MIN, INT64_MAX, "long"));
		break;
	case AVRO_BYTES:
	case AVRO_STRING: put_text(out, take_bytes(walk)); break;
	case AVRO_ENUM: copy_enum(walk, writer, reader, out); break;
	case AVRO_MAP: copy_map(walk, writer, reader, out); break;
	default: avro_fail(&walk->in, "type unknown to the reader");
	}
}

/* find_fields has checked the body. So only a branch or symbol that our schema lacks can fail
 * here. */
static void copy_value(struct walk *walk, avro_schema_t writer, avro_schema_t reader,
                       struct buffer *out)
{
	int branch;

	writer = target_of(writer);
	if (is_avro_union(writer))
		writer = target_of(take_branch(walk, writer));
	reader = target_of(reader);
	if (walk->in.why)
		return;
	if (is_avro_union(reader)) {
		branch = choose_branch(writer, reader);
		if (branch < 0) {
			avro_fail(&walk->in, "union branch unknown to the reader");
			return;
		}
		put_long(out, branch);
		reader = target_of(avro_schema_union_branch(reader, branch));
	}
	if (resolves(writer, reader))
		copy_plain(walk, writer, reader, out);
	else
		avro_fail(&walk->in, "union branch unknown to the reader");
}

/* ---- making a resolver ---- */

/* The object with a type's logicalType; of a union, of its first such branch. NULL: none. */
static json_t *logical_of(json_t *type)
{
	json_t *branch;
	size_t i;

	if (json_is_object(type))
		return json_object_get(type, "logicalType")
		               ? type
		               : logical_of(json_object_get(type, "type"));
	json_array_foreach(type, i, branch) if (logical_of(branch)) return logical_of(branch);
	return NULL;
}

/* A writer's type without a logicalType fits every one of ours. */
static bool logical_fits(json_t *writer_type, json_t *reader_type)
{
	json_t *writer = logical_of(writer_type), *reader = logical_of(reader_type);

	if (!writer || !reader)
		return true;
	return json_equal(json_object_get(writer, "logicalType"),
	                  json_object_get(reader, "logicalType")) &&
	       json_integer_value(json_object_get(writer, "scale")) ==
	               json_integer_value(json_object_get(reader, "scale"));
}

static json_t *json_field(json_t *record, const char *name)
{
	json_t *field;
	size_t i;

	json_array_foreach(json_object_get(record, "fields"), i, field)
	{
		const char *other = json_string_value(json_object_get(field, "name"));
		if (other && strcmp(other, name) == 0)
			return field;
	}
	return NULL;
}

/* Encodes a default of one of the types that our schemas use; false: of another type. */
static bool put_default(struct buffer *out, avro_schema_t reader, json_t *value)
{
	if (is_avro_union(reader)) {
		put_long(out, 0); /* a default belongs to the first branch */
		return put_default(out, avro_schema_union_branch(reader, 0), value);
	}
	if (is_avro_null(reader) && json_is_null(value))
		return true;
	if (is_avro_boolean(reader) && json_is_boolean(value))
		put_long(out, json_is_true(value) ? -1 : 0);
	else if ((is_avro_int32(reader) || is_avro_int64(reader)) && json_is_integer(value))
		put_long(out, json_integer_value(value));
	else if (is_avro_map(reader) && json_is_object(value) && json_object_size(value) == 0)
		put_long(out, 0);
	else if (is_avro_string(reader) && json_is_string(value))
		put_text(out, (struct span){json_string_value(value), json_string_length(value)});
	else
		return false;
	return true;
}

static bool plan_field(struct schema_resolver *resolver, size_t index, json_t *writer_json,
                       json_t *reader_json, struct err *err)
{
	struct field_plan *plan = &resolver->plan[index];
	const char *name = avro_schema_record_field_name(resolver->reader, (int)index);
	int source = avro_schema_record_field_get_index(resolver->writer, name);
	json_t *ours = json_field(reader_json, name), *theirs = json_field(writer_json, name);

	plan->reader = avro_schema_record_field_get_by_index(resolver->reader, (int)index);
	if (source < 0) {
		plan->default_at = resolver->defaults.len;
		if (!put_default(&resolver->defaults, plan->reader,
		                 json_object_get(ours, "default")))
			return err_set(
				err, ERR_INPUT,
				"unresolvable schema: the writer has no field %.64s, and the "
				"field has no default in our schema",
				name);
		plan->default_len = resolver->defaults.len - plan->default_at;
		return true;
	}
	plan->source = (size_t)source;
	plan->writer = avro_schema_record_field_get_by_index(resolver->writer, source);
	if (!resolves(plan->writer, plan->reader))
		return err_set(err, ERR_INPUT,
		               "unresolvable schema: the writer's type of field %.64s does not fit",
		               name);
	if (!logical_fits(json_object_get(theirs, "type"), json_object_get(ours, "type")))
		return err_set(
			err, ERR_INPUT,
			"unresolvable schema: the writer's field %.64s has another unit or scale",
			name);
	return true;
}

static bool plan_all(struct schema_resolver *resolver, struct span writer_text,
                     const char *reader_text, struct err *err)
{
	json_t *writer_json = json_loadb(writer_text.at, writer_text.len, 0, NULL);
	json_t *reader_json = json_loads(reader_text, 0, NULL);
	bool ok = true;

	for (size_t i = 0; i < resolver->plan_count && ok; i++)
		ok = plan_field(resolver, i, writer_json, reader_json, err);
	json_decref(writer_json);
	json_decref(reader_json);
	return ok;
}

static bool name_fits(avro_schema_t schema, const char *expected, struct err *err)
{
	const char *space, *name;
	char full[256];

	if (!is_avro_record(schema))
		return err_set(err, ERR_INPUT, "wrong schema: not a record, where %s is expected",
		               expected);
	space = avro_schema_namespace(schema);
	name = avro_schema_name(schema);
	snprintf(full, sizeof(full), "%s%s%s", space ? space : "", space && *space ? "." : "",
	         name);
	if (strcmp(full, expected) != 0)
		return err_set(err, ERR_INPUT, "wrong schema: record %.200s, where %s is expected",
		               full, expected);
	return true;
}

static bool parse_schemas(struct schema_resolver *resolver, struct span writer_text,
                          const struct schema_text *expected, struct err *err)
{
	if (expected->is_json_schema || !writer_text.at)
		return err_set(err, ERR_INPUT, "wrong schema: %s is not Avro",
		               expected->record_name);
	if (avro_schema_from_json_length(writer_text.at, writer_text.len, &resolver->writer) != 0) {
		resolver->writer = NULL;
		return err_set(err, ERR_INPUT, "unreadable schema: %.200s", avro_strerror());
	}
	if (!name_fits(resolver->writer, expected->record_name, err))
		return false;
	if (avro_schema_from_json_length(expected->text, strlen(expected->text),
	                                 &resolver->reader) != 0) {
		resolver->reader = NULL;
		return err_set(err, ERR_FATAL, "our own schema %s does not parse: %.200s",
		               expected->record_name, avro_strerror());
	}
	return true;
}

struct schema_resolver *schema_resolver_new(struct span writer_text, enum schema_kind reader,
                                            struct err *err)
{
	const struct schema_text *expected = &schema_texts[reader];
	struct schema_resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver || !parse_schemas(resolver, writer_text, expected, err)) {
		if (!resolver)
			err_set(err, ERR_FATAL, "out of memory");
		goto failed;
	}
	resolver->found_count = avro_schema_record_size(resolver->writer);
	resolver->plan_count = avro_schema_record_size(resolver->reader);
	resolver->found = calloc(resolver->found_count + 1, sizeof(*resolver->found));
	resolver->plan = calloc(resolver->plan_count + 1, sizeof(*resolver->plan));
	if (!resolver->found || !resolver->plan) {
		err_set(err, ERR_FATAL, "out of memory");
		goto failed;
	}
	if (!plan_all(resolver, writer_text, expected->text, err))
		goto failed;
	resolver->identity = avro_schema_equal(resolver->writer, resolver->reader);
	return resolver;
failed:
	schema_resolver_free(resolver);
	return NULL;
}

void schema_resolver_free(struct schema_resolver *resolver)
{
	if (!resolver)
		return;
	if (resolver->writer)
		avro_schema_decref(resolver->writer);
	if (resolver->reader)
		avro_schema_decref(resolver->reader);
	buffer_free(&resolver->defaults);
	free(resolver->found);
	free(resolver->plan);
	free(resolver);
}

bool schema_resolver_is_identity(const struct schema_resolver *resolver)
{
	return resolver->identity;
}

/* ---- one body ---- */

static bool find_fields(struct schema_resolver *resolver, struct span body, struct err *err)
{
	struct walk walk = {.in = avro_in_of(body),
	                    .steps_left = 4 * (int64_t)body.len + WALK_SPARE_STEPS};

	for (size_t i = 0; i < resolver->found_count; i++) {
		const char *start = walk.in.at;
		skip_value(&walk, avro_schema_record_field_get_by_index(resolver->writer, (int)i));
		if (walk.in.why)
			return err_set(err, ERR_INPUT, "field %.64s: %s",
			               avro_schema_record_field_name(resolver->writer, (int)i),
			               walk.in.why);
		resolver->found[i] = (struct span){start, (size_t)(walk.in.at - start)};
	}
	if (walk.in.at != walk.in.end)
		return err_set(err, ERR_INPUT, "bytes after the last field");
	return true;
}

bool schema_resolver_convert(struct schema_resolver *resolver, struct span body, struct buffer *out,
                             struct err *err)
{
	out->len = 0;
	if (!find_fields(resolver, body, err))
		return false;
	for (size_t i = 0; i < resolver->plan_count; i++) {
		const struct field_plan *plan = &resolver->plan[i];
		struct walk walk = {0};

		if (!plan->writer) {
			buffer_append(out, resolver->defaults.at + plan->default_at,
			              plan->default_len);
			continue;
		}
		walk.in = avro_in_of(resolver->found[plan->source]);
		copy_value(&walk, plan->writer, plan->reader, out);
		if (walk.in.why)
			return err_set(err, ERR_INPUT, "field %.64s: %s",
			               avro_schema_record_field_name(resolver->reader, (int)i),
			               walk.in.why);
	}
	return true;
}
