/* Frames: the wire format of the schema registry. */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/span.h"
#include "event/window.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"

#define BYTES(literal)                         \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}

static const struct {
	const char *label;
	struct span in;
	enum frame_kind want;
	int32_t id;
	size_t body_len;
} frames[] = {
	{"no value", {NULL, 0}, FRAME_TOO_SHORT, 0, 0},
	{"empty", BYTES(""), FRAME_TOO_SHORT, 0, 0},
	{"magic alone", BYTES("\0"), FRAME_TOO_SHORT, 0, 0},
	{"half an id", BYTES("\0\0\0\1"), FRAME_TOO_SHORT, 0, 0},
	{"an id without body", BYTES("\0\0\0\0\1"), FRAME_ID, 1, 0},
	{"big-endian id", BYTES("\0\1\2\3\4body"), FRAME_ID, 0x01020304, 4},
	{"highest id", BYTES("\0\177\377\377\377x"), FRAME_ID, INT32_MAX, 1},
	{"an id that is not positive is left to the reader", BYTES("\0\377\377\377\377x"), FRAME_ID,
         -1, 1},
	{"a GUID's magic", BYTES("\1\0\0\0\1body"), FRAME_UNKNOWN_MAGIC, 0, 0},
	{"JSON", BYTES("{\"a\":1}"), FRAME_UNKNOWN_MAGIC, 0, 0},
	{"one letter", BYTES("x"), FRAME_UNKNOWN_MAGIC, 0, 0},
};

Test(frame, each_first_byte_and_length_has_its_result)
{
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct span body = SPAN_NULL;
		int32_t id = 0;

		cr_assert_eq(frame_parse(frames[i].in, &id, &body), frames[i].want, "%s",
		             frames[i].label);
		cr_assert_eq(id, frames[i].id, "%s", frames[i].label);
		cr_assert_eq(body.len, frames[i].body_len, "%s", frames[i].label);
	}
}

Test(frame, a_frame_of_an_encoder_is_parsed)
{
	const int32_t ids[] = {1, 255, 256, 65536, 16777216, INT32_MAX};
	struct aggregate aggregate = {.rollup = SPAN("1m:all"), .group_value = SPAN("all")},
			 decoded;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct buffer out = {0};
		struct span body;
		int32_t id = 0;

		aggregate_encode(&out, ids[i], &aggregate);
		cr_assert_eq(frame_parse((struct span){out.at, out.len}, &id, &body), FRAME_ID);
		cr_assert_eq(id, ids[i]);
		cr_assert(aggregate_decode(body, &decoded, NULL));
		buffer_free(&out);
	}
}
