/* One raw value. If the fast scanner handles a value, its result must equal the library's. An
 * accepted event is within its limits, and is the same after Avro encoding and decoding. A refused
 * value has a reason and a terminated detail. */
#include "base/buffer.h"
#include "base/span.h"
#include "base/utf8.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_id.h"
#include "event/event_json_fast.h"
#include "event/event_json_library.h"
#include "event/event_rules.h"
#include "event/reason.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "wire/frame.h"
#include "wire/records_bronze.h"

static bool same_event(const struct event *a, const struct event *b)
{
	return a->event_time_us == b->event_time_us && a->product_id == b->product_id &&
	       a->user_id == b->user_id && a->category_id == b->category_id &&
	       a->price_cents == b->price_cents && a->type == b->type &&
	       span_equal(a->category_code, b->category_code) && span_equal(a->brand, b->brand) &&
	       span_equal(a->user_session, b->user_session);
}

/* Only optional fields are noted, and they are none. */
static void check_unreadable(const struct event *event)
{
	fuzz_check((event->unreadable & ~(1u << FIELD_CATEGORY_ID | 1u << FIELD_CATEGORY_CODE |
	                                  1u << FIELD_BRAND)) == 0);
	fuzz_check(!(event->unreadable >> FIELD_CATEGORY_ID & 1) || event->category_id == 0);
	fuzz_check(!(event->unreadable >> FIELD_CATEGORY_CODE & 1) || !event->category_code.at);
	fuzz_check(!(event->unreadable >> FIELD_BRAND & 1) || !event->brand.at);
}

static void check_text(struct span text)
{
	fuzz_check(!text.at || (text.len > 0 && text.len <= EVENT_TEXT_MAX));
	fuzz_check(!text.at ||
	           (utf8_valid_length(text) == text.len && !memchr(text.at, '\0', text.len)));
}

static void check_limits(const struct event *event)
{
	fuzz_check(event->event_time_us >= INT64_C(946684800000000) &&
	           event->event_time_us <= INT64_C(253402300799999999));
	fuzz_check(event->product_id > 0 && event->user_id > 0 && event->category_id >= 0);
	fuzz_check(event->price_cents >= -1 && event->price_cents < INT64_C(100000000000000000));
	fuzz_check(event->type != EVENT_PURCHASE || event->price_cents >= 0);
	fuzz_check(event->type >= 0 && event->type < EVENT_TYPE_COUNT);
	check_text(event->category_code);
	check_text(event->brand);
	check_text(event->user_session);
}

static void check_avro(const struct event *event)
{
	struct bronze_event bronze = {.event = *event,
	                              .lineage = {.raw_offset = 7,
	                                          .raw_time_ms = 1,
	                                          .source_clock_us = CLOCK_NONE}},
			    back;
	uint8_t id[EVENT_ID_BYTES];
	struct buffer out = {0};
	char text[37];

	event_id_content(event, bronze.event_id);
	event_id_format(bronze.event_id, text);
	fuzz_check(event_id_parse(span_of(text), id) &&
	           memcmp(id, bronze.event_id, sizeof(id)) == 0);
	bronze_encode(&out, 1, &bronze);
	fuzz_check(bronze_decode((struct span){out.at + FRAME_BYTES, out.len - FRAME_BYTES}, &back,
	                         NULL));
	fuzz_check(same_event(event, &back.event) &&
	           memcmp(back.event_id, bronze.event_id, sizeof(id)) == 0);
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_parser *library = event_parser_new(NULL), *both = event_parser_new(NULL);
	struct span value = {(const char *)data, size};
	struct event of_library, of_fast, of_both;
	struct event_rules rules;
	enum reason reason, fast_reason;
	char detail[256];

	event_rules_default(&rules);
	memset(detail, 'x', sizeof(detail));
	reason = event_parse_json_library(library, value, &of_library, detail, sizeof(detail));
	fuzz_check(reason >= 0 && reason < REASON_COUNT);
	fuzz_check(reason == REASON_NONE || memchr(detail, '\0', sizeof(detail)));
	if (event_parse_json_fast(value, &rules, &of_fast, &fast_reason)) {
		fuzz_check(fast_reason == reason);
		fuzz_check(reason != REASON_NONE || same_event(&of_fast, &of_library));
		fuzz_check(of_fast.unreadable == of_library.unreadable);
	}
	fuzz_check(event_parse_json(both, value, &of_both, detail, sizeof(detail)) == reason);
	if (reason == REASON_NONE) {
		fuzz_check(same_event(&of_both, &of_library));
		check_limits(&of_both);
		check_unreadable(&of_both);
		fuzz_check(of_both.unreadable == of_library.unreadable);
		check_avro(&of_both);
	}
	event_parser_free(library);
	event_parser_free(both);
	return 0;
}
