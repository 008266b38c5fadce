/* Binary COPY fields, compared with bytes that PostgreSQL wrote (COPY ... TO with FORMAT
 * binary). */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/span.h"
#include "copy_binary.h"
#include "event/reason.h"

static char place[4096];

static void expect_bytes(const char *label, const char *end, const char *hex)
{
	char got[8192];
	size_t len = (size_t)(end - place);

	for (size_t i = 0; i < len; i++)
		snprintf(got + 2 * i, 3, "%02x", (unsigned)(unsigned char)place[i]);
	got[2 * len] = '\0';
	cr_expect_str_eq(got, hex, "%s: got %s, want %s", label, got, hex);
}

Test(loader_copy_binary, cents_become_base_10000_digits)
{
	static const struct {
		const char *label;
		int64_t cents;
		const char *hex; /* length | digit count | weight | sign | scale | digits */
	} table[] = {
		{"0.00", 0,
	         "00000008"
	         "0000"
	         "0000"
	         "0000"
	         "0002"},
		{"0.01", 1,
	         "0000000a"
	         "0001"
	         "ffff"
	         "0000"
	         "0002"
	         "0064"},
		{"0.10", 10,
	         "0000000a"
	         "0001"
	         "ffff"
	         "0000"
	         "0002"
	         "03e8"},
		{"0.99", 99,
	         "0000000a"
	         "0001"
	         "ffff"
	         "0000"
	         "0002"
	         "26ac"},
		{"1.00", 100,
	         "0000000a"
	         "0001"
	         "0000"
	         "0000"
	         "0002"
	         "0001"},
		{"1.01", 101,
	         "0000000c"
	         "0002"
	         "0000"
	         "0000"
	         "0002"
	         "0001"
	         "0064"},
		{"9999.99", 999999,
	         "0000000c"
	         "0002"
	         "0000"
	         "0000"
	         "0002"
	         "270f"
	         "26ac"},
		{"10000.00", 1000000,
	         "0000000a"
	         "0001"
	         "0001"
	         "0000"
	         "0002"
	         "0001"},
		{"10000.01", 1000001,
	         "0000000e"
	         "0003"
	         "0001"
	         "0000"
	         "0002"
	         "0001"
	         "0000"
	         "0064"},
		{"123456789.99", 12345678999,
	         "00000010"
	         "0004"
	         "0002"
	         "0000"
	         "0002"
	         "0001"
	         "0929"
	         "1a85"
	         "26ac"},
		{"100000000.00", 10000000000,
	         "0000000a"
	         "0001"
	         "0002"
	         "0000"
	         "0002"
	         "0001"},
		{"-1.50", -150,
	         "0000000c"
	         "0002"
	         "0000"
	         "4000"
	         "0002"
	         "0001"
	         "1388"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		expect_bytes(table[i].label, copy_cents(place, table[i].cents), table[i].hex);
}

/* The inverse of the encoding, from its definition. */
static int64_t cents_of(const unsigned char *at)
{
	int count = at[4] << 8 | at[5], weight = (int16_t)(at[6] << 8 | at[7]);
	int64_t cents = 0;

	for (int power = weight, i = 0; power >= -1; power--, i++) {
		int64_t digit = i < count ? at[12 + 2 * i] << 8 | at[13 + 2 * i] : 0;

		cents = power == -1 ? cents * 100 + digit / 100 : cents * 10000 + digit;
	}
	return count == 0      ? 0
	       : weight == -1  ? (at[12] << 8 | at[13]) / 100
	       : at[8] == 0x40 ? -cents
	                       : cents;
}

Test(loader_copy_binary, cents_decode_to_what_was_encoded)
{
	uint64_t x = 20191001;

	for (int i = 0; i < 200000; i++) {
		int64_t cents;

		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		cents = (int64_t)(x >> (1 + x % 60));
		copy_cents(place, cents);
		cr_assert_eq(cents_of((unsigned char *)place), cents,
		             "%" PRId64 " (seed 20191001, step %d)", cents, i);
	}
}

Test(loader_copy_binary, times_count_from_2000)
{
	expect_bytes("2000-01-01", copy_timestamptz(place, INT64_C(946684800000000)),
	             "00000008"
	             "0000000000000000");
	expect_bytes("1970-01-01", copy_timestamptz(place, 0),
	             "00000008"
	             "fffca2fec4c82000");
	expect_bytes("2000-01-02", copy_date(place, 10958),
	             "00000004"
	             "00000001");
	expect_bytes("1999-12-31", copy_date(place, 10956),
	             "00000004"
	             "ffffffff");
}

Test(loader_copy_binary, plain_fields_are_length_and_bytes)
{
	static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};

	expect_bytes("row", copy_row_begin(place, 17), "0011");
	expect_bytes("null", copy_null(place), "ffffffff");
	expect_bytes("true", copy_bool(place, true),
	             "00000001"
	             "01");
	expect_bytes("int2", copy_int2(place, -2),
	             "00000002"
	             "fffe");
	expect_bytes("int4", copy_int4(place, 258),
	             "00000004"
	             "00000102");
	expect_bytes("int8", copy_int8(place, -1),
	             "00000008"
	             "ffffffffffffffff");
	expect_bytes("uuid", copy_uuid(place, id),
	             "00000010"
	             "000102030405060708090a0b0c0d0eff");
	expect_bytes("text", copy_text(place, SPAN("ab")),
	             "00000002"
	             "6162");
	expect_bytes("empty text", copy_text(place, SPAN("")), "00000000");
	expect_bytes("null text", copy_text(place, SPAN_NULL), "ffffffff");
	expect_bytes("bytea", copy_bytea(place, SPAN("\0\xff")),
	             "00000002"
	             "00ff");
	expect_bytes("jsonb", copy_jsonb(place, SPAN("{}")),
	             "00000003"
	             "01"
	             "7b7d");
	expect_bytes("text[]", copy_text_array(place, (struct span[]){SPAN("a"), SPAN("bc")}, 2),
	             "0000001f"
	             "00000001"
	             "00000000"
	             "00000019"
	             "00000002"
	             "00000001"
	             "00000001"
	             "61"
	             "00000002"
	             "6263");
	expect_bytes("empty text[]", copy_text_array(place, NULL, 0),
	             "0000000c"
	             "00000000"
	             "00000000"
	             "00000019");
}

/* SELECT ARRAY[1, NULL]::int2[] and so on. */
Test(loader_copy_binary, arrays_have_elements_like_fields)
{
	char *at = copy_array_begin(place, COPY_INT2, 2);

	at = copy_null(copy_int2(at, 1));
	expect_bytes("int2[]", copy_array_end(place, at, true),
	             "0000001e"
	             "00000001"
	             "00000001"
	             "00000015"
	             "00000002"
	             "00000001"
	             "00000002"
	             "0001"
	             "ffffffff");
	at = copy_int8(copy_array_begin(place, COPY_INT8, 1), -2);
	expect_bytes("int8[]", copy_array_end(place, at, false),
	             "00000020"
	             "00000001"
	             "00000000"
	             "00000014"
	             "00000001"
	             "00000001"
	             "00000008"
	             "fffffffffffffffe");
	at = copy_cents(copy_array_begin(place, COPY_NUMERIC, 1), 1);
	expect_bytes("numeric[]", copy_array_end(place, at, false),
	             "00000022"
	             "00000001"
	             "00000000"
	             "000006a4"
	             "00000001"
	             "00000001"
	             "0000000a"
	             "0001"
	             "ffff"
	             "0000"
	             "0002"
	             "0064");
	expect_bytes("empty uuid[]",
	             copy_array_end(place, copy_array_begin(place, COPY_UUID, 0), false),
	             "0000000c"
	             "00000000"
	             "00000000"
	             "00000b86");
	expect_bytes("empty timestamptz[]",
	             copy_array_end(place, copy_array_begin(place, COPY_TIMESTAMPTZ, 0), false),
	             "0000000c"
	             "00000000"
	             "00000000"
	             "000004a0");
}

Test(loader_copy_binary, texts_that_postgresql_would_reject_are_found)
{
	static const struct {
		const char *label;
		struct span text;
		enum reason want;
	} table[] = {
		{"ascii", {"abc", 3}, REASON_NONE},
		{"empty", {"", 0}, REASON_NONE},
		{"two, three and four bytes",
	         {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x9b\x92", 9},
	         REASON_NONE},
		{"nul", {"a\0b", 3}, REASON_NUL_CHARACTER},
		{"lone tail", {"a\x80", 2}, REASON_INVALID_UTF8},
		{"overlong", {"\xc0\xaf", 2}, REASON_INVALID_UTF8},
		{"surrogate", {"\xed\xa0\x80", 3}, REASON_INVALID_UTF8},
		{"cut off", {"\xe2\x82", 2}, REASON_INVALID_UTF8},
		{"too high", {"\xf4\x90\x80\x80", 4}, REASON_INVALID_UTF8},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(copy_text_fault(table[i].text), table[i].want, "%s", table[i].label);
}
