/* Values as sources write them: every form of a time, integers that went through floats, and words
 * that mean "no value". */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event_values.h"

static const int64_t untouched = INT64_C(-123456789);

#define NOON INT64_C(1569931200) /* 2019-10-01 12:00:00 UTC */

Test(event_values, every_form_of_a_time_gives_its_instant)
{
	static const struct {
		const char *in;
		int64_t seconds, us;
	} table[] = {
		{"2019-10-01 12:00:00 UTC", NOON, 0},
		{"2019-10-01T12:00:01Z", NOON + 1, 0},
		{"2019-10-01 12:00:02+00:00", NOON + 2, 0},
		{"2019-10-01T12:00:03.000Z", NOON + 3, 0},
		{"2019-10-01 12:00:04", NOON + 4, 0},
		{"2019-10-01 12:00:05+00", NOON + 5, 0},
		{"2019-10-01T12:00:06+0000", NOON + 6, 0},
		{"2019-10-01 12:00:07.000 +0000", NOON + 7, 0},
		{"2019-10-01T12:00:08.123456789Z", NOON + 8, 123456},
		{"2019-10-01 12:00:09.000000000", NOON + 9, 0},
		{"2019-10-01T15:00:10.000+03:00", NOON + 10, 0},
		{"2019-10-01T12:00:11-00:00", NOON + 11, 0},
		{"2019-10-01t12:00:12z", NOON + 12, 0},
		{"2019-10-01 12:00:13 GMT", NOON + 13, 0},
		{"2019-10-01 12:00:13 gmt", NOON + 13, 0},
		{"2019-10-01 12:00:13utc", NOON + 13, 0},
		{"2019-10-01 12:00:13 Z", NOON + 13, 0},
		{"2019-10-01 12:00:00 +0000 UTC", NOON, 0},
		{"2019-10-01 12:00:00.1234567 +00:00", NOON, 123456},
		{"2019-10-01 17:30:00+05:30", NOON, 0},
		{"2019-10-01 17:45:00+0545", NOON, 0},
		{"2019-10-01 09:00:00-03", NOON, 0},
		{"2019-10-01 08:30:00 -03:30", NOON, 0},
		{"2019-10-02 02:00:00+14:00", NOON, 0},
		{"2019-10-01 00:30:00+03", NOON - 14 * 3600 - 1800, 0},
		{"1999-12-31 23:00:00-01", 946684800, 0},
		{"1569931216", NOON + 16, 0},
		{"1569931217000", NOON + 17, 0},
		{"1569931217123", NOON + 17, 123000},
		{"1569931217123456", NOON + 17, 123456},
		{"1569931217123456789", NOON + 17, 123456},
		{"1569931216.5", NOON + 16, 500000},
		{"1569931216.0", NOON + 16, 0},
		{"1569931216.123456789", NOON + 16, 123456},
		{"1569931217000.0", NOON + 17, 0},
		{"1569931217123.5", NOON + 17, 123500},
		{"1.569931217E12", NOON + 17, 0},
		{"9999-12-31 23:59:59.999999", 253402300799, 999999},
		{"2000-01-01 00:00:00", 946684800, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = untouched, want = table[i].seconds * US_PER_SECOND + table[i].us;

		cr_expect(event_time_read(span_of(table[i].in), &got) && got == want,
		          "%s: got %" PRId64 ", want %" PRId64, table[i].in, got, want);
	}
}

Test(event_values, other_times_are_refused_with_the_reason)
{
	static const struct {
		const char *in, *why;
	} table[] = {
		{"2019-10-01 12:00", "no seconds"},
		{"2019-10-01T12:00Z", "no seconds"},
		{"2019-10-01", "no time of day"},
		{"10/1/2019 12:00", "day and month are ambiguous"},
		{"01.10.2019 12:00:00", "day and month are ambiguous"},
		{"1-10-2019 12:00:00", "day and month are ambiguous"},
		{"2019-10-01 12:00:00,5", "a comma before the fraction, expected a point"},
		{"1999-12-31 23:59:59.999999", "before 2000 or after 9999"},
		{"2000-01-01 00:00:00+01", "before 2000 or after 9999"},
		{"9999-12-31 23:59:59-01", NULL},
		{"2019-10-01 12:00:00+16:00", NULL},
		{"2019-10-01 12:00:00+00:60", NULL},
		{"2019-10-01 12:00:00+0", NULL},
		{"2019-10-01 12:00:00+00:0", NULL},
		{"2019-10-01 12:00:00+00:", NULL},
		{"2019-10-01 12:00:00+000", NULL},
		{"2019-10-01 12:00:00+00000", NULL},
		{"2019-10-01 12:00:00 +0300 UTC", NULL},
		{"2019-10-01 12:00:00 ", NULL},
		{"2019-10-01 12:00:00  UTC", NULL},
		{"2019-10-01 12:00:00 Utc", NULL},
		{"2019-10-01 12:00:00 CET", NULL},
		{"2019-10-01 12:00:00.1234567890", NULL},
		{"2019-10-01 12:00:00.", NULL},
		{" 1569931216", NULL},
		{"1569931216.", NULL},
		{"1569931216.5x", NULL},
		{"1569931216,5", NULL},
		{"-1569931216", NULL},
		{"0569931216", NULL},
		{"156993121", "expected an epoch of 10, 13, 16 or 19 digits"},
		{"20191001120000", "expected an epoch of 10, 13, 16 or 19 digits"},
		{"1.56993E+12", NULL},
		{"yesterday", "expected a time such as 2019-10-01 12:00:00 UTC"},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = untouched;

		cr_expect(!event_time_read(span_of(table[i].in), &got), "%s was taken",
		          table[i].in);
		cr_expect_eq(got, untouched, "%s changed the result", table[i].in);
		if (table[i].why)
			cr_expect_str_eq(event_time_refusal(span_of(table[i].in)), table[i].why,
			                 "%s", table[i].in);
	}
	cr_expect(!event_time_read(SPAN_NULL, &(int64_t){0}));
}

Test(event_values, an_epoch_may_be_a_number)
{
	int64_t us = untouched;

	cr_expect(event_time_of_integer(NOON, &us) && us == NOON * US_PER_SECOND);
	cr_expect(event_time_of_integer(NOON * 1000 + 7, &us) && us == NOON * US_PER_SECOND + 7000);
	cr_expect(event_time_of_real(1569931216.5, &us) &&
	          us == (NOON + 16) * US_PER_SECOND + 500000);
	cr_expect(event_time_of_real(1569931216.123456, &us) &&
	          us == (NOON + 16) * US_PER_SECOND + 123456);
	cr_expect(event_time_of_real(1569931217000.0, &us) && us == (NOON + 17) * US_PER_SECOND);
	us = untouched;
	cr_expect(!event_time_of_integer(0, &us) && !event_time_of_integer(-NOON, &us));
	cr_expect(!event_time_of_integer(INT64_MIN, &us) && !event_time_of_integer(512742880, &us));
	cr_expect(!event_time_of_real(1.569931217e18, &us) && !event_time_of_real(-1.0, &us));
	cr_expect_eq(us, untouched);
}

Test(event_values, an_integer_written_as_a_float_is_that_integer)
{
	static const struct {
		const char *in;
		int64_t want;
	} table[] = {
		{"512742880", 512742880},
		{"512742880.0", 512742880},
		{"512742880.000000", 512742880},
		{"5.1274288E8", 512742880},
		{"5.1274288e+08", 512742880},
		{"5.127428800000000000e+08", 512742880},
		{"51274288e1", 512742880},
		{"5127428800e-1", 512742880},
		{"4.46E7", 44600000},
		{"1.5e3", 1500},
		{"1e+05", 100000},
		{"00012", 12},
		{"00000000000000000000044600062", 44600062},
		{"0", 0},
		{"-0.0", 0},
		{"0e5", 0},
		{"-1", -1},
		{"-1.0", -1},
		{"2053013555631882655.0", INT64_C(2053013555631882655)},
		{"9223372036854775807", INT64_MAX},
		{"-9223372036854775808", INT64_MIN},
		{"9007199254740991e0", INT64_C(9007199254740991)},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = untouched;

		cr_expect(event_integer_read(span_of(table[i].in), &got) && got == table[i].want,
		          "%s: got %" PRId64, table[i].in, got);
	}
}

Test(event_values, an_integer_that_lost_digits_is_refused)
{
	static const char *const table[] = {
		"1.515915625441994e+18",
		"2.053013555631883e+18",
		"2.05301E+18",
		"5.12743e+08",
		"5.13E+08",
		"1.23457E+11",
		"9007199254740992e0",
		"9.007199254740993E15",
		"9223372036854775808",
		"9223372036854775808.0",
		"1e19",
		"1e999",
		"1e-1",
		"1.5",
		"15e-1",
		"1.",
		".5",
		"1.e5",
		"1e",
		"1e+",
		"1e5.0",
		"1e5 ",
		" 1.0",
		"+1.0",
		"1,0",
		"1.0.0",
		"0x10",
		"1_000",
		"--1",
		"-",
		"",
		"nan",
		"inf",
		"1.00000000000000000000000000000000000000000000000000000000000000000",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = untouched;

		cr_expect(!event_integer_read(span_of(table[i]), &got), "%s was taken: %" PRId64,
		          table[i], got);
		cr_expect_eq(got, untouched, "%s changed the result", table[i]);
	}
	cr_expect(!event_integer_read(SPAN_NULL, &(int64_t){0}));
}

Test(event_values, a_real_is_an_integer_below_two_to_the_53)
{
	int64_t got = untouched;

	cr_expect(event_integer_of_real(512742880.0, &got) && got == 512742880);
	cr_expect(event_integer_of_real(-1.0, &got) && got == -1);
	cr_expect(event_integer_of_real(9007199254740991.0, &got) &&
	          got == INT64_C(9007199254740991));
	got = untouched;
	cr_expect(!event_integer_of_real(9007199254740992.0, &got));
	cr_expect(!event_integer_of_real(0.5, &got) && !event_integer_of_real(1e300, &got));
	cr_expect(!event_integer_of_real(2.05301e18, &got));
	cr_expect_eq(got, untouched);
}

Test(event_values, the_words_of_the_list_mean_no_value)
{
	static const char *const words[] = {"nan",  "NaN", "None",      "null",
	                                    "NULL", "\\N", "undefined", "N/A"};
	static const char *const values[] = {"",    "-",    "Unknown", "nana", "Nan",
	                                     "NAN", "none", "nan ",    "nike", "null2",
	                                     "N",   "\\n",  "n/a"};
	struct null_words list;
	struct err err;

	cr_assert(null_words_read(NULL_WORDS_DEFAULT, &list, &err));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		cr_expect(null_words_has(&list, span_of(words[i])), "%s", words[i]);
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		cr_expect(!null_words_has(&list, span_of(values[i])), "%s", values[i]);
	cr_expect(!null_words_has(&list, SPAN_NULL));
	cr_assert(null_words_read("-, Unknown ,", &list, &err) == false);
	cr_assert(null_words_read("-,\t Unknown", &list, &err));
	cr_expect(null_words_has(&list, SPAN("-")) && null_words_has(&list, SPAN("Unknown")));
	cr_expect(!null_words_has(&list, SPAN("nan")));
}

Test(event_values, a_list_that_cannot_be_read_says_what_was_expected)
{
	static const char *const table[] = {
		"",
		",",
		"nan,",
		"nan,,NULL",
		" ",
		"a word that has more than 31 bytes",
		"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,"
		"32,33"};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err = {ERR_NONE, ""};

		cr_expect(!null_words_check(table[i], &err), "%s was taken", table[i]);
		cr_expect_eq(err.class, ERR_INPUT);
		cr_expect_str_eq(err.message, "expected 1 to 32 words of at most 31 bytes with "
		                              "commas between them, such as nan,NULL");
	}
}
