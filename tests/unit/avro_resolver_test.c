/* Schema resolution: cases, a comparison with the Avro library where it can resolve too, and
 * hostile bytes. A writer's schema is ours with a part of the text replaced. */
#include <stdio.h>

#include "avro_reference.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/window.h"
#include "unit/avro_reference.h"
#include "unit/fold_kit.h"
#include "wire/avro_resolver.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "wire/records_visit.h"
#include "wire/schemas.h"

#define SPACED_LONG    "{\"name\":\"product_id\",\"type\":\"long\"}"
#define CHECKOUT_FIELD "{\"name\":\"funnel_checkout_sessions\",\"type\":\"long\",\"default\":0},"
#define BRAND_FIELD    "{\"name\":\"brand\",\"type\":[\"null\",\"string\"],\"default\":null},"
#define USER_FIELD     "{\"name\":\"user_id\",\"type\":\"long\"}"

/* Our schema with each `from` replaced by `to`, in the caller's memory. */
static const char *writer_text(enum schema_kind kind, const char *from, const char *to,
                               char out[8192])
{
	const char *rest = schema_texts[kind].text, *hit;
	size_t len = 0, count = 0;

	out[0] = '\0';
	while (*from && (hit = strstr(rest, from)) != NULL) {
		len += (size_t)snprintf(out + len, 8192 - len, "%.*s%s", (int)(hit - rest), rest,
		                        to);
		rest = hit + strlen(from);
		count++;
	}
	snprintf(out + len, 8192 - len, "%s", rest);
	cr_assert(count > 0 || !*from, "our schema no longer holds %s", from);
	return out;
}

static struct schema_resolver *resolver_for(enum schema_kind kind, const char *from, const char *to,
                                            struct err *err)
{
	char text[8192];

	return schema_resolver_new(span_of(writer_text(kind, from, to, text)), kind, err);
}

/* ---- which schemas are accepted ---- */

enum outcome { IDENTITY, RESOLVED, REFUSED };

static const struct {
	const char *label;
	enum schema_kind kind;
	const char *from, *to;
	enum outcome want;
	const char *message; /* the beginning, if refused */
} schemas[] = {
	{"our own", SCHEMA_BRONZE, "", "", IDENTITY, NULL},
	{"our own late events", SCHEMA_LATE, "", "", IDENTITY, NULL},
	{"our own visits", SCHEMA_VISIT, "", "", IDENTITY, NULL},
	{"other spacing", SCHEMA_BRONZE, ",", " , ", IDENTITY, NULL},
	{"other documentation", SCHEMA_BRONZE, "One valid event", "An event", IDENTITY, NULL},
	{"full name in one", SCHEMA_BRONZE, "\"BronzeEvent\",\"namespace\":\"funnel\"",
         "\"funnel.BronzeEvent\"", IDENTITY, NULL},
	{"a field less that has a default", SCHEMA_AGGREGATE, CHECKOUT_FIELD, "", RESOLVED, NULL},
	{"a field more", SCHEMA_BRONZE, USER_FIELD,
         USER_FIELD ",{\"name\":\"z\",\"type\":\"double\"}", RESOLVED, NULL},
	{"int for long", SCHEMA_BRONZE, SPACED_LONG, "{\"name\":\"product_id\",\"type\":\"int\"}",
         RESOLVED, NULL},
	{"bytes for string", SCHEMA_COUNTS, "\"topic\",\"type\":\"string\"",
         "\"topic\",\"type\":\"bytes\"", RESOLVED, NULL},
	{"a union for a plain field", SCHEMA_BRONZE, SPACED_LONG,
         "{\"name\":\"product_id\",\"type\":[\"null\",\"long\"]}", RESOLVED, NULL},
	{"a union the other way round", SCHEMA_BRONZE,
         "[\"null\",\"long\"],\"default\":null},{\"name\":\"category_code\"",
         "[\"long\",\"null\"]},{\"name\":\"category_code\"", RESOLVED, NULL},
	{"more symbols", SCHEMA_BRONZE, "\"purchase\"]", "\"purchase\",\"refund\"]", RESOLVED,
         NULL},
	{"map of int", SCHEMA_COUNTS, "\"values\":\"long\"", "\"values\":\"int\"", RESOLVED, NULL},
	{"a time without its unit", SCHEMA_BRONZE,
         "\"event_time\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}",
         "\"event_time\",\"type\":\"long\"", IDENTITY, NULL},
	{"another record", SCHEMA_BRONZE, "BronzeEvent", "SilverEvent", REFUSED,
         "wrong schema: record funnel.SilverEvent"},
	{"another namespace", SCHEMA_BRONZE, "\"funnel\"", "\"tunnel\"", REFUSED,
         "wrong schema: record tunnel.BronzeEvent"},
	{"no namespace", SCHEMA_BRONZE, "\"namespace\":\"funnel\",", "", REFUSED,
         "wrong schema: record BronzeEvent"},
	{"a field less without default", SCHEMA_BRONZE, "," USER_FIELD, "", REFUSED,
         "unresolvable schema: the writer has no field user_id"},
	{"text for long", SCHEMA_BRONZE, SPACED_LONG,
         "{\"name\":\"product_id\",\"type\":\"string\"}", REFUSED,
         "unresolvable schema: the writer's type of field product_id"},
	{"double for long", SCHEMA_BRONZE, SPACED_LONG,
         "{\"name\":\"product_id\",\"type\":\"double\"}", REFUSED,
         "unresolvable schema: the writer's type of field product_id"},
	{"long for int", SCHEMA_BRONZE, "\"raw_partition\",\"type\":\"int\"",
         "\"raw_partition\",\"type\":\"long\"", REFUSED,
         "unresolvable schema: the writer's type of field raw_partition"},
	{"another enum", SCHEMA_BRONZE, "\"EventType\"", "\"Type\"", REFUSED,
         "unresolvable schema: the writer's type of field event_type"},
	{"another scale", SCHEMA_AGGREGATE, "\"scale\":2", "\"scale\":4", REFUSED,
         "unresolvable schema: the writer's field revenue"},
	{"another scale within a union", SCHEMA_BRONZE, "\"scale\":2", "\"scale\":3", REFUSED,
         "unresolvable schema: the writer's field price"},
	{"another unit of time", SCHEMA_VISIT, "timestamp-micros", "timestamp-millis", REFUSED,
         "unresolvable schema: the writer's field visit_start"},
	{"broken JSON", SCHEMA_BRONZE, "]}", "]", REFUSED, "unreadable schema"},
	{"an unknown type", SCHEMA_BRONZE, "\"int\"", "\"number\"", REFUSED, "unreadable schema"},
};

Test(avro_resolver, each_writers_schema_is_accepted_or_refused_with_a_reason)
{
	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		struct err err = {ERR_NONE, ""};
		struct schema_resolver *resolver =
			resolver_for(schemas[i].kind, schemas[i].from, schemas[i].to, &err);

		cr_assert_eq(resolver != NULL, schemas[i].want != REFUSED, "%s: %s",
		             schemas[i].label, err.message);
		if (resolver)
			cr_assert_eq(schema_resolver_is_identity(resolver),
			             schemas[i].want == IDENTITY, "%s", schemas[i].label);
		else
			cr_assert(strncmp(err.message, schemas[i].message,
			                  strlen(schemas[i].message)) == 0,
			          "%s: %s", schemas[i].label, err.message);
		schema_resolver_free(resolver);
	}
}

Test(avro_resolver, texts_that_are_not_a_record_of_ours_are_refused)
{
	const char *texts[] = {"",
	                       "null",
	                       "\"string\"",
	                       "[]",
	                       "{}",
	                       "{\"type\":\"record\"}",
	                       "[\"null\",\"long\"]",
	                       "{\"type\":\"map\",\"values\":\"long\"}",
	                       "\xff\xfe"};
	struct err err;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_null(schema_resolver_new(span_of(texts[i]), SCHEMA_BRONZE, &err), "%s",
		               texts[i]);
	cr_assert_null(schema_resolver_new(SPAN_NULL, SCHEMA_BRONZE, &err));
	cr_assert_null(schema_resolver_new(span_of(schema_texts[SCHEMA_RAW].text), SCHEMA_RAW,
	                                   &err),
	               "JSON Schema is not Avro");
	cr_assert_null(
		schema_resolver_new(span_of(schema_texts[SCHEMA_VISIT].text), SCHEMA_BRONZE, &err));
}

/* ---- values ---- */

#define REVENUE 123456

/* Fills the fields of the aggregate that every writer's schema of these tests has. */
static void fill_aggregate(struct reference *to)
{
	const char *const counts[] = {"views",
	                              "carts",
	                              "removes",
	                              "checkouts",
	                              "purchases",
	                              "sessions",
	                              "view_sessions",
	                              "cart_sessions",
	                              "purchase_sessions",
	                              "funnel_cart_sessions",
	                              "funnel_purchase_sessions"};

	reference_text(to, "rollup", SPAN("1m:all"));
	reference_number(to, "window_start", 60000000);
	reference_number(to, "window_end", 120000000);
	reference_text(to, "group_value", SPAN("all"));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		reference_number(to, counts[i], (int64_t)i + 1);
	reference_money(to, "revenue", REVENUE);
	reference_number(to, "final", 1);
	reference_number(to, "revision", 99);
}

static void fill_buyers(struct reference *to)
{
	reference_optional_number(to, "buying_view_sessions", true, 12);
	reference_optional_number(to, "view_purchase_sessions", true, 13);
	reference_null(to, "view_cart_purchase_sessions");
}

static void check_aggregate(struct span body, int64_t checkout_sessions, bool with_buyers)
{
	struct aggregate aggregate;
	const char *why = "nothing";

	cr_assert(aggregate_decode(body, &aggregate, &why), "%s", why);
	cr_assert(span_is(aggregate.rollup, "1m:all") && span_is(aggregate.group_value, "all"));
	cr_assert_eq(aggregate.window_end_us, 120000000);
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		cr_assert_eq(aggregate.measures.events[i], i + 1);
	cr_assert_eq(aggregate.measures.revenue_cents, REVENUE);
	cr_assert_eq(aggregate.measures.sessions, 6);
	cr_assert_eq(aggregate.measures.funnel_cart_sessions, 10);
	cr_assert_eq(aggregate.measures.funnel_checkout_sessions, checkout_sessions);
	cr_assert_eq(aggregate.measures.funnel_purchase_sessions, 11);
	cr_assert_eq(aggregate.measures.buying_view_sessions, with_buyers ? 12 : NOT_COUNTED);
	cr_assert_eq(aggregate.measures.view_purchase_sessions, with_buyers ? 13 : NOT_COUNTED);
	cr_assert_eq(aggregate.measures.view_cart_purchase_sessions, NOT_COUNTED);
	cr_assert(aggregate.final);
	cr_assert_eq(aggregate.revision, 99);
}

Test(avro_resolver, a_field_the_writer_lacks_gets_its_default)
{
	struct schema_resolver *resolver = resolver_for(SCHEMA_AGGREGATE, CHECKOUT_FIELD, "", NULL);
	struct reference writer;
	struct buffer out = {0};
	char text[8192];

	reference_open(&writer, writer_text(SCHEMA_AGGREGATE, CHECKOUT_FIELD, "", text));
	fill_aggregate(&writer);
	fill_buyers(&writer);
	cr_assert(schema_resolver_convert(resolver, reference_bytes(&writer), &out, NULL));
	check_aggregate((struct span){out.at, out.len}, 0, true);
	reference_close(&writer);
	schema_resolver_free(resolver);
	buffer_free(&out);
}

/* The schema of the version that did not have the fields from `first` to the one before `end`. */
static const char *former_text(enum schema_kind kind, const char *first, const char *end,
                               char out[8192])
{
	const char *all = schema_texts[kind].text, *from = strstr(all, first),
		   *to = from ? strstr(from, end) : NULL;

	cr_assert(from && to);
	snprintf(out, 8192, "%.*s%s", (int)(from - all), all, to);
	return out;
}

Test(avro_resolver, aggregate_of_the_version_without_buyers_has_not_counted_them)
{
	char text[8192];
	struct err err = {0};
	struct schema_resolver *resolver;
	struct reference writer;
	struct buffer out = {0};

	former_text(SCHEMA_AGGREGATE, "{\"name\":\"buying_view_sessions\"", "{\"name\":\"final\"",
	            text);
	resolver = schema_resolver_new(span_of(text), SCHEMA_AGGREGATE, &err);
	cr_assert(resolver, "%s", err.message);
	reference_open(&writer, text);
	fill_aggregate(&writer);
	reference_number(&writer, "funnel_checkout_sessions", 5);
	cr_assert(schema_resolver_convert(resolver, reference_bytes(&writer), &out, &err), "%s",
	          err.message);
	check_aggregate((struct span){out.at, out.len}, 5, false);
	reference_close(&writer);
	schema_resolver_free(resolver);
	buffer_free(&out);
}

static void fill_former_visit(struct reference *to)
{
	static const char *const numbers[] = {"visit_start", "visit_end", "user_id",   "views",
	                                      "carts",       "removes",   "checkouts", "purchases",
	                                      "products",    "deleted",   "final",     "revision"};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		reference_number(to, numbers[i], 1);
	reference_text(to, "user_session", SPAN("s"));
	reference_money(to, "revenue", REVENUE);
	reference_number(to, "furthest_stage", 1);
	reference_null(to, "first_category");
	reference_null(to, "last_category");
	reference_optional_text(to, "drop_off_stage", SPAN("view"));
	reference_null(to, "view_to_cart_ms");
	reference_optional_number(to, "view_to_purchase_ms", true, 7);
}

Test(avro_resolver, visit_of_the_version_without_purchase_flags_has_unknown_ones)
{
	char text[8192];
	struct err err = {0};
	struct schema_resolver *resolver;
	struct reference writer;
	struct buffer out = {0};
	struct visit visit = {0};

	former_text(SCHEMA_VISIT, "{\"name\":\"view_purchase\"", "{\"name\":\"deleted\"", text);
	resolver = schema_resolver_new(span_of(text), SCHEMA_VISIT, &err);
	cr_assert(resolver, "%s", err.message);
	reference_open(&writer, text);
	fill_former_visit(&writer);
	cr_assert(schema_resolver_convert(resolver, reference_bytes(&writer), &out, &err), "%s",
	          err.message);
	cr_assert(visit_decode((struct span){out.at, out.len}, &visit, NULL));
	cr_assert_eq(visit.view_to_purchase_ms, 7);
	cr_assert_eq(visit.view_purchase, VISIT_FLAG_UNKNOWN);
	cr_assert_eq(visit.view_cart_purchase, VISIT_FLAG_UNKNOWN);
	reference_close(&writer);
	schema_resolver_free(resolver);
	buffer_free(&out);
}

/* The counts of a version that did not count unreadable fields. */
Test(avro_resolver, a_map_the_writer_lacks_is_empty)
{
	static const char old_text[] =
		"{\"type\":\"record\",\"name\":\"Counts\",\"namespace\":\"funnel\",\"fields\":["
		"{\"name\":\"service\",\"type\":\"string\"},{\"name\":\"topic\",\"type\":\"string\"},"
		"{\"name\":\"partition\",\"type\":\"int\"},{\"name\":\"records_in\",\"type\":\"long\"},"
		"{\"name\":\"records_out\",\"type\":\"long\"},"
		"{\"name\":\"duplicates\",\"type\":\"long\"},{\"name\":\"late\",\"type\":\"long\"},"
		"{\"name\":\"dead\",\"type\":\"long\"},{\"name\":\"dead_by_reason\","
		"\"type\":{\"type\":\"map\",\"values\":\"long\"}},"
		"{\"name\":\"revision\",\"type\":\"long\"}]}";
	/* service s, topic t, partition 1, counts 5, 4, 1, 0, 0, no reason, revision 9 */
	static const char old_body[] = "\2s\2t\2\12\10\2\0\0\0\22";
	struct err err = {0};
	struct schema_resolver *resolver = schema_resolver_new(SPAN(old_text), SCHEMA_COUNTS, &err);
	struct counts_record counts;
	struct buffer out = {0};
	int64_t unknown;

	cr_assert(resolver, "%s", err.message);
	cr_assert(schema_resolver_convert(resolver, SPAN(old_body), &out, &err), "%s", err.message);
	memset(&counts, 1, sizeof(counts));
	cr_assert(counts_decode((struct span){out.at, out.len}, &counts, &unknown, NULL));
	cr_assert(counts.counts.records_in == 5 && counts.revision == 9);
	cr_assert_eq(counts.counts.duplicates_other_price, 0);
	for (int i = 0; i < EVENT_FIELD_COUNT; i++)
		cr_assert_eq(counts.counts.unreadable[i], 0);
	schema_resolver_free(resolver);
	buffer_free(&out);
}

/* Fields of every type, also nested, before a field of ours. */
#define FOREIGN_FIELDS                                                                     \
	"{\"name\":\"x1\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"double\"]}}," \
	"{\"name\":\"x2\",\"type\":{\"type\":\"map\",\"values\":"                          \
	"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}}},"                                \
	"{\"name\":\"x3\",\"type\":{\"type\":\"record\",\"name\":\"Node\",\"fields\":["    \
	"{\"name\":\"f\",\"type\":\"float\"},"                                             \
	"{\"name\":\"next\",\"type\":[\"null\",\"Node\"]}]}},"                             \
	"{\"name\":\"x4\",\"type\":{\"type\":\"enum\",\"name\":\"E\","                     \
	"\"symbols\":[\"a\",\"b\"]}},"                                                     \
	"{\"name\":\"x5\",\"type\":\"null\"},{\"name\":\"x6\",\"type\":\"bytes\"},"        \
	"{\"name\":\"x7\",\"type\":\"F\"},{\"name\":\"x8\",\"type\":\"boolean\"},"

static void fill_foreign(struct reference *to)
{
	avro_value_t array = reference_field(to, "x1"), map = reference_field(to, "x2"),
		     node = reference_field(to, "x3"), item, branch;
	avro_value_t bytes = reference_field(to, "x6"), fixed = reference_field(to, "x7");
	char data[3] = "abc";

	for (int i = 0; i < 5; i++) {
		cr_assert_eq(avro_value_append(&array, &item, NULL), 0);
		cr_assert_eq(avro_value_set_branch(&item, i % 2, &branch), 0);
		cr_assert_eq(i % 2 ? avro_value_set_double(&branch, 1.5)
		                   : avro_value_set_null(&branch),
		             0);
	}
	cr_assert_eq(avro_value_add(&map, "key", &item, NULL, NULL), 0);
	cr_assert_eq(avro_value_set_fixed(&item, data, 3), 0);
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(avro_value_get_by_name(&node, "f", &item, NULL), 0);
		cr_assert_eq(avro_value_set_float(&item, 2.5f), 0);
		cr_assert_eq(avro_value_get_by_name(&node, "next", &item, NULL), 0);
		cr_assert_eq(avro_value_set_branch(&item, i < 3, &branch), 0);
		node = branch;
	}
	reference_number(to, "x4", 1);
	cr_assert_eq(avro_value_set_bytes(&bytes, data, 3), 0);
	cr_assert_eq(avro_value_set_fixed(&fixed, data, 3), 0);
	reference_number(to, "x8", 1);
}

static struct span foreign_body(struct reference *writer)
{
	char text[8192];

	reference_open(writer, writer_text(SCHEMA_AGGREGATE, CHECKOUT_FIELD,
	                                   CHECKOUT_FIELD FOREIGN_FIELDS, text));
	fill_aggregate(writer);
	fill_buyers(writer);
	reference_number(writer, "funnel_checkout_sessions", 5);
	fill_foreign(writer);
	return reference_bytes(writer);
}

Test(avro_resolver, a_writers_other_fields_of_every_type_are_skipped)
{
	struct schema_resolver *resolver =
		resolver_for(SCHEMA_AGGREGATE, CHECKOUT_FIELD, CHECKOUT_FIELD FOREIGN_FIELDS, NULL);
	struct reference writer;
	struct buffer out = {0};

	cr_assert(schema_resolver_convert(resolver, foreign_body(&writer), &out, NULL));
	check_aggregate((struct span){out.at, out.len}, 5, true);
	reference_close(&writer);
	schema_resolver_free(resolver);
	buffer_free(&out);
}

Test(avro_resolver, every_truncation_and_every_added_byte_is_refused)
{
	struct schema_resolver *resolver =
		resolver_for(SCHEMA_AGGREGATE, CHECKOUT_FIELD, CHECKOUT_FIELD FOREIGN_FIELDS, NULL);
	struct reference writer;
	struct span body = foreign_body(&writer);
	struct buffer out = {0}, more = {0};

	buffer_append(&more, body.at, body.len);
	buffer_append(&more, "", 1);
	for (size_t len = 0; len <= more.len; len++) {
		char *copy = exact_copy((struct span){more.at, len});
		cr_assert_eq(schema_resolver_convert(resolver, (struct span){copy, len}, &out,
		                                     NULL),
		             len == body.len, "%zu", len);
		free(copy);
	}
	reference_close(&writer);
	schema_resolver_free(resolver);
	buffer_free(&out);
	buffer_free(&more);
}

Test(avro_resolver, changed_bytes_never_break_it)
{
	struct schema_resolver *resolver =
		resolver_for(SCHEMA_AGGREGATE, CHECKOUT_FIELD, CHECKOUT_FIELD FOREIGN_FIELDS, NULL);
	struct reference writer;
	struct span body = foreign_body(&writer);
	struct buffer out = {0};
	struct aggregate aggregate;

	for (int round = 0; round < 40000; round++) {
		char *copy = exact_copy(body);
		size_t from = (size_t)random_below((int64_t)body.len);

		for (int64_t changes = random_below(4); changes >= 0; changes--)
			copy[random_below((int64_t)body.len)] = (char)random_below(256);
		for (size_t at = from; random_below(4) == 0 && at < body.len; at++)
			copy[at] = (char)random_below(256);
		if (schema_resolver_convert(resolver, (struct span){copy, body.len}, &out, NULL)) {
			/* an accepted body may have values out of range, but no other fault */
			const char *why = NULL;
			bool taken =
				aggregate_decode((struct span){out.at, out.len}, &aggregate, &why);
			cr_assert(taken || strcmp(why, "bytes after the last field") != 0);
		}
		free(copy);
	}
	reference_close(&writer);
	schema_resolver_free(resolver);
	buffer_free(&out);
}

/* Values that announce a large size in few bytes, before our own fields. */
#define FIRST "{\"name\":\"rollup\",\"type\":\"string\""
static const struct {
	const char *label, *type;
	struct span bytes;
	const char *message;
} hostile[] = {
	{"a text of 2^40 bytes",
         "\"string\"",
         {"\200\200\200\200\200\200\1", 7},
         "field h: length beyond the end"},
	{"bytes of 2^62",
         "\"bytes\"",
         {"\200\200\200\200\200\200\200\200\200\1", 10},
         "field h: length beyond the end"},
	{"a length below zero", "\"bytes\"", {"\3", 1}, "field h: length beyond the end"},
	{"2^30 nulls",
         "{\"type\":\"array\",\"items\":\"null\"}",
         {"\200\200\200\200\10\0", 6},
         "field h: nested too deep or too many values"},
	{"2^60 items",
         "{\"type\":\"array\",\"items\":\"long\"}",
         {"\200\200\200\200\200\200\200\200\40", 9},
         "field h: block count"},
	{"2^30 keys",
         "{\"type\":\"map\",\"values\":\"null\"}",
         {"\200\200\200\200\10", 5},
         "field h: length beyond the end"},
	{"a list without end",
         "[\"null\",{\"type\":\"record\",\"name\":\"N\",\"fields\":"
         "[{\"name\":\"n\",\"type\":[\"null\",\"N\"]}]}]",
         {"\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\0", 41},
         "field h: nested too deep or too many values"},
	{"a fixed of 2^31 - 1",
         "{\"type\":\"fixed\",\"name\":\"G\",\"size\":2147483647}",
         {"x", 1},
         "field h: value beyond the end"},
	{"a branch that is none", "[\"null\",\"long\"]", {"\4", 1}, "field h: union branch"},
	{"a branch below zero", "[\"null\",\"long\"]", {"\1", 1}, "field h: union branch"},
	{"a symbol that is none",
         "{\"type\":\"enum\",\"name\":\"Q\",\"symbols\":[\"a\"]}",
         {"\2", 1},
         "field h: enum"},
	{"a boolean of 2", "\"boolean\"", {"\2", 1}, "field h: boolean"},
	{"a varint of 11 bytes",
         "\"long\"",
         {"\377\377\377\377\377\377\377\377\377\377\1", 11},
         "field h: long"},
	{"a varint of 65 bits",
         "\"long\"",
         {"\377\377\377\377\377\377\377\377\377\2", 10},
         "field h: long"},
	{"an int of 2^31", "\"int\"", {"\200\200\200\200\20", 5}, "field h: int"},
};

Test(avro_resolver, hostile_lengths_and_nesting_are_refused_early)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char field[512];
		struct err err = {ERR_NONE, ""};
		struct schema_resolver *resolver;
		struct buffer out = {0};
		char *copy = exact_copy(hostile[i].bytes);

		snprintf(field, sizeof(field), "{\"name\":\"h\",\"type\":%s}," FIRST,
		         hostile[i].type);
		resolver = resolver_for(SCHEMA_AGGREGATE, FIRST, field, &err);
		cr_assert_not_null(resolver, "%s: %s", hostile[i].label, err.message);
		cr_assert_not(schema_resolver_convert(resolver,
		                                      (struct span){copy, hostile[i].bytes.len},
		                                      &out, &err),
		              "%s", hostile[i].label);
		cr_assert_str_eq(err.message, hostile[i].message, "%s: %s", hostile[i].label,
		                 err.message);
		cr_assert_eq(err.class, ERR_INPUT);
		schema_resolver_free(resolver);
		buffer_free(&out);
		free(copy);
	}
}

/* ---- bronze events of other writers ---- */

static void fill_bronze(struct reference *to)
{
	reference_text(to, "event_id", SPAN("00112233-4455-6677-8899-aabbccddeeff"));
	reference_number(to, "event_time", 1569888000000000);
	reference_number(to, "event_type", 4);
	reference_number(to, "product_id", 1004856);
	reference_optional_number(to, "category_id", true, 2053013555631882655);
	reference_optional_text(to, "category_code", SPAN("electronics.smartphone"));
	reference_optional_text(to, "brand", SPAN("samsung"));
	put_money(reference_branch(to, "price", 1), 13092);
	reference_number(to, "user_id", 513);
	reference_optional_text(to, "user_session", SPAN("s"));
	reference_null(to, "source_file");
	reference_null(to, "source_row");
	reference_number(to, "raw_partition", 3);
	reference_number(to, "raw_offset", 17);
	reference_number(to, "raw_time", 1569888000123);
	reference_optional_number(to, "source_clock", false, 0);
}

static bool bronze_through(const char *from, const char *to,
                           void (*change)(struct reference *writer), struct bronze_event *event,
                           struct buffer *out, struct err *err)
{
	struct schema_resolver *resolver = resolver_for(SCHEMA_BRONZE, from, to, err);
	struct reference writer;
	char text[8192];
	bool ok;

	cr_assert_not_null(resolver, "%s", err->message);
	reference_open(&writer, writer_text(SCHEMA_BRONZE, from, to, text));
	if (strstr(text, "\"brand\""))
		fill_bronze(&writer);
	change(&writer);
	ok = schema_resolver_convert(resolver, reference_bytes(&writer), out, err) &&
	     bronze_decode((struct span){out->at, out->len}, event, NULL);
	reference_close(&writer);
	schema_resolver_free(resolver);
	return ok;
}

static void leave(struct reference *writer)
{
	(void)writer;
}

static void use_the_new_symbol(struct reference *writer)
{
	reference_number(writer, "event_type", 5);
}

static void choose_null(struct reference *writer)
{
	reference_null(writer, "product_id");
}

static void choose_long(struct reference *writer)
{
	reference_optional_number(writer, "product_id", true, 1004856);
}

Test(avro_resolver, symbols_are_matched_by_name)
{
	struct err err = {ERR_NONE, ""};
	struct bronze_event event;
	struct buffer out = {0};

	/* 4 is our number of purchase, and this writer's number of cart */
	cr_assert(bronze_through("\"view\",\"cart\",\"remove_from_cart\",\"checkout\",\"purchase\"",
	                         "\"purchase\",\"checkout\",\"remove_from_cart\",\"view\",\"cart\"",
	                         leave, &event, &out, &err),
	          "%s", err.message);
	cr_assert_eq(event.event.type, EVENT_CART);
	cr_assert(bronze_through("\"purchase\"]", "\"purchase\",\"refund\"]", leave, &event, &out,
	                         &err),
	          "%s", err.message);
	cr_assert_eq(event.event.type, EVENT_PURCHASE);
	cr_assert_not(bronze_through("\"purchase\"]", "\"purchase\",\"refund\"]",
	                             use_the_new_symbol, &event, &out, &err));
	cr_assert_str_eq(err.message, "field event_type: enum symbol unknown to the reader");
	buffer_free(&out);
}

Test(avro_resolver, a_union_is_resolved_by_the_branch_in_use)
{
	const char *optional = "{\"name\":\"product_id\",\"type\":[\"null\",\"long\"]}";
	struct err err = {ERR_NONE, ""};
	struct bronze_event event;
	struct buffer out = {0};

	cr_assert(bronze_through(SPACED_LONG, optional, choose_long, &event, &out, &err), "%s",
	          err.message);
	cr_assert_eq(event.event.product_id, 1004856);
	cr_assert_eq(event.event.category_id, 2053013555631882655);
	cr_assert_not(bronze_through(SPACED_LONG, optional, choose_null, &event, &out, &err));
	cr_assert_str_eq(err.message, "field product_id: union branch unknown to the reader");
	buffer_free(&out);
}

static void check_bronze_without_brand(const struct bronze_event *event)
{
	cr_assert_null(event->event.brand.at);
	cr_assert_eq(event->event.price_cents, 13092);
	cr_assert(span_is(event->event.category_code, "electronics.smartphone"));
	cr_assert_null(event->lineage.source_file.at);
	cr_assert_eq(event->lineage.raw_time_ms, 1569888000123);
}

Test(avro_resolver, a_missing_optional_field_becomes_null)
{
	struct schema_resolver *resolver = resolver_for(SCHEMA_BRONZE, BRAND_FIELD, "", NULL);
	struct bronze_event event = {.event = {.event_time_us = 1,
	                                       .product_id = 1,
	                                       .category_code = SPAN("electronics.smartphone"),
	                                       .user_id = 1,
	                                       .price_cents = 13092},
	                             .lineage = {.raw_time_ms = 1569888000123,
	                                         .source_clock_us = CLOCK_NONE}};
	struct buffer framed = {0}, out = {0};
	const size_t category_end = FRAME_BYTES + 37 + 1 + 1 + 1 + 1 + 1 + 1 +
	                            22; /* id, time, type, product, category id and code */

	/* without the one byte of the brand, our bytes are those of the older writer */
	bronze_encode(&framed, 1, &event);
	cr_assert_eq(framed.at[category_end], 0);
	memmove(framed.at + category_end, framed.at + category_end + 1,
	        framed.len - category_end - 1);
	cr_assert(schema_resolver_convert(resolver,
	                                  (struct span){framed.at + FRAME_BYTES,
	                                                framed.len - FRAME_BYTES - 1},
	                                  &out, NULL));
	cr_assert(bronze_decode((struct span){out.at, out.len}, &event, NULL));
	check_bronze_without_brand(&event);
	schema_resolver_free(resolver);
	buffer_free(&framed);
	buffer_free(&out);
}

/* ---- against the library ---- */

/* The library's conversion of the same body: it reads with a resolved writer and writes again. */
static struct span library_converts(avro_schema_t writer_schema, struct span body,
                                    struct reference *ours)
{
	avro_value_iface_t *class = avro_resolved_writer_new(writer_schema, ours->schema);
	avro_reader_t reader = avro_reader_memory(body.at, (int64_t)body.len);
	avro_value_t resolved;

	cr_assert_not_null(class, "%s", avro_strerror());
	cr_assert_eq(avro_resolved_writer_new_value(class, &resolved), 0);
	avro_resolved_writer_set_dest(&resolved, &ours->value);
	cr_assert_eq(avro_value_read(reader, &resolved), 0, "%s", avro_strerror());
	avro_reader_free(reader);
	avro_value_decref(&resolved);
	avro_value_iface_decref(class);
	return reference_bytes(ours);
}

Test(avro_resolver, gives_the_librarys_bytes_where_the_library_can_resolve)
{
	/* fields in another order, one narrower than ours, one additional */
	const char *from =
		"{\"name\":\"views\",\"type\":\"long\"},{\"name\":\"carts\",\"type\":\"long\"}";
	const char *to =
		"{\"name\":\"carts\",\"type\":\"int\"},{\"name\":\"new\",\"type\":\"string\"},"
		"{\"name\":\"views\",\"type\":\"int\"}";
	struct schema_resolver *resolver = resolver_for(SCHEMA_AGGREGATE, from, to, NULL);
	struct reference writer, ours;
	struct buffer out = {0};
	char text[8192];

	cr_log_info("seed %llx", (unsigned long long)TEST_SEED);
	reference_open(&writer, writer_text(SCHEMA_AGGREGATE, from, to, text));
	reference_open(&ours, schema_texts[SCHEMA_AGGREGATE].text);
	for (int round = 0; round < 2000; round++) {
		fill_aggregate(&writer);
		fill_buyers(&writer);
		reference_number(&writer, "funnel_checkout_sessions",
		                 random_number(INT64_MIN, INT64_MAX));
		reference_number(&writer, "views", random_number(INT32_MIN, INT32_MAX));
		reference_number(&writer, "carts", random_number(INT32_MIN, INT32_MAX));
		reference_text(&writer, "new", random_text(0, 100));
		reference_text(&writer, "group_value", random_text(0, EVENT_TEXT_MAX));
		struct span body = reference_bytes(&writer),
			    theirs = library_converts(writer.schema, body, &ours);
		cr_assert(schema_resolver_convert(resolver, body, &out, NULL));
		cr_assert(span_equal((struct span){out.at, out.len}, theirs), "round %d", round);
	}
	reference_close(&writer);
	reference_close(&ours);
	schema_resolver_free(resolver);
	buffer_free(&out);
}
