/* Events as JSON: which values are valid, which are refused and why. The fast parser and the
 * library agree on every value. A written event is read back the same. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_json_fast.h"
#include "event/event_json_library.h"
#include "event/event_json_write.h"
#include "event/event_rules.h"
#include "event/event_values.h"
#include "event/reason.h"
#include "unit/fold_kit.h"

#define TIME       "\"event_time\":\"2019-10-01 00:00:00 UTC\""
#define TYPE       ",\"event_type\":\"view\""
#define PRODUCT    ",\"product_id\":44600062"
#define USER       ",\"user_id\":541312140"
#define BASE       TIME TYPE PRODUCT USER
#define WITH(rest) "{" BASE rest "}"
#define EVENT_OF_ROW                                                           \
	"{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"view\"," \
	"\"product_id\":44600062,\"category_id\":2103807459595387724,"         \
	"\"category_code\":\"electronics.smartphone\",\"brand\":\"shiseido\"," \
	"\"price\":35.79,\"user_id\":541312140,"                               \
	"\"user_session\":\"72d76fde-8bb3-4e00-8c23-a032dfed738c\"}"
#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X512 X64 X64 X64 X64 X64 X64 X64 X64

static bool same_event(const struct event *a, const struct event *b)
{
	return a->event_time_us == b->event_time_us && a->product_id == b->product_id &&
	       a->user_id == b->user_id && a->category_id == b->category_id &&
	       a->price_cents == b->price_cents && a->type == b->type &&
	       span_equal(a->category_code, b->category_code) && span_equal(a->brand, b->brand) &&
	       span_equal(a->user_session, b->user_session) && a->unreadable == b->unreadable;
}

static const struct event_rules *default_rules(void)
{
	static struct event_rules rules;

	event_rules_default(&rules);
	return &rules;
}

static enum reason parse(struct span value, struct event *event, char detail[160])
{
	static struct event_parser *parser; /* each test is a process of its own */

	if (!parser)
		parser = event_parser_new(NULL);
	cr_assert(parser);
	return event_parse_json(parser, value, event, detail, 160);
}

Test(event_json, a_row_of_the_source_gives_its_nine_fields)
{
	struct event event;
	enum reason reason = REASON_COUNT;

	cr_assert(event_parse_json_fast(SPAN(EVENT_OF_ROW), default_rules(), &event, &reason));
	cr_expect_eq(reason, REASON_NONE);
	cr_expect_eq(event.event_time_us, INT64_C(1569888000) * US_PER_SECOND);
	cr_expect_eq(event.type, EVENT_VIEW);
	cr_expect_eq(event.product_id, 44600062);
	cr_expect_eq(event.category_id, INT64_C(2103807459595387724));
	cr_expect(span_is(event.category_code, "electronics.smartphone"));
	cr_expect(span_is(event.brand, "shiseido"));
	cr_expect_eq(event.price_cents, 3579);
	cr_expect_eq(event.user_id, 541312140);
	cr_expect(span_is(event.user_session, "72d76fde-8bb3-4e00-8c23-a032dfed738c"));
}

Test(event_json, absent_null_and_empty_fields_are_missing)
{
	static const char *const table[] = {
		WITH(""),
		WITH(",\"category_id\":null,\"category_code\":null,\"brand\":null,"
	             "\"price\":null,\"user_session\":null"),
		WITH(",\"category_id\":\"\",\"category_code\":\"\",\"brand\":\"\","
	             "\"price\":\"\",\"user_session\":\"\""),
		WITH(",\"category_id\":\"\",\"category_code\":\"\",\"brand\":\"\","
	             "\"price\":\"\",\"user_session\":\"\",\"extra\":1"),
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event event;
		char detail[160];

		cr_assert_eq(parse(span_of(table[i]), &event, detail), REASON_NONE, "%s: %s",
		             table[i], detail);
		cr_expect_eq(event.category_id, 0);
		cr_expect_eq(event.price_cents, -1);
		cr_expect(!event.category_code.at && !event.brand.at && !event.user_session.at);
	}
}

#define PRICE(text) WITH(",\"price\":" text)
#define ID(text)    "{" TIME TYPE ",\"product_id\":" text USER "}"
#define AT(text)    "{\"event_time\":" text TYPE PRODUCT USER "}"
#define KIND(text)  "{" TIME ",\"event_type\":" text PRODUCT USER ",\"price\":1}"

static const struct {
	const char *label, *in;
	enum reason want;
	bool fast; /* the fast parser takes the value; otherwise the library does */
} verdicts[] = {
	{"row of the source", EVENT_OF_ROW, REASON_NONE, true},
	{"spaces and line breaks",
         " { \"event_time\" : \"2019-10-01 00:00:00\" ,\n\t\"event_type\":\"cart\"" PRODUCT USER
         " }\r\n",
         REASON_NONE, true},
	{"any order",
         "{\"user_id\":1,\"product_id\":2,\"event_type\":\"cart\","
         "\"event_time\":\"2019-10-01 00:00:00\"}",
         REASON_NONE, true},
	{"extra field", WITH(",\"extra\":1"), REASON_NONE, false},
	{"nested extra fields", WITH(",\"x\":{\"y\":[1,{\"z\":null}]},\"v\":true"), REASON_NONE,
         false},
	{"every printable character",
         WITH(",\"brand\":\" !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`"
              "abcdefghijklmnopqrstuvwxyz{|}~\""),
         REASON_NONE, true},
	{"escaped text", WITH(",\"brand\":\"a\\u0062c\""), REASON_NONE, false},
	{"escaped key", "{\"event\\u005ftime\":\"2019-10-01 00:00:00\"" TYPE PRODUCT USER "}",
         REASON_NONE, false},
	{"UTF-8 text", WITH(",\"brand\":\"caf\xc3\xa9 \xf0\x9f\x98\x80\""), REASON_NONE, false},

	{"nothing", "", REASON_MALFORMED_JSON, false},
	{"only spaces", "  ", REASON_MALFORMED_JSON, false},
	{"text", "\"a\"", REASON_MALFORMED_JSON, false},
	{"number", "1", REASON_MALFORMED_JSON, false},
	{"array", "[" EVENT_OF_ROW "]", REASON_MALFORMED_JSON, false},
	{"cut short", "{" BASE, REASON_MALFORMED_JSON, false},
	{"text after the object", WITH("") "x", REASON_MALFORMED_JSON, false},
	{"second object", WITH("") WITH(""), REASON_MALFORMED_JSON, false},
	{"trailing comma", WITH(","), REASON_MALFORMED_JSON, false},
	{"two commas", WITH(",,\"price\":1"), REASON_MALFORMED_JSON, false},
	{"repeated field", WITH(TYPE), REASON_MALFORMED_JSON, false},
	{"repeated field of the same name, escaped", WITH(",\"event\\u005ftype\":\"view\""),
         REASON_MALFORMED_JSON, false},
	{"repeated extra field", WITH(",\"x\":1,\"x\":1"), REASON_MALFORMED_JSON, false},
	{"repeated nested field", WITH(",\"x\":{\"y\":1,\"y\":1}"), REASON_MALFORMED_JSON, false},
	{"byte order mark", "\xef\xbb\xbf" WITH(""), REASON_MALFORMED_JSON, false},
	{"line break in a text", WITH(",\"brand\":\"a\nb\""), REASON_MALFORMED_JSON, false},
	{"half a surrogate pair", WITH(",\"brand\":\"\\ud83d\""), REASON_MALFORMED_JSON, false},
	{"NaN", PRICE("NaN"), REASON_NONE, true},
	{"Infinity", PRICE("Infinity"), REASON_NONE, false},
	{"minus Infinity", PRICE("-Infinity"), REASON_NONE, false},
	{"NaN in a text field", WITH(",\"brand\":NaN"), REASON_NONE, true},
	{"NaN in extra fields", WITH(",\"x\":NaN,\"y\":[-Infinity,{\"z\":NaN}]"), REASON_NONE,
         false},
	{"NaN as a purchase's price",
         "{" TIME ",\"event_type\":\"purchase\"" PRODUCT USER ",\"price\":NaN}",
         REASON_MISSING_PRICE, false},
	{"NaN as a user", "{" TIME TYPE PRODUCT ",\"user_id\":NaN}", REASON_MISSING_USER_ID, false},
	{"NaN within a text", WITH(",\"brand\":\"a\\\" NaN\",\"x\":NaN"), REASON_NONE, false},
	{"NaN, and a missing brace", "{" BASE ",\"x\":NaN", REASON_MALFORMED_JSON, false},
	{"NaN with a letter after it", PRICE("NaNs"), REASON_MALFORMED_JSON, false},
	{"NaN with a sign", PRICE("-NaN"), REASON_MALFORMED_JSON, false},
	{"NaN after a digit", PRICE("1NaN"), REASON_MALFORMED_JSON, false},
	{"NaN after zeros", PRICE("00NaN"), REASON_MALFORMED_JSON, false},
	{"NaN after a point", PRICE("1.NaN"), REASON_MALFORMED_JSON, false},
	{"NaN after a number out of range", PRICE("9999999999999999999NaN"), REASON_MALFORMED_JSON,
         false},
	{"NaN after many digits and a point", PRICE("1234567890123.5NaN"), REASON_MALFORMED_JSON,
         false},
	{"NaN as a key", WITH(",NaN:1"), REASON_MALFORMED_JSON, false},
	{"NaN alone", "NaN", REASON_MALFORMED_JSON, false},
	{"nan without capitals", PRICE("nan"), REASON_MALFORMED_JSON, false},
	{"leading zero", PRICE("01"), REASON_MALFORMED_JSON, false},
	{"point without digits", PRICE("1."), REASON_MALFORMED_JSON, false},
	{"integer beyond 64 bits", ID("9223372036854775808"), REASON_MALFORMED_JSON, false},
	{"real beyond a double", PRICE("1e999"), REASON_MALFORMED_JSON, false},
	{"empty object", "{}", REASON_MISSING_EVENT_TIME, false},

	{"UTF-8: lone continuation", WITH(",\"brand\":\"\x80\""), REASON_INVALID_UTF8, false},
	{"UTF-8: overlong", WITH(",\"brand\":\"\xc0\xaf\""), REASON_INVALID_UTF8, false},
	{"UTF-8: overlong of three", WITH(",\"brand\":\"\xe0\x9f\xbf\""), REASON_INVALID_UTF8,
         false},
	{"UTF-8: overlong of four", WITH(",\"brand\":\"\xf0\x8f\xbf\xbf\""), REASON_INVALID_UTF8,
         false},
	{"UTF-8: surrogate", WITH(",\"brand\":\"\xed\xa0\x80\""), REASON_INVALID_UTF8, false},
	{"UTF-8: too high", WITH(",\"brand\":\"\xf4\x90\x80\x80\""), REASON_INVALID_UTF8, false},
	{"UTF-8: cut", WITH(",\"brand\":\"\xe2\x82\""), REASON_INVALID_UTF8, false},
	{"UTF-8 comes before JSON", "\xff", REASON_INVALID_UTF8, false},
	{"UTF-8 in an extra field", WITH(",\"x\":\"\xff\""), REASON_INVALID_UTF8, false},

	{"time absent", "{\"event_type\":\"view\"" PRODUCT USER "}", REASON_MISSING_EVENT_TIME,
         false},
	{"time null", AT("null"), REASON_MISSING_EVENT_TIME, false},
	{"time empty", AT("\"\""), REASON_MISSING_EVENT_TIME, false},
	{"time a null word", AT("\"NaN\""), REASON_MISSING_EVENT_TIME, false},
	{"time an epoch", AT("1569888000"), REASON_NONE, true},
	{"time an epoch with a fraction", AT("1569888000.25"), REASON_NONE, true},
	{"time an epoch with a long fraction", AT("1569888000.123456"), REASON_NONE, false},
	{"time an epoch in ms", AT("1569888000000"), REASON_NONE, true},
	{"time an epoch in ms as a real", AT("1569888000000.0"), REASON_NONE, false},
	{"time an epoch in us", AT("1569888000000000"), REASON_NONE, true},
	{"time an epoch in ns", AT("1569888000000000000"), REASON_NONE, true},
	{"time an epoch in ns as a real", AT("1.569888e18"), REASON_INVALID_EVENT_TIME, false},
	{"time an epoch as text", AT("\"1569888000\""), REASON_NONE, true},
	{"time an epoch of 9 digits", AT("156988800"), REASON_INVALID_EVENT_TIME, false},
	{"time with an offset", AT("\"2019-10-01 03:00:00+03\""), REASON_NONE, true},
	{"time without seconds", AT("\"2019-10-01 00:00\""), REASON_INVALID_EVENT_TIME, false},
	{"time an object", AT("{}"), REASON_INVALID_EVENT_TIME, false},
	{"time no time", AT("\"yesterday\""), REASON_INVALID_EVENT_TIME, false},
	{"time with a NUL", AT("\"2019-10-01 00:00:00\\u0000\""), REASON_INVALID_EVENT_TIME, false},
	{"time on 29 February 2019", AT("\"2019-02-29 00:00:00\""), REASON_INVALID_EVENT_TIME,
         false},
	{"time in 1999", AT("\"1999-12-31 23:59:59.999999\""), REASON_INVALID_EVENT_TIME, false},
	{"time in 2000", AT("\"2000-01-01 00:00:00\""), REASON_NONE, true},
	{"time far ahead", AT("\"9999-12-31 23:59:59\""), REASON_NONE, true},

	{"type absent", "{" TIME PRODUCT USER "}", REASON_MISSING_EVENT_TYPE, false},
	{"type null", KIND("null"), REASON_MISSING_EVENT_TYPE, false},
	{"type empty", KIND("\"\""), REASON_MISSING_EVENT_TYPE, false},
	{"type a null word", KIND("\"null\""), REASON_MISSING_EVENT_TYPE, false},
	{"type unknown", KIND("\"refund\""), REASON_UNKNOWN_EVENT_TYPE, false},
	{"type in capitals", KIND("\"View\""), REASON_UNKNOWN_EVENT_TYPE, false},
	{"type a number", KIND("1"), REASON_UNKNOWN_EVENT_TYPE, false},
	{"type view", KIND("\"view\""), REASON_NONE, true},
	{"type cart", KIND("\"cart\""), REASON_NONE, true},
	{"type remove_from_cart", KIND("\"remove_from_cart\""), REASON_NONE, true},
	{"type checkout", KIND("\"checkout\""), REASON_NONE, true},
	{"type purchase", KIND("\"purchase\""), REASON_NONE, true},

	{"product absent", "{" TIME TYPE USER "}", REASON_MISSING_PRODUCT_ID, false},
	{"product null", ID("null"), REASON_MISSING_PRODUCT_ID, false},
	{"product empty", ID("\"\""), REASON_MISSING_PRODUCT_ID, false},
	{"product 0", ID("0"), REASON_INVALID_PRODUCT_ID, false},
	{"product negative", ID("-5"), REASON_INVALID_PRODUCT_ID, false},
	{"product a null word", ID("\"nan\""), REASON_MISSING_PRODUCT_ID, false},
	{"product a real", ID("5.0"), REASON_NONE, true},
	{"product a real with three zeros", ID("5.000"), REASON_NONE, false},
	{"product with an exponent", ID("5e0"), REASON_NONE, false},
	{"product a text with a point", ID("\"5.0\""), REASON_NONE, true},
	{"product a text with an exponent", ID("\"5.1274288E8\""), REASON_NONE, true},
	{"product with a fraction", ID("5.5"), REASON_INVALID_PRODUCT_ID, false},
	{"product with a small fraction", ID("5.001"), REASON_INVALID_PRODUCT_ID, false},
	{"product -5.0", ID("-5.0"), REASON_INVALID_PRODUCT_ID, false},
	{"product 2^53 - 1 as a real", ID("9007199254740991.0"), REASON_NONE, false},
	{"product 2^53 as a real", ID("9007199254740992.0"), REASON_INVALID_PRODUCT_ID, false},
	{"product 2^53 as a text with a point", ID("\"9007199254740992.0\""), REASON_NONE, true},
	{"product a float that lost digits", ID("1.515915625441994e+18"), REASON_INVALID_PRODUCT_ID,
         false},
	{"product a text that lost digits", ID("\"1.515915625441994e+18\""),
         REASON_INVALID_PRODUCT_ID, false},
	{"product true", ID("true"), REASON_INVALID_PRODUCT_ID, false},
	{"product an array", ID("[5]"), REASON_INVALID_PRODUCT_ID, false},
	{"product text with a sign", ID("\"+5\""), REASON_INVALID_PRODUCT_ID, false},
	{"product text with a space", ID("\" 5\""), REASON_INVALID_PRODUCT_ID, false},
	{"product text of zeros", ID("\"000\""), REASON_INVALID_PRODUCT_ID, false},
	{"product text beyond 64 bits", ID("\"9223372036854775808\""), REASON_INVALID_PRODUCT_ID,
         false},
	{"product text with a NUL", ID("\"5\\u0000\""), REASON_INVALID_PRODUCT_ID, false},
	{"product text with leading zeros", ID("\"00000000000000000000044600062\""), REASON_NONE,
         true},
	{"product the largest", ID("9223372036854775807"), REASON_NONE, true},
	{"product text the largest", ID("\"9223372036854775807\""), REASON_NONE, true},

	{"user absent", "{" TIME TYPE PRODUCT "}", REASON_MISSING_USER_ID, false},
	{"user null", "{" TIME TYPE PRODUCT ",\"user_id\":null}", REASON_MISSING_USER_ID, false},
	{"user a null word", "{" TIME TYPE PRODUCT ",\"user_id\":\"\\\\N\"}",
         REASON_MISSING_USER_ID, false},
	{"user a float", "{" TIME TYPE PRODUCT ",\"user_id\":512742880.0}", REASON_NONE, true},
	{"user 0", "{" TIME TYPE PRODUCT ",\"user_id\":0}", REASON_INVALID_USER_ID, false},
	{"category_id 0", WITH(",\"category_id\":0"), REASON_NONE, true},
	{"category_id a text", WITH(",\"category_id\":\"a\""), REASON_NONE, true},
	{"category_id negative", WITH(",\"category_id\":-1"), REASON_NONE, false},
	{"category_id that lost digits", WITH(",\"category_id\":2.05301E+18"), REASON_NONE, false},
	{"category_id a text that lost digits", WITH(",\"category_id\":\"2.05301E+18\""),
         REASON_NONE, true},
	{"category_id an array", WITH(",\"category_id\":[1]"), REASON_NONE, false},
	{"category_code a number", WITH(",\"category_code\":1"), REASON_NONE, true},
	{"category_code an array", WITH(",\"category_code\":[]"), REASON_NONE, false},
	{"brand a number", WITH(",\"brand\":1"), REASON_NONE, true},
	{"brand a number with decimals", WITH(",\"brand\":1.5"), REASON_NONE, true},
	{"brand false", WITH(",\"brand\":false"), REASON_NONE, false},

	{"price 0", PRICE("0"), REASON_NONE, true},
	{"price -0", PRICE("-0"), REASON_NONE, false},
	{"price -0.0", PRICE("-0.0"), REASON_NONE, false},
	{"price of two decimals", PRICE("33.20"), REASON_NONE, true},
	{"price of one decimal", PRICE("33.2"), REASON_NONE, true},
	{"price with zeros after", PRICE("33.200"), REASON_NONE, false},
	{"price with an exponent", PRICE("3.32e1"), REASON_NONE, false},
	{"price text", PRICE("\"33.20\""), REASON_NONE, true},
	{"price text with zeros after", PRICE("\"33.200\""), REASON_NONE, true},
	{"price text with an exponent", PRICE("\"3.32e1\""), REASON_NONE, true},
	{"price the largest integer", PRICE("999999999999999"), REASON_NONE, true},
	{"price the largest text", PRICE("\"999999999999999.99\""), REASON_NONE, true},
	{"price 10^15", PRICE("1000000000000000"), REASON_INVALID_PRICE, false},
	{"price text 10^15", PRICE("\"1000000000000000\""), REASON_INVALID_PRICE, false},
	{"price 10^15 as a real", PRICE("1e15"), REASON_INVALID_PRICE, false},
	{"price real beyond exact cents", PRICE("900000000000000.01"), REASON_INVALID_PRICE, false},
	{"price of three decimals", PRICE("33.201"), REASON_INVALID_PRICE, false},
	{"price text of three decimals", PRICE("\"33.201\""), REASON_INVALID_PRICE, false},
	{"price a small real", PRICE("1e-9"), REASON_INVALID_PRICE, false},
	{"price negative", PRICE("-0.01"), REASON_INVALID_PRICE, false},
	{"price text negative", PRICE("\"-1\""), REASON_INVALID_PRICE, false},
	{"price text with a space", PRICE("\"1 \""), REASON_INVALID_PRICE, false},
	{"price text with a space before", PRICE("\" 1\""), REASON_INVALID_PRICE, false},
	{"price text with a comma", PRICE("\"1,5\""), REASON_INVALID_PRICE, false},
	{"price text two numbers", PRICE("\"1 5\""), REASON_INVALID_PRICE, false},
	{"price text no number", PRICE("\"free\""), REASON_INVALID_PRICE, false},
	{"price text NaN", PRICE("\"NaN\""), REASON_NONE, true},
	{"price text nAn", PRICE("\"nAn\""), REASON_INVALID_PRICE, false},
	{"price text with a currency", PRICE("\"$130.76\""), REASON_INVALID_PRICE, false},
	{"price text with a thousands comma", PRICE("\"1,081.98\""), REASON_INVALID_PRICE, false},
	{"price text beyond a double", PRICE("\"1e999\""), REASON_INVALID_PRICE, false},
	{"price true", PRICE("true"), REASON_INVALID_PRICE, false},
	{"purchase without a price", "{" TIME ",\"event_type\":\"purchase\"" PRODUCT USER "}",
         REASON_MISSING_PRICE, false},
	{"purchase with an empty price",
         "{" TIME ",\"event_type\":\"purchase\"" PRODUCT USER ",\"price\":\"\"}",
         REASON_MISSING_PRICE, false},
	{"purchase with a null word as price",
         "{" TIME ",\"event_type\":\"purchase\"" PRODUCT USER ",\"price\":\"None\"}",
         REASON_MISSING_PRICE, false},
	{"purchase of price 0",
         "{" TIME ",\"event_type\":\"purchase\"" PRODUCT USER ",\"price\":0.00}", REASON_NONE,
         true},

	{"session a number", WITH(",\"user_session\":5"), REASON_INVALID_USER_SESSION, false},
	{"session reserved", WITH(",\"user_session\":\"user:5\""), REASON_INVALID_USER_SESSION,
         false},
	{"session reserved, alone", WITH(",\"user_session\":\"user:\""),
         REASON_INVALID_USER_SESSION, false},
	{"session a null word", WITH(",\"user_session\":\"undefined\""), REASON_NONE, true},
	{"session almost reserved", WITH(",\"user_session\":\"user5\""), REASON_NONE, true},

	{"text of 512 bytes", WITH(",\"brand\":\"" X512 "\""), REASON_NONE, true},
	{"text of 513 bytes", WITH(",\"brand\":\"" X512 "x\""), REASON_NONE, true},
	{"session of 513 bytes", WITH(",\"user_session\":\"" X512 "x\""), REASON_TEXT_TOO_LONG,
         false},
	{"category of 513 bytes", WITH(",\"category_code\":\"" X512 "x\""), REASON_NONE, true},
	{"NUL in a brand", WITH(",\"brand\":\"a\\u0000b\""), REASON_NONE, false},
	{"NUL in a session", WITH(",\"user_session\":\"\\u0000\""), REASON_NUL_CHARACTER, false},
	{"NUL and too long: NUL first", WITH(",\"user_session\":\"\\u0000" X512 "\""),
         REASON_NUL_CHARACTER, false},
	{"NUL in an extra field", WITH(",\"x\":\"a\\u0000b\""), REASON_NONE, false},

	{"order: time before type",
         "{\"event_time\":\"x\",\"event_type\":\"x\",\"product_id\":0,\"user_id\":0}",
         REASON_INVALID_EVENT_TIME, false},
	{"order: type before product",
         "{" TIME ",\"event_type\":\"x\",\"product_id\":0,\"user_id\":0}",
         REASON_UNKNOWN_EVENT_TYPE, false},
	{"order: product before user", "{" TIME TYPE ",\"user_id\":0,\"product_id\":0}",
         REASON_INVALID_PRODUCT_ID, false},
	{"order: user before price", "{" TIME TYPE PRODUCT ",\"price\":-1}", REASON_MISSING_USER_ID,
         false},
	{"order: price before session", WITH(",\"user_session\":0,\"price\":-1"),
         REASON_INVALID_PRICE, false},
};

Test(event_json, both_parsers_give_the_results_of_the_table)
{
	struct event_parser *parser = event_parser_new(NULL);

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
		struct span value = span_of(verdicts[i].in);
		struct event fast, library, either;
		enum reason got, fast_reason = REASON_COUNT;
		char detail[160] = "";
		bool taken = event_parse_json_fast(value, default_rules(), &fast, &fast_reason);

		got = event_parse_json_library(parser, value, &library, detail, sizeof(detail));
		cr_expect_eq(got, verdicts[i].want, "%s: library says %s (%s)", verdicts[i].label,
		             reason_name(got), detail);
		cr_expect(got == REASON_NONE || detail[0], "%s: no detail", verdicts[i].label);
		cr_expect_eq(taken, verdicts[i].fast, "%s: fast path %s", verdicts[i].label,
		             taken ? "took it" : "left it");
		cr_expect(!taken || (fast_reason == got && same_event(&fast, &library)),
		          "%s: the paths differ", verdicts[i].label);
		got = parse(value, &either, detail);
		cr_expect_eq(got, verdicts[i].want, "%s: got %s", verdicts[i].label,
		             reason_name(got));
		cr_expect(got != REASON_NONE || detail[0] == '\0',
		          "%s: detail of an accepted event", verdicts[i].label);
	}
	event_parser_free(parser);
}

Test(event_json, the_detail_of_a_price_with_a_decimal_comma_names_the_remedy)
{
	static const struct {
		const char *value;
		bool named;
	} table[] = {
		{PRICE("\"12,99\""), true},
		{PRICE("\"12,9\""), true},
		{PRICE("\"1.299,00\""), true},
		{PRICE("\"1 299,00\""), true},
		{PRICE("\"1\302\240299,00\""), true},
		{PRICE("\"1,299\""), false},
		{PRICE("\"1,081.98\""), false},
		{PRICE("\"1,081,98\""), false},
		{PRICE("\"12,99 EUR\""), false},
		{PRICE("\"-12,99\""), false},
		{PRICE("\",99\""), false},
		{PRICE("\"12,\""), false},
		{PRICE("\"33.201\""), false},
		{PRICE("true"), false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event event;
		char detail[160];

		cr_expect_eq(parse(span_of(table[i].value), &event, detail), REASON_INVALID_PRICE);
		cr_expect_eq(strstr(detail, ": a decimal comma needs decimal = , in MAPPING") !=
		                     NULL,
		             table[i].named, "%s: %s", table[i].value, detail);
	}
}

Test(event_json, a_nul_byte_in_the_value_is_malformed)
{
	static const char inside[] = WITH(",\"brand\":\"a\0b\""), after[] = WITH("") "\0";
	struct event event;
	char detail[160];

	cr_expect_eq(parse(SPAN(inside), &event, detail), REASON_MALFORMED_JSON);
	cr_expect_eq(parse(SPAN(after), &event, detail), REASON_MALFORMED_JSON);
	cr_expect_eq(parse(SPAN_NULL, &event, detail), REASON_MALFORMED_JSON);
}

Test(event_json, size_is_checked_first_and_the_largest_value_is_read)
{
	char *value = malloc(EVENT_VALUE_MAX + 1), detail[160];
	static const char json[] = WITH("");
	struct event event;

	cr_assert(value);
	memset(value, ' ', EVENT_VALUE_MAX + 1);
	memcpy(value, json, sizeof(json) - 1);
	cr_expect_eq(parse((struct span){value, EVENT_VALUE_MAX}, &event, detail), REASON_NONE);
	value[EVENT_VALUE_MAX] = '\xff';
	cr_expect_eq(parse((struct span){value, EVENT_VALUE_MAX + 1}, &event, detail),
	             REASON_OVERSIZED);
	value[EVENT_VALUE_MAX - 1] = '\xff';
	cr_expect_eq(parse((struct span){value, EVENT_VALUE_MAX}, &event, detail),
	             REASON_INVALID_UTF8);
	free(value);
}

Test(event_json, deep_nesting_is_malformed_not_fatal)
{
	char *value = malloc(200000), detail[160];
	struct event event;

	cr_assert(value);
	memset(value, '[', 200000);
	memcpy(value, "{\"x\":", 5);
	cr_expect_eq(parse((struct span){value, 200000}, &event, detail), REASON_MALFORMED_JSON);
	free(value);
}

Test(event_json, values_of_prices_and_ids_are_exact)
{
	static const struct {
		const char *in;
		int64_t cents, product_id;
	} table[] = {
		{PRICE("33.20"), 3320, 44600062},
		{PRICE("33.200"), 3320, 44600062},
		{PRICE("3.32e1"), 3320, 44600062},
		{PRICE("\"33.2\""), 3320, 44600062},
		{PRICE("\"33.200\""), 3320, 44600062},
		{PRICE("\"3.32E+1\""), 3320, 44600062},
		{PRICE("0.29"), 29, 44600062},
		{PRICE("0.290"), 29, 44600062},
		{PRICE("1.10"), 110, 44600062},
		{PRICE("5"), 500, 44600062},
		{PRICE("5.0e0"), 500, 44600062},
		{PRICE("-0.0"), 0, 44600062},
		{PRICE("123456789012.34"), INT64_C(12345678901234), 44600062},
		{PRICE("90071992547409.91"), INT64_C(9007199254740991), 44600062},
		{PRICE("\"999999999999999.99\""), INT64_C(99999999999999999), 44600062},
		{ID("\"00044600062\""), -1, 44600062},
		{ID("9223372036854775807"), -1, INT64_MAX},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event event;
		char detail[160];

		cr_assert_eq(parse(span_of(table[i].in), &event, detail), REASON_NONE, "%s: %s",
		             table[i].in, detail);
		cr_expect_eq(event.price_cents, table[i].cents, "%s: got %" PRId64, table[i].in,
		             event.price_cents);
		cr_expect_eq(event.product_id, table[i].product_id, "%s: got %" PRId64, table[i].in,
		             event.product_id);
	}
}

Test(event_json, decoded_texts_are_the_decoded_bytes)
{
	static const char value[] =
		WITH(",\"brand\":\"a\\\"\\u00e9\",\"user_session\":\"\\ud83d\\ude00\"");
	struct event event;
	char detail[160];

	cr_assert_eq(parse(SPAN(value), &event, detail), REASON_NONE);
	cr_expect(span_is(event.brand, "a\"\xc3\xa9"));
	cr_expect(span_is(event.user_session, "\xf0\x9f\x98\x80"));
}

Test(event_json, details_are_short_and_printable_and_name_the_field)
{
	static const struct {
		const char *in, *want;
	} table[] = {
		{ID("\"a\\nb\\u00e9\""), "product_id is \"a?b??\" (5 bytes)"},
		{ID("-5"), "product_id is -5"},
		{ID("5.5"), "product_id is 5.5"},
		{ID("1.515915625441994e+18"),
	         "product_id is 1.515915625441994e+18: a float in this form may have lost digits"},
		{ID("\"5.12743e+08\""), "product_id is \"5.12743e+08\" (11 bytes): a float in this "
	                                "form may have lost digits"},
		{PRICE("-79.37"), "price is -79.37"},
		{PRICE("130.76000213623047"), "price is 130.76000213623047"},
		{ID("\"nan\""), "product_id is \"nan\" (3 bytes): NULL_WORDS has it"},
		{AT("\"2019-10-01 12:00\""),
	         "event_time is \"2019-10-01 12:00\" (16 bytes): no seconds"},
		{AT("\"10/1/2019 12:00\""),
	         "event_time is \"10/1/2019 12:00\" (15 bytes): day and month are ambiguous"},
		{AT("156988800"), "event_time is 156988800: expected an epoch of 10, 13 or 16 "
	                          "digits"},
		{"{" BASE ",\"x\":NaN,\"y\":[NaN,NaN}", "at byte 123: ']' expected"},
		{ID("[5]"), "product_id is neither text nor number"},
		{ID("null"), "product_id is absent, null or empty"},
		{WITH(",\"user_session\":\"" X512 "x\""),
	         "user_session is \"" X64 "\"... (513 bytes)"},
		{"{" BASE "]", "at byte 102: '}' expected"},
		{"[]", "found an array, expected an object"},
		{"{\"\xff\":1}", "byte 0xff at offset 2"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event event;
		char detail[160], cut[8];
		struct event_parser *parser = event_parser_new(NULL);

		cr_expect_neq(parse(span_of(table[i].in), &event, detail), REASON_NONE);
		cr_expect_str_eq(detail, table[i].want, "%s: got %s", table[i].in, detail);
		event_parse_json(parser, span_of(table[i].in), &event, cut, sizeof(cut));
		cr_expect(strncmp(cut, table[i].want, 7) == 0 && cut[7] == '\0', "got %.8s", cut);
		event_parse_json(parser, span_of(table[i].in), &event, NULL, 0);
		event_parser_free(parser);
	}
}

Test(event_json, an_optional_field_that_cannot_be_read_is_none_and_noted)
{
	static const struct {
		const char *in;
		unsigned unreadable;
	} table[] = {
		{WITH(""), 0},
		{WITH(",\"category_id\":NaN,\"brand\":\"nan\",\"category_code\":null"), 0},
		{WITH(",\"category_id\":\"nan\""), 0},
		{WITH(",\"category_id\":\"2.05301E+18\""), 1u << FIELD_CATEGORY_ID},
		{WITH(",\"category_id\":2.05301E+18"), 1u << FIELD_CATEGORY_ID},
		{WITH(",\"category_id\":-1"), 1u << FIELD_CATEGORY_ID},
		{WITH(",\"category_id\":0"), 1u << FIELD_CATEGORY_ID},
		{WITH(",\"category_id\":\"abc\""), 1u << FIELD_CATEGORY_ID},
		{WITH(",\"category_code\":{\"a\":1}"), 1u << FIELD_CATEGORY_CODE},
		{WITH(",\"category_code\":\"" X512 "x\""), 1u << FIELD_CATEGORY_CODE},
		{WITH(",\"brand\":\"a\\u0000b\""), 1u << FIELD_BRAND},
		{WITH(",\"brand\":7,\"category_id\":[],\"category_code\":true"),
	         1u << FIELD_BRAND | 1u << FIELD_CATEGORY_ID | 1u << FIELD_CATEGORY_CODE},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event event;
		char detail[160];

		cr_assert_eq(parse(span_of(table[i].in), &event, detail), REASON_NONE, "%s: %s",
		             table[i].in, detail);
		cr_expect_eq(event.unreadable, table[i].unreadable, "%s: got %x", table[i].in,
		             event.unreadable);
		cr_expect(event.category_id == 0 && !event.category_code.at && !event.brand.at,
		          "%s", table[i].in);
	}
}

Test(event_json, a_null_word_is_no_session_no_brand_no_category_and_no_price)
{
	static const char *const words[] = {"nan",  "NaN",       "None",  "null",
	                                    "NULL", "undefined", "\\\\N", "N/A"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		char value[512], detail[160], key[32];
		struct event event;

		snprintf(value, sizeof(value),
		         WITH(",\"user_session\":\"%s\",\"brand\":\"%s\",\"category_code\":"
		              "\"%s\",\"category_id\":\"%s\",\"price\":\"%s\""),
		         words[i], words[i], words[i], words[i], words[i]);
		cr_assert_eq(parse(span_of(value), &event, detail), REASON_NONE, "%s", detail);
		cr_expect(!event.user_session.at && !event.brand.at && !event.category_code.at);
		cr_expect(event.category_id == 0 && event.price_cents == -1);
		cr_expect_eq(event.unreadable, 0);
		cr_expect(span_is(event_session_key(&event, key), "user:541312140"));
	}
}

/* The verdicts with rules of one's own, by both parsers. */
Test(event_json, settings_decide_what_is_valid)
{
	static const struct {
		struct event_rules_config rules;
		const char *in;
		enum reason want;
	} table[] = {
#define ALL  EVENT_RULES_ALL_TYPES
#define MAX  EVENT_RULES_MAX_PRICE
#define NONE NULL_WORDS_DEFAULT
		{{"user_session", ALL, "none", "0", MAX, NONE},
	         WITH(""),
	         REASON_MISSING_USER_SESSION},
		{{"user_session", ALL, "none", "0", MAX, NONE},
	         WITH(",\"user_session\":\"nan\""),
	         REASON_MISSING_USER_SESSION},
		{{"user_session", ALL, "none", "0", MAX, NONE},
	         WITH(",\"user_session\":\"s\""),
	         REASON_NONE},
		{{"price", ALL, "none", "0", MAX, NONE}, WITH(""), REASON_MISSING_PRICE},
		{{"price", ALL, "none", "0", MAX, NONE}, PRICE("5"), REASON_NONE},
		{{"brand", ALL, "none", "0", MAX, NONE}, WITH(""), REASON_MISSING_BRAND},
		{{"brand", ALL, "none", "0", MAX, NONE},
	         WITH(",\"brand\":5"),
	         REASON_INVALID_BRAND},
		{{"brand", ALL, "none", "0", MAX, NONE},
	         WITH(",\"brand\":\"" X512 "x\""),
	         REASON_TEXT_TOO_LONG},
		{{"brand", ALL, "none", "0", MAX, NONE},
	         WITH(",\"brand\":\"\\u0000\""),
	         REASON_NUL_CHARACTER},
		{{"category_id", ALL, "none", "0", MAX, NONE},
	         WITH(""),
	         REASON_MISSING_CATEGORY_ID},
		{{"category_id", ALL, "none", "0", MAX, NONE},
	         WITH(",\"category_id\":2.05301E+18"),
	         REASON_INVALID_CATEGORY_ID},
		{{"category_code", ALL, "none", "0", MAX, NONE},
	         WITH(""),
	         REASON_MISSING_CATEGORY_CODE},
		{{"category_code", ALL, "none", "0", MAX, NONE},
	         WITH(",\"category_code\":1"),
	         REASON_INVALID_CATEGORY_CODE},
		{{"", "cart,purchase", "none", "0", MAX, NONE},
	         WITH(""),
	         REASON_EVENT_TYPE_NOT_ALLOWED},
		{{"", "cart,purchase", "none", "0", MAX, NONE},
	         KIND("\"stare\""),
	         REASON_UNKNOWN_EVENT_TYPE},
		{{"", "cart,purchase", "none", "0", MAX, NONE}, KIND("\"cart\""), REASON_NONE},
		{{"", ALL, "view", "0", MAX, NONE}, WITH(""), REASON_MISSING_PRICE},
		{{"", ALL, "none", "0", MAX, NONE},
	         "{" TIME ",\"event_type\":\"purchase\"" PRODUCT USER "}",
	         REASON_NONE},
		{{"", ALL, "none", "0.01", "500", NONE}, PRICE("0"), REASON_PRICE_OUT_OF_BOUNDS},
		{{"", ALL, "none", "0.01", "500", NONE},
	         PRICE("\"500.01\""),
	         REASON_PRICE_OUT_OF_BOUNDS},
		{{"", ALL, "none", "0.01", "500", NONE}, PRICE("500"), REASON_NONE},
		{{"", ALL, "none", "0.01", "500", NONE}, PRICE("0.01"), REASON_NONE},
		{{"", ALL, "none", "0.01", "500", NONE}, WITH(""), REASON_NONE},
		{{"price", ALL, "none", "0", MAX, "-1"}, PRICE("-1"), REASON_MISSING_PRICE},
		{{"price", ALL, "none", "0", MAX, "-1"}, PRICE("-1.0"), REASON_MISSING_PRICE},
		{{"price", ALL, "none", "0", MAX, "-1,0"}, PRICE("0.00"), REASON_MISSING_PRICE},
		{{"category_id", ALL, "none", "0", MAX, "-1,0"},
	         WITH(",\"category_id\":0"),
	         REASON_MISSING_CATEGORY_ID},
		{{"", ALL, "none", "0", MAX, "-"}, PRICE("\"nan\""), REASON_INVALID_PRICE},
#undef NONE
#undef MAX
#undef ALL
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event_rules rules;
		struct event_parser *parser;
		struct event fast, library;
		char detail[160];
		enum reason got;
		struct err err;

		cr_assert(event_rules_read(&table[i].rules, &rules, &err), "%s", err.message);
		parser = event_parser_new(&rules);
		got = event_parse_json_library(parser, span_of(table[i].in), &library, detail,
		                               sizeof(detail));
		cr_expect_eq(got, table[i].want, "%zu: %s: got %s", i, table[i].in,
		             reason_name(got));
		if (event_parse_json_fast(span_of(table[i].in), &rules, &fast, &got))
			cr_expect(table[i].want == REASON_NONE && same_event(&fast, &library));
		event_parser_free(parser);
	}
}

Test(event_json, the_detail_of_a_rule_says_what_it_expects)
{
	struct event_rules_config config = {"brand", "view", "none",
	                                    "0.01",  "500",  NULL_WORDS_DEFAULT};
	struct event_rules rules;
	struct event_parser *parser;
	struct event event;
	char detail[160];
	struct err err;

	cr_assert(event_rules_read(&config, &rules, &err));
	parser = event_parser_new(&rules);
	event_parse_json(parser, SPAN(WITH(",\"brand\":\"b\",\"price\":500.5")), &event, detail,
	                 sizeof(detail));
	cr_expect_str_eq(detail, "price is 500.5: expected 0.01 to 500.00");
	event_parse_json(parser, SPAN(KIND("\"cart\"")), &event, detail, sizeof(detail));
	cr_expect_str_eq(detail, "event_type is \"cart\" (4 bytes)");
	event_parser_free(parser);
}

/* The instant and the ids of one event, however its source writes them. */
Test(event_json, forms_of_a_value_give_the_same_event)
{
	static const char *const times[] = {
		"\"2019-10-01 12:00:00 UTC\"",
		"\"2019-10-01T15:00:00.000+03:00\"",
		"\"2019-10-01 12:00:00+00\"",
		"\"1569931200\"",
		"1569931200",
		"1569931200.0",
		"1569931200.00",
		"1569931200.000",
		"1569931200000",
		"1569931200000.0",
		"1569931200000000",
		"1569931200000000000",
	};
	static const char *const users[] = {"512742880",       "512742880.0",  "512742880.000",
	                                    "\"512742880\"",   "5.1274288e8",  "\"512742880.0\"",
	                                    "\"5.1274288E8\"", "5.1274288e+08"};

	for (size_t t = 0; t < sizeof(times) / sizeof(*times); t++) {
		for (size_t u = 0; u < sizeof(users) / sizeof(*users); u++) {
			char value[256], detail[160];
			struct event event;

			snprintf(value, sizeof(value),
			         "{\"event_time\":%s" TYPE PRODUCT ",\"user_id\":%s}", times[t],
			         users[u]);
			cr_assert_eq(parse(span_of(value), &event, detail), REASON_NONE, "%s: %s",
			             value, detail);
			cr_expect_eq(event.event_time_us, INT64_C(1569931200000000), "%s", value);
			cr_expect_eq(event.user_id, 512742880, "%s", value);
		}
	}
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 11;
}

/* A value with a random number of digits, so that small and large amounts are as likely. */
static int64_t random_cents(uint64_t *state)
{
	return (int64_t)(next_random(state) >> next_random(state) % 53) % INT64_C(100000000000000);
}

Test(event_json, every_price_in_cents_is_read_the_same_in_all_forms)
{
	uint64_t seed = 20200229;

	for (int round = 0; round < 30000; round++) {
		int64_t cents = random_cents(&seed);
		static const char *const forms[] = {"%" PRId64 ".%02d", "%" PRId64 ".%02d0",
		                                    "%" PRId64 "%02de-2", "\"%" PRId64 ".%02d\"",
		                                    "\"%" PRId64 ".%02d0\""};

		for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
			char number[64], value[256], detail[160];
			struct event event;
			int len;

			if (i == 2 && cents < 100)
				continue; /* would begin with a zero */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(number, sizeof(number), forms[i], cents / 100, (int)(cents % 100));
#pragma GCC diagnostic pop
			len = snprintf(value, sizeof(value), "{%s,\"price\":%s}", BASE, number);
			cr_assert_eq(parse((struct span){value, (size_t)len}, &event, detail),
			             REASON_NONE, "%s: %s", number, detail);
			cr_assert_eq(event.price_cents, cents, "%s: got %" PRId64, number,
			             event.price_cents);
		}
	}
}

static const char *const seeds[] = {
	EVENT_OF_ROW,
	WITH(",\"category_id\":\"0012\",\"category_code\":null,\"brand\":\"\","
             "\"price\":\"33.20\",\"user_session\":\"s\""),
	"{\"price\": 12.5, \"user_session\": \"a b\", \"user_id\": \"7\", "
	"\"event_time\": \"2020-02-29T23:59:59.5Z\", \"product_id\": 1, "
	"\"event_type\": \"purchase\"}",
	WITH(",\"price\":3.32e1,\"extra\":{\"a\":[1,2]},\"brand\":\"caf\xc3\xa9\\n\\u0041\""),
};

static const char *const tokens[] = {
	"null",
	"true",
	"\"\"",
	"0",
	"-1",
	"1",
	"01",
	"1.5",
	"1.005",
	"1e2",
	"1E-2",
	"12.",
	".5",
	"{",
	"}",
	"[",
	"]",
	",",
	":",
	"\"",
	"\\",
	"\\u0000",
	"\\ud800",
	"\\\"",
	"\xc3\xa9",
	"\xff",
	"\"view\"",
	"\"cart\"",
	"\"purchase\"",
	"\"user:1\"",
	"user:",
	"\"brand\"",
	"\"price\"",
	"\"x\":1,",
	"\"event_time\"",
	"\"event_type\":\"cart\",",
	"9223372036854775807",
	"9223372036854775808",
	"999999999999999",
	" ",
	"\n",
	"2019-02-29",
	"1999-12-31 23:59:59",
	"+00:00",
	".123456",
	"\"33.20\"",
	"0.10",
	"99999999999.99",
	"NaN",
	"-Infinity",
	"\"nan\"",
	"\"NULL\"",
	"1569888000",
	"1569888000.5",
	"1569888000000",
	"512742880.0",
	"\"5.0\"",
	"5.1274288E8",
	"2.05301E+18",
	"9007199254740992.0",
	"+03:00",
	"9999999999999.99",
	"-0",
	"{}",
};

#define MUTANT_MAX 1024

static size_t splice(char *text, size_t len, size_t at, size_t cut, const char *with,
                     size_t with_len)
{
	if (cut > len - at)
		cut = len - at;
	if (len - cut + with_len > MUTANT_MAX)
		return len;
	memmove(text + at + with_len, text + at + cut, len - at - cut);
	if (with_len > 0)
		memcpy(text + at, with, with_len);
	return len - cut + with_len;
}

/* Length of the token at p: a text, a run of letters and digits, or one byte. */
static size_t token_length(const char *p, size_t left)
{
	size_t len = 1;

	if (*p == '"') {
		while (len < left && p[len] != '"')
			len++;
		return len < left ? len + 1 : len;
	}
	while (len < left && strchr(" ,:{}[]\"", *p) == NULL && strchr(" ,:{}[]\"", p[len]) == NULL)
		len++;
	return len;
}

static size_t mutate(char *text, size_t len, uint64_t *state)
{
	size_t at = len ? next_random(state) % len : 0;
	const char *token = tokens[next_random(state) % (sizeof(tokens) / sizeof(*tokens))];
	char byte = (char)next_random(state), copy[MUTANT_MAX];

	if (len == 0)
		return splice(text, len, 0, 0, token, strlen(token));
	switch (next_random(state) % 10) {
	case 8:
	case 9: /* replaces a digit by the next one: mostly stays valid, often at a limit */
		while (at > 0 && (text[at] < '0' || text[at] > '9'))
			at--;
		text[at] = text[at] >= '0' && text[at] < '9' ? (char)(text[at] + 1)
		           : text[at] == '9'                 ? '0'
		                                             : text[at];
		return len;
	case 0: text[at] = (char)(text[at] ^ 1 << next_random(state) % 8); return len;
	case 1: return splice(text, len, at, 0, &byte, 1);
	case 2: return splice(text, len, at, 1, NULL, 0);
	case 3: return splice(text, len, at, 0, token, strlen(token));
	case 4: /* repeats a part of the value */
		memcpy(copy, text, len);
		return splice(text, len, next_random(state) % len, 0, copy + at,
		              next_random(state) % (len - at + 1));
	default: /* replaces a token by another one */
		while (at > 0 && strchr(" ,:{}[]", text[at - 1]) == NULL)
			at--;
		return splice(text, len, at, token_length(text + at, len - at), token,
		              strlen(token));
	}
}

struct tally {
	int taken_fast, by_reason[REASON_COUNT];
};

static void compare_paths(struct event_parser *parser, struct event_parser *other,
                          struct span value, int round, struct tally *tally)
{
	struct event fast, either, library;
	enum reason got, want, fast_reason = REASON_COUNT;
	bool taken = event_parse_json_fast(value, default_rules(), &fast, &fast_reason);

	got = event_parse_json(parser, value, &either, NULL, 0);
	want = event_parse_json_library(other, value, &library, NULL, 0);
	cr_assert_eq(got, want, "round %d: %s, library %s: %.*s", round, reason_name(got),
	             reason_name(want), (int)value.len, value.at);
	cr_assert(!taken || fast_reason == want, "round %d: fast %s: %.*s", round,
	          reason_name(fast_reason), (int)value.len, value.at);
	cr_assert(want != REASON_NONE || same_event(&either, &library),
	          "round %d: events differ: %.*s", round, (int)value.len, value.at);
	cr_assert(!taken || same_event(&fast, &library), "round %d: fast event differs: %.*s",
	          round, (int)value.len, value.at);
	tally->taken_fast += taken;
	tally->by_reason[want]++;
}

Test(event_json, both_parsers_agree_on_200000_mutants)
{
	struct event_parser *parser = event_parser_new(NULL), *other = event_parser_new(NULL);
	struct tally tally = {0};
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
	int reasons = 0;

	for (int round = 0; round < 200000; round++) {
		const char *seed = seeds[next_random(&state) % (sizeof(seeds) / sizeof(*seeds))];
		size_t len = strlen(seed);
		char text[MUTANT_MAX], *exact;

		memcpy(text, seed, len);
		for (uint64_t i = next_random(&state) % 4 / 2 + 1; i > 0; i--)
			len = mutate(text, len, &state);
		/* of exactly its size, so that a sanitizer finds a read past its end */
		exact = malloc(len ? len : 1);
		cr_assert(exact);
		memcpy(exact, text, len);
		compare_paths(parser, other, (struct span){exact, len}, round, &tally);
		free(exact);
	}
	for (int i = 0; i < REASON_COUNT; i++)
		reasons += tally.by_reason[i] > 0;
	cr_expect(tally.taken_fast > 10000, "only %d mutants reached the fast path",
	          tally.taken_fast);
	cr_expect(tally.by_reason[REASON_NONE] > tally.taken_fast + 5000, "only %d accepted",
	          tally.by_reason[REASON_NONE]);
	cr_expect(reasons >= 15, "only %d different verdicts", reasons);
	event_parser_free(parser);
	event_parser_free(other);
}

static size_t write_json(const char *const texts[EVENT_FIELD_COUNT], char *out, size_t cap)
{
	struct span fields[EVENT_FIELD_COUNT];

	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		fields[i] = span_of(texts[i]);
	return event_write_json(fields, out, cap);
}

Test(event_json, a_source_row_is_written_as_its_json_and_only_when_it_fits)
{
	static const char *const row[] = {"2019-10-01 00:00:00 UTC",
	                                  "view",
	                                  "44600062",
	                                  "2103807459595387724",
	                                  "electronics.smartphone",
	                                  "shiseido",
	                                  "35.79",
	                                  "541312140",
	                                  "72d76fde-8bb3-4e00-8c23-a032dfed738c"};
	char out[512];
	size_t len = write_json(row, out, sizeof(out));

	cr_expect(span_is((struct span){out, len}, EVENT_OF_ROW), "got %.*s", (int)len, out);
	cr_expect_eq(write_json(row, out, len), len);
	for (size_t cap = 0; cap < len; cap++)
		cr_expect_eq(write_json(row, out, cap), 0, "cap %zu", cap);
}

Test(event_json, fields_are_written_as_in_the_source)
{
	static const struct {
		const char *price, *want;
	} table[] = {
		{NULL, "null"},
		{"", "null"},
		{"0", "0"},
		{"-5", "-5"},
		{"33.20", "33.20"},
		{"1e2", "1e2"},
		{"1.5E-02", "1.5E-02"},
		{"9223372036854775807", "9223372036854775807"},
		{"9223372036854775808", "\"9223372036854775808\""},
		{"99999999999999999999", "\"99999999999999999999\""},
		{"1e999", "\"1e999\""},
		{"007", "\"007\""},
		{"+5", "\"+5\""},
		{"-", "\"-\""},
		{"5.", "\"5.\""},
		{".5", "\".5\""},
		{"1e", "\"1e\""},
		{"1e+", "\"1e+\""},
		{"1.5x", "\"1.5x\""},
		{"1 ", "\"1 \""},
		{"NaN", "\"NaN\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"a\tb\n\x1f\x7f", "\"a\\u0009b\\u000a\\u001f\x7f\""},
		{"caf\xc3\xa9\xff", "\"caf\xc3\xa9\xff\""},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const char *texts[EVENT_FIELD_COUNT] = {[6] = table[i].price};
		char out[512], want[512];
		size_t len = write_json(texts, out, sizeof(out));

		snprintf(want, sizeof(want),
		         "{\"event_time\":null,\"event_type\":null,\"product_id\":null,"
		         "\"category_id\":null,\"category_code\":null,\"brand\":null,"
		         "\"price\":%s,\"user_id\":null,\"user_session\":null}",
		         table[i].want);
		cr_expect(span_is((struct span){out, len}, want), "got %.*s, want %s", (int)len,
		          out, want);
	}
}

Test(event_json, a_number_in_a_text_field_stays_a_text)
{
	const char *texts[EVENT_FIELD_COUNT] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
	char out[512];
	size_t len = write_json(texts, out, sizeof(out));

	cr_expect(span_is((struct span){out, len},
	                  "{\"event_time\":\"1\",\"event_type\":\"2\",\"product_id\":3,"
	                  "\"category_id\":4,\"category_code\":\"5\",\"brand\":\"6\","
	                  "\"price\":7,\"user_id\":8,\"user_session\":\"9\"}"));
}

Test(event_json, an_id_with_a_point_stays_a_text_so_that_no_reader_makes_it_a_double)
{
	static const struct {
		const char *id, *want;
	} table[] = {
		{"512742880", "512742880"},
		{"-1", "-1"},
		{"512742880.0", "\"512742880.0\""},
		{"2053013555631882655.0", "\"2053013555631882655.0\""},
		{"2.05301E+18", "\"2.05301E+18\""},
		{"-", "\"-\""},
		{"0042", "\"0042\""},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const char *texts[EVENT_FIELD_COUNT] = {[3] = table[i].id};
		char out[512], want[64];
		size_t len = write_json(texts, out, sizeof(out) - 1);

		out[len] = '\0';
		snprintf(want, sizeof(want), "\"category_id\":%s,", table[i].want);
		cr_expect(strstr(out, want), "got %s, want %s", out, want);
	}
}

/* For every text of the source, bronze-sink can read the object, or refuses it as invalid_utf8. */
Test(event_json, any_source_text_gives_an_object_with_its_own_reason)
{
	static const struct {
		int field;
		struct span text;
		enum reason want;
	} table[] = {
		{0, {"not a time", 10}, REASON_INVALID_EVENT_TIME},
		{1, {"\"}", 2}, REASON_UNKNOWN_EVENT_TYPE},
		{2, {"99999999999999999999", 20}, REASON_INVALID_PRODUCT_ID},
		{2, {"1.0", 3}, REASON_NONE},
		{2, {"1.5", 3}, REASON_INVALID_PRODUCT_ID},
		{2, {"2053013555631882655.0", 21}, REASON_NONE},
		{2, {"2.053013555631883e+18", 21}, REASON_INVALID_PRODUCT_ID},
		{2, {"5.12743e+08", 11}, REASON_INVALID_PRODUCT_ID},
		{2, {"5.1274288E8", 11}, REASON_NONE},
		{2, {"", 0}, REASON_MISSING_PRODUCT_ID},
		{2, {"0042", 4}, REASON_NONE},
		{3, {"x", 1}, REASON_NONE},
		{5, {"a\0b", 3}, REASON_NONE},
		{8, {"a\0b", 3}, REASON_NUL_CHARACTER},
		{5, {"\xff", 1}, REASON_INVALID_UTF8},
		{5, {"\x01\"\\\n", 4}, REASON_NONE},
		{6, {"1e999", 5}, REASON_INVALID_PRICE},
		{6, {"1.005", 5}, REASON_INVALID_PRICE},
		{8, {"user:1", 6}, REASON_INVALID_USER_SESSION},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct span fields[EVENT_FIELD_COUNT] = {SPAN("2019-10-01 00:00:00 UTC"),
		                                         SPAN("view"),
		                                         SPAN("1"),
		                                         SPAN("2"),
		                                         SPAN("a.b"),
		                                         SPAN("b"),
		                                         SPAN("1.5"),
		                                         SPAN("3"),
		                                         SPAN("s")};
		char out[512], detail[160];
		struct event event;
		enum reason got;

		fields[table[i].field] = table[i].text;
		got = parse((struct span){out, event_write_json(fields, out, sizeof(out))}, &event,
		            detail);
		cr_expect_eq(got, table[i].want, "row %zu: got %s (%s)", i, reason_name(got),
		             detail);
		cr_expect(got != REASON_NONE || table[i].field != 5 ||
		          event.unreadable == 1u << FIELD_BRAND ||
		          span_equal(event.brand, table[i].text));
	}
}

/* Each byte in each place of a text: it is escaped if JSON needs that, and only then. */
Test(event_json, a_byte_is_escaped_wherever_it_is)
{
	static const char before[] = "{\"event_time\":\"";
	char text[20], out[512], want[64];

	for (int byte = 0; byte < 256; byte++)
		for (size_t at = 0; at < sizeof(text); at++) {
			struct span fields[EVENT_FIELD_COUNT] = {{text, sizeof(text)}};
			bool escaped = byte == '"' || byte == '\\', control = byte < 0x20;
			size_t len = at;

			memset(text, 'a', sizeof(text));
			memset(want, 'a', sizeof(want));
			text[at] = (char)byte;
			if (control)
				len += (size_t)snprintf(want + len, 8, "\\u%04x", (unsigned)byte);
			if (escaped)
				want[len++] = '\\';
			if (!control)
				want[len++] = (char)byte;
			want[len] = 'a';
			len += sizeof(text) - at - 1;
			want[len++] = '"';
			event_write_json(fields, out, sizeof(out));
			cr_assert_eq(memcmp(out, before, sizeof(before) - 1), 0);
			cr_assert_eq(memcmp(out + sizeof(before) - 1, want, len), 0,
			             "byte %d at %zu", byte, at);
		}
}

Test(event_json, names_of_types_parse_back)
{
	enum event_type type;

	for (int i = 0; i < EVENT_TYPE_COUNT; i++) {
		cr_assert(event_type_parse(span_of(event_type_name((enum event_type)i)), &type));
		cr_expect_eq(type, i);
	}
	cr_expect(!event_type_parse(SPAN("unknown"), &type));
	cr_expect(!event_type_parse(SPAN("views"), &type));
	cr_expect(!event_type_parse(SPAN_NULL, &type));
}
