#include <criterion/criterion.h>

#include "base/number.h"
#include "base/span.h"

Test(number, takes_a_number_in_range_and_moves_past_it)
{
	static const struct {
		const char *text, *rest;
		int64_t value;
	} table[] = {
		{"0", "", 0},
		{"-0,", ",", 0},
		{"42 x", " x", 42},
		{"007", "", 7},
		{"9223372036854775807", "", INT64_MAX},
		{"-9223372036854775808", "", INT64_MIN},
		{"-9223372036854775807a", "a", -INT64_MAX},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *at = table[i].text;
		int64_t value = 1;

		cr_expect(number_take(&at, &value), "%s", table[i].text);
		cr_expect_eq(value, table[i].value, "%s", table[i].text);
		cr_expect_str_eq(at, table[i].rest, "%s", table[i].text);
	}
}

Test(number, a_number_out_of_range_is_refused_and_nothing_moves)
{
	static const char *const table[] = {
		"",
		"-",
		"x",
		" 1",
		"+1",
		"--1",
		"9223372036854775808",
		"-9223372036854775809",
		"9223372036854775810",
		"18446744073709551617",
		"99999999999999999999999999",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *at = table[i];
		int64_t value = 5;

		cr_expect_not(number_take(&at, &value), "%s", table[i]);
		cr_expect_eq(at, table[i]);
		cr_expect_eq(value, 5);
	}
}

Test(number, a_list_has_only_commas_between_its_numbers)
{
	int64_t values[3];
	const char *at = "1,-2,3,4";

	cr_assert(number_take_list(&at, values, 3));
	cr_expect(values[0] == 1 && values[1] == -2 && values[2] == 3);
	cr_expect_str_eq(at, ",4");
	for (size_t i = 0; i < 4; i++) {
		at = (const char *[]){"1,2", "1,,3", "1, 2,3", "1;2;3"}[i];
		cr_expect_not(number_take_list(&at, values, 3), "%s", at);
	}
}

Test(number, a_text_is_one_number_or_none)
{
	int64_t value;

	cr_expect(number_parse("-17", &value));
	cr_expect_eq(value, -17);
	cr_expect_not(number_parse("17 ", &value));
	cr_expect_not(number_parse("", &value));
}

Test(number, digits_are_taken_up_to_the_limit)
{
	static const struct {
		const char *text;
		int64_t max;
		bool good;
		int64_t want;
	} rows[] = {{"0", 0, true, 0},
	            {"1", 0, false, 0},
	            {"5", 5, true, 5},
	            {"6", 5, false, 0},
	            {"9", 5, false, 0},
	            {"10", 9, false, 0},
	            {"0000000000000000000000000000000005", 5, true, 5},
	            {"2147483647", INT32_MAX, true, INT32_MAX},
	            {"2147483648", INT32_MAX, false, 0},
	            {"9223372036854775807", INT64_MAX, true, INT64_MAX},
	            {"9223372036854775808", INT64_MAX, false, 0},
	            {"18446744073709551617", INT64_MAX, false, 0},
	            {"", 5, false, 0},
	            {"-0", 5, false, 0},
	            {"+1", 5, false, 0},
	            {" 1", 5, false, 0},
	            {"1 ", 5, false, 0},
	            {"1x", 5, false, 0},
	            {"/", 5, false, 0},
	            {":", 5, false, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t value = -7;
		bool good = number_parse_span(span_of(rows[i].text), rows[i].max, &value);

		cr_expect_eq(good, rows[i].good, "%s", rows[i].text);
		cr_expect_eq(value, rows[i].good ? rows[i].want : -7, "%s", rows[i].text);
	}
	cr_expect_not(number_parse_span(SPAN_NULL, 5, &(int64_t){0}));
}

Test(number, a_number_with_a_sign_is_the_complete_span)
{
	int64_t value = 5;

	cr_expect(number_parse_signed((struct span){"-12x", 3}, &value));
	cr_expect_eq(value, -12);
	cr_expect(number_parse_signed(SPAN("-9223372036854775808"), &value));
	cr_expect_eq(value, INT64_MIN);
	for (size_t i = 0; i < 8; i++) {
		const char *bad = (const char *[]){"",   "-",  "--1", "+1",
		                                   " 1", "1 ", "1x",  "9223372036854775808"}[i];

		cr_expect_not(number_parse_signed(span_of(bad), &value), "%s", bad);
		cr_expect_eq(value, INT64_MIN);
	}
	cr_expect_not(number_parse_signed(SPAN_NULL, &value));
	cr_expect_not(number_parse_signed(SPAN("1\0"), &value), "a NUL is not a digit");
}

Test(number, a_decimal_counts_units_of_its_last_place)
{
	static const struct {
		const char *text;
		size_t places;
		int64_t max;
		bool good;
		int64_t want;
	} rows[] = {{"1.5", 3, 1500, true, 1500},
	            {"1.501", 3, 1500, false, 0},
	            {"1", 0, 1, true, 1},
	            {"1.0", 0, 1, false, 0},
	            {"007.25", 2, 1000, true, 725},
	            {"0.01", 2, 1, true, 1},
	            {"0.02", 2, 1, false, 0},
	            {"92233720368547758.07", 2, INT64_MAX, true, INT64_MAX},
	            {"92233720368547758.08", 2, INT64_MAX, false, 0},
	            {"92233720368547759", 2, INT64_MAX, false, 0},
	            {"0.001", 2, 9, false, 0},
	            {".5", 2, 99, false, 0},
	            {"5.", 2, 999, false, 0},
	            {".", 2, 999, false, 0},
	            {"", 2, 999, false, 0},
	            {"1.2.3", 6, INT64_MAX, false, 0},
	            {"-1", 2, 999, false, 0},
	            {"1.-1", 2, 999, false, 0},
	            {" 1", 2, 999, false, 0},
	            {"1e2", 2, INT64_MAX, false, 0}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t value = -7;
		bool good =
			decimal_parse(span_of(rows[i].text), rows[i].places, rows[i].max, &value);

		cr_expect_eq(good, rows[i].good, "%s", rows[i].text);
		cr_expect_eq(value, rows[i].good ? rows[i].want : -7, "%s", rows[i].text);
	}
	cr_expect_not(decimal_parse(SPAN_NULL, 2, 5, &(int64_t){0}));
}
