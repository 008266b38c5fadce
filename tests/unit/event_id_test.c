/* Event ids compared with known digests (printf '...' | md5sum), and their text form. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_id.h"
#include "unit/fold_kit.h"

static void hex_of(const uint8_t id[EVENT_ID_BYTES], char hex[33])
{
	for (size_t i = 0; i < EVENT_ID_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
}

Test(event_id, content_ids_are_the_md5_of_the_five_texts)
{
	static char session_512[EVENT_TEXT_MAX];
	const struct {
		const char *label, *event_time;
		struct event event;
		const char *want;
	} table[] = {
		{"72d76fde-8bb3-4e00-8c23-a032dfed738c|541312140|44600062|view|2019-10-01 00:00:00",
	         "2019-10-01 00:00:00 UTC",
	         {.user_session = SPAN("72d76fde-8bb3-4e00-8c23-a032dfed738c"),
	          .user_id = 541312140,
	          .product_id = 44600062,
	          .type = EVENT_VIEW},
	         "85f69be7efb13b88594c897463edcca8"},
		{"|7|9|purchase|2020-02-29 23:59:59.5",
	         "2020-02-29T23:59:59.500000Z",
	         {.user_id = 7, .product_id = 9, .type = EVENT_PURCHASE},
	         "91b14cc71bc914410d7ea48a850cbe11"},
		{"s|9223372036854775807|1|remove_from_cart|2019-10-01 00:00:00.000001",
	         "2019-10-01 00:00:00.000001",
	         {.user_session = SPAN("s"),
	          .user_id = INT64_MAX,
	          .product_id = 1,
	          .type = EVENT_REMOVE_FROM_CART},
	         "92b42fec92c5bc271eda7cbb45f97eb2"},
		{"x 512 times|1|2|cart|2019-10-01 12:00:00",
	         "2019-10-01 12:00:00",
	         {.user_session = {session_512, sizeof(session_512)},
	          .user_id = 1,
	          .product_id = 2,
	          .type = EVENT_CART},
	         "c4ae0d334a306c80ece9d6f6bd9ef556"},
	};

	memset(session_512, 'x', sizeof(session_512));
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event event = table[i].event;
		uint8_t id[EVENT_ID_BYTES];
		char hex[33];

		cr_assert(time_parse(span_of(table[i].event_time), &event.event_time_us));
		event_id_content(&event, id);
		hex_of(id, hex);
		cr_expect_str_eq(hex, table[i].want, "%s: got %s", table[i].label, hex);
	}
}

Test(event_id, other_fields_do_not_change_the_content_id)
{
	struct event event = {.user_id = 1, .product_id = 2, .type = EVENT_VIEW};
	uint8_t plain[EVENT_ID_BYTES], other[EVENT_ID_BYTES];

	event_id_content(&event, plain);
	event.brand = SPAN("b"), event.category_code = SPAN("c"), event.category_id = 3,
	event.price_cents = 4;
	event_id_content(&event, other);
	cr_expect_arr_eq(plain, other, EVENT_ID_BYTES);
	event.type = EVENT_CART;
	event_id_content(&event, other);
	cr_expect(memcmp(plain, other, EVENT_ID_BYTES) != 0);
}

Test(event_id, source_ids_are_the_md5_of_file_and_row)
{
	uint8_t id[EVENT_ID_BYTES];
	char hex[33];

	event_id_source(&(struct lineage){.source_file = SPAN("2019-Oct.csv.gz"), .source_row = 17},
	                id);
	hex_of(id, hex);
	cr_expect_str_eq(hex, "4329dbcdf4750e6eac728a859d1d3324");
	event_id_source(&(struct lineage){.source_file = SPAN_NULL}, id);
	hex_of(id, hex);
	cr_expect_str_eq(hex, "ef7323af4582f50d5e939a198222d68c");
}

Test(event_id, text_form_is_a_uuid_and_parses_back)
{
	static const uint8_t id[EVENT_ID_BYTES] = {0x85, 0xf6, 0x9b, 0xe7, 0xef, 0xb1, 0x3b, 0x88,
	                                           0x59, 0x4c, 0x89, 0x74, 0x63, 0xed, 0xcc, 0xa8};
	uint8_t back[EVENT_ID_BYTES];
	char text[37];

	event_id_format(id, text);
	cr_expect_str_eq(text, "85f69be7-efb1-3b88-594c-897463edcca8");
	cr_assert(event_id_parse(SPAN("85f69be7-efb1-3b88-594c-897463edcca8"), back));
	cr_expect_arr_eq(back, id, EVENT_ID_BYTES);
	cr_assert(event_id_parse(SPAN("85F69BE7-EFB1-3B88-594C-897463EDCCA8"), back));
	cr_expect_arr_eq(back, id, EVENT_ID_BYTES);
}

Test(event_id, other_texts_are_not_ids)
{
	static const char *const table[] = {
		"",
		"85f69be7efb13b88594c897463edcca8",
		"85f69be7-efb1-3b88-594c-897463edcca",
		"85f69be7-efb1-3b88-594c-897463edcca80",
		"85f69be7-efb1-3b88-594c-897463edccag",
		"85f69be7+efb1-3b88-594c-897463edcca8",
		"85f69be-7efb1-3b88-594c-897463edcca8",
		"85f69be7-efb1-3b88-594c0897463edcca8",
	};
	uint8_t id[EVENT_ID_BYTES];

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect(!event_id_parse(span_of(table[i]), id), "%s was taken", table[i]);
	cr_expect(!event_id_parse(SPAN_NULL, id));
}

Test(event_id, session_key_is_the_session_or_the_user)
{
	struct event event = {.user_id = INT64_MAX};
	char buffer[32];

	cr_expect(span_is(event_session_key(&event, buffer), "user:9223372036854775807"));
	event.user_id = 7;
	cr_expect(span_is(event_session_key(&event, buffer), "user:7"));
	event.user_id = -2; /* the pseudonym of a forgotten user */
	cr_expect(span_is(event_session_key(&event, buffer), "user:-2"));
	event.user_id = INT64_MIN;
	cr_expect(span_is(event_session_key(&event, buffer), "user:-9223372036854775808"));
	event.user_session = SPAN("abc");
	cr_expect(span_is(event_session_key(&event, buffer), "abc"));
}

Test(event_id, category_levels_are_the_parts_between_dots)
{
	static const struct {
		const char *code;
		int level;
		const char *want; /* NULL: none */
	} table[] = {
		{"a.b.c.d", 1, "a"}, {"a.b.c.d", 2, "b"},   {"a.b.c.d", 3, "c"},
		{"a.b.c.d", 4, "d"}, {"a.b.c.d.e", 4, "d"}, {"a", 1, "a"},
		{"a", 2, NULL},      {"a.b", 3, NULL},      {"a..c", 2, NULL},
		{"a..c", 3, "c"},    {".b", 1, NULL},       {".b", 2, "b"},
		{"a.", 2, NULL},     {"a.b", 0, NULL},      {NULL, 1, NULL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct span got = event_category_level(span_of(table[i].code), table[i].level);

		cr_expect(span_equal(got, span_of(table[i].want)), "%s, level %d: got %.*s",
		          table[i].code ? table[i].code : "(none)", table[i].level, (int)got.len,
		          got.at ? got.at : "");
	}
}
