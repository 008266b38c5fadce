/* Answers of registries: as Confluent specifies them, and as Apicurio 2.6 sends them. */
#include "avro_reference.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "unit/avro_reference.h"
#include "wire/registry_messages.h"
#include "wire/schemas.h"

Test(registry_messages, a_schema_is_sent_as_one_json_text)
{
	struct schema_text plain = {"t", "n", "{\"a\":\"b\"}", false},
			   json = {"t", "n", "{}", true};
	struct buffer out = {0};

	registry_register_body(&plain, &out);
	buffer_append(&out, "|", 1);
	registry_register_body(&json, &out);
	cr_assert(span_is((struct span){out.at, out.len},
	                  "{\"schema\":\"{\\\"a\\\":\\\"b\\\"}\"}|"
	                  "{\"schema\":\"{}\",\"schemaType\":\"JSON\"}"),
	          "%.*s", (int)out.len, out.at);
	buffer_free(&out);
}

Test(registry_messages, every_schema_of_ours_is_read_back_from_its_request)
{
	for (int slot = 0; slot < SCHEMA_COUNT; slot++) {
		struct buffer request = {0}, text = {0};
		bool is_json = !schema_texts[slot].is_json_schema;

		registry_register_body(&schema_texts[slot], &request);
		cr_assert(registry_read_schema((struct span){request.at, request.len}, &text,
		                               &is_json, NULL));
		cr_assert(span_is((struct span){text.at, text.len}, schema_texts[slot].text));
		cr_assert_eq(is_json, schema_texts[slot].is_json_schema);
		buffer_free(&request);
		buffer_free(&text);
	}
}

static const struct {
	const char *body;
	bool taken;
	int32_t id;
} ids[] = {
	{"{\"id\":1}", true, 1},
	{"{\"subject\":\"s\",\"id\":7,\"version\":2,\"schema\":\"x\"}", true, 7},
	{"{\"id\":2147483647}", true, INT32_MAX},
	{"{\"id\":2147483648}", false, 0},
	{"{\"id\":0}", false, 0},
	{"{\"id\":-1}", false, 0},
	{"{\"id\":\"1\"}", false, 0},
	{"{\"id\":1.5}", false, 0},
	{"{}", false, 0},
	{"[1]", false, 0},
	{"1", false, 0},
	{"", false, 0},
	{"<html>", false, 0},
	{"{\"id\":1", false, 0},
};

Test(registry_messages, an_id_is_a_positive_int_or_refused)
{
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct err err = {ERR_NONE, ""};
		int32_t id = 0;

		cr_assert_eq(registry_read_id(span_of(ids[i].body), &id, &err), ids[i].taken, "%s",
		             ids[i].body);
		cr_assert_eq(id, ids[i].id, "%s", ids[i].body);
		cr_assert_eq(err.class, ids[i].taken ? ERR_NONE : ERR_RETRY);
	}
}

static const struct {
	const char *body, *text; /* text NULL: refused */
	bool is_json;
} schemas[] = {
	{"{\"schema\":\"\\\"string\\\"\"}", "\"string\"", false},
	{"{\"schema\":\"{}\",\"schemaType\":\"JSON\"}", "{}", true},
	{"{\"schema\":\"x\",\"schemaType\":\"AVRO\"}", "x", false},
	{"{\"schema\":\"x\",\"schemaType\":\"PROTOBUF\"}", "x", false},
	{"{\"schema\":\"x\",\"schemaType\":7}", "x", false},
	{"{\"schema\":{}}", NULL, false},
	{"{\"schema\":null}", NULL, false},
	{"{}", NULL, false},
	{"[]", NULL, false},
	{"gone", NULL, false},
};

Test(registry_messages, a_schema_is_a_text_with_a_type)
{
	struct buffer text = {0};

	for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
		bool is_json = false;

		cr_assert_eq(registry_read_schema(span_of(schemas[i].body), &text, &is_json, NULL),
		             schemas[i].text != NULL, "%s", schemas[i].body);
		cr_assert(!schemas[i].text ||
		                  span_is((struct span){text.at, text.len}, schemas[i].text),
		          "%s", schemas[i].body);
		cr_assert_eq(is_json, schemas[i].is_json, "%s", schemas[i].body);
	}
	buffer_free(&text);
}

static const struct {
	const char *label;
	long status;
	const char *body;
	enum registry_failure want;
	const char *reason;
} failures[] = {
	{"incompatible, Confluent", 409, "{\"error_code\":40901,\"message\":\"not compatible\"}",
         REGISTRY_FAILURE_INCOMPATIBLE, "not compatible"},
	{"incompatible, Apicurio", 409,
         "{\"error_code\":409,\"message\":\"Incompatible artifact: x\"}",
         REGISTRY_FAILURE_INCOMPATIBLE, "Incompatible artifact: x"},
	{"the reason under its other name", 409,
         "{\"error_code\":409,\"reason\":\"field x\",\"message\":\"m\"}",
         REGISTRY_FAILURE_INCOMPATIBLE, "field x"},
	{"no such id", 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}",
         REGISTRY_FAILURE_UNKNOWN, "Schema not found"},
	{"no such subject", 404, "{\"error_code\":40401}", REGISTRY_FAILURE_UNKNOWN,
         "{\"error_code\":40401}"},
	{"no such path", 404, "{\"error_code\":0,\"message\":\"RESTEASY003210\"}",
         REGISTRY_FAILURE_RETRY, "RESTEASY003210"},
	{"not up yet", 404, "<html>\n404\r\n</html>", REGISTRY_FAILURE_RETRY,
         "<html> 404  </html>"},
	{"a 404 in the code alone", 404, "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}",
         REGISTRY_FAILURE_RETRY, "HTTP 404 Not Found"},
	{"invalid", 422, "{\"error_code\":42201,\"message\":\"bad\"}", REGISTRY_FAILURE_REFUSED,
         "bad"},
	{"text under a JSON header", 400, "Unexpected character ('x')", REGISTRY_FAILURE_REFUSED,
         "Unexpected character ('x')"},
	{"credentials", 401, "", REGISTRY_FAILURE_REFUSED, ""},
	{"forbidden", 403, "{\"error_code\":40301,\"message\":\"no\"}", REGISTRY_FAILURE_REFUSED,
         "no"},
	{"timeout", 408, "", REGISTRY_FAILURE_RETRY, ""},
	{"too many", 429, "", REGISTRY_FAILURE_RETRY, ""},
	{"store", 500, "{\"error_code\":50001,\"message\":\"store\"}", REGISTRY_FAILURE_RETRY,
         "store"},
	{"gateway", 503, "unavailable", REGISTRY_FAILURE_RETRY, "unavailable"},
	{"redirected", 302, "", REGISTRY_FAILURE_RETRY, ""},
	{"odd types", 409, "{\"error_code\":\"x\",\"message\":{}}", REGISTRY_FAILURE_INCOMPATIBLE,
         "{\"error_code\":\"x\",\"message\":{}}"},
	{"bytes that are not text", 409, "\x1b[31m\xff", REGISTRY_FAILURE_INCOMPATIBLE, "?[31m?"},
};

Test(registry_messages, each_failure_has_its_class_and_its_message_on_one_line)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		char reason[200];

		cr_assert_eq(registry_read_failure(failures[i].status, span_of(failures[i].body),
		                                   reason, sizeof(reason)),
		             failures[i].want, "%s", failures[i].label);
		cr_assert_str_eq(reason, failures[i].reason, "%s: %s", failures[i].label, reason);
	}
}

Test(registry_messages, a_message_is_cut_to_its_capacity)
{
	static char body[70000];
	char reason[16];

	memset(body, 'x', sizeof(body) - 1);
	registry_read_failure(500, span_of(body), reason, sizeof(reason));
	cr_assert_str_eq(reason, "xxxxxxxxxxxxxxx");
	registry_read_failure(500, SPAN_NULL, reason, sizeof(reason));
	cr_assert_str_eq(reason, "");
	cr_assert_eq(registry_read_failure(409, span_of(body), NULL, 0),
	             REGISTRY_FAILURE_INCOMPATIBLE);
}

Test(registry_messages, a_level_that_includes_backward_is_recognised)
{
	cr_assert(registry_level_checks_backward(span_of("{\"compatibilityLevel\":\"BACKWARD\"}")));
	cr_assert(registry_level_checks_backward(
		span_of("{\"compatibilityLevel\":\"FULL_TRANSITIVE\"}")));
	cr_assert_not(
		registry_level_checks_backward(span_of("{\"compatibilityLevel\":\"FORWARD\"}")));
	cr_assert_not(registry_level_checks_backward(span_of("{\"compatibilityLevel\":\"NONE\"}")));
	cr_assert_not(registry_level_checks_backward(span_of("{\"compatibility\":\"BACKWARD\"}")));
	cr_assert_not(registry_level_checks_backward(span_of("BACKWARD")));
}

Test(registry_messages, a_json_schema_is_identified_by_its_title)
{
	cr_assert(json_schema_title_is(span_of(schema_texts[SCHEMA_RAW].text), "RawEvent"));
	cr_assert_not(json_schema_title_is(span_of(schema_texts[SCHEMA_RAW].text), "Raw"));
	cr_assert_not(json_schema_title_is(span_of("{\"title\":7}"), "RawEvent"));
	cr_assert_not(json_schema_title_is(span_of("[\"title\"]"), "RawEvent"));
	cr_assert_not(json_schema_title_is(SPAN_NULL, "RawEvent"));
}

/* Changed bytes of every body above give any result, but no crash. */
Test(registry_messages, changed_bodies_never_break_the_readers)
{
	struct buffer text = {0};

	cr_log_info("seed %llx", (unsigned long long)TEST_SEED);
	for (int round = 0; round < 40000; round++) {
		size_t i = (size_t)round % (sizeof(failures) / sizeof(failures[0]));
		struct span body = span_of(round % 2 ? failures[i].body : schemas[i % 10].body);
		char *copy = exact_copy(body), reason[64];
		struct span changed = {copy, body.len};
		int32_t id;
		bool is_json;

		for (int64_t changes = body.len ? random_below(4) : 0; changes > 0; changes--)
			copy[random_below((int64_t)body.len)] = (char)random_below(256);
		registry_read_failure(failures[i].status, changed, reason, sizeof(reason));
		cr_assert_lt(strlen(reason), sizeof(reason));
		cr_assert(!registry_read_id(changed, &id, NULL) || id > 0);
		cr_assert(!registry_read_schema(changed, &text, &is_json, NULL) || text.len < 200);
		json_schema_title_is(changed, "x");
		free(copy);
	}
	buffer_free(&text);
}

Test(registry_messages, versions_are_a_list_of_numbers_and_the_last_of_them_count)
{
	static const struct {
		const char *body;
		int count; /* -1: refused */
		int32_t first, last;
	} rows[] = {
		{"[1]", 1, 1, 1},
		{"[]", 0, 0, 0},
		{"[1,2,3]", 3, 1, 3},
		{"[1,2,3,4,9]", 3, 3, 9},
		{"[2147483647]", 1, INT32_MAX, INT32_MAX},
		{"[0]", -1, 0, 0},
		{"[\"1\"]", -1, 0, 0},
		{"[1.5]", -1, 0, 0},
		{"[-1]", -1, 0, 0},
		{"[2147483648]", -1, 0, 0},
		{"[1,null]", -1, 0, 0},
		{"{}", -1, 0, 0},
		{"1", -1, 0, 0},
		{"", -1, 0, 0},
		{"<html>", -1, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int32_t versions[3];
		struct err err = {ERR_NONE, ""};
		size_t count;
		bool taken =
			registry_read_versions(span_of(rows[i].body), versions, 3, &count, &err);

		cr_assert_eq(taken, rows[i].count >= 0, "%s", rows[i].body);
		if (!taken) {
			cr_assert_eq(err.class, ERR_RETRY);
			continue;
		}
		cr_assert_eq(count, (size_t)rows[i].count, "%s", rows[i].body);
		if (count > 0)
			cr_assert(versions[0] == rows[i].first &&
			                  versions[count - 1] == rows[i].last,
			          "%s", rows[i].body);
	}
}
