#include <criterion/criterion.h>

#include "base/number.h"

Test(number, takes_what_fits_and_stands_behind_it)
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

Test(number, what_does_not_fit_is_refused_and_nothing_moves)
{
	static const char *const table[] = {
		"", "-", "x", " 1", "+1", "--1", "9223372036854775808", "-9223372036854775809", "9223372036854775810", "18446744073709551617",
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

Test(number, a_list_has_commas_and_nothing_else_between)
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
