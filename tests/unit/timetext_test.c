/* Times, money and durations: tables of valid and refused texts, and round trips. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/span.h"
#include "base/timetext.h"

static const int64_t untouched = INT64_C(-123456789);

Test(timetext, valid_times_give_microseconds_since_1970)
{
	static const struct {
		const char *in;
		int64_t seconds, us;
	} table[] = {
		{"1970-01-01 00:00:00", 0, 0},
		{"1970-01-01t00:00:00z", 0, 0},
		{"1970-01-01 01:00:00 +01", 0, 0},
		{"1970-01-01 05:30:00+0530", 0, 0},
		{"1969-12-31 20:30:00-03:30", 0, 0},
		{"1970-01-01 00:00:00.123456789 gmt", 0, 123456},
		{"0001-01-01 01:00:00+01", -62135596800, 0},
		{"2019-10-01 00:00:00 UTC", 1569888000, 0},
		{"2019-10-01T00:00:00Z", 1569888000, 0},
		{"2019-10-01T00:00:00+00:00", 1569888000, 0},
		{"2019-10-01 00:00:00Z", 1569888000, 0},
		{"2020-02-29 23:59:59.5", 1583020799, 500000},
		{"2020-02-29 23:59:59.000001 UTC", 1583020799, 1},
		{"2020-02-29 23:59:59.120000Z", 1583020799, 120000},
		{"2000-02-29 00:00:00", 951782400, 0},
		{"1900-03-01 00:00:00", -2203891200, 0},
		{"0001-01-01 00:00:00", -62135596800, 0},
		{"9999-12-31 23:59:59.999999", 253402300799, 999999},
		{"1969-12-31 23:59:59", -1, 0},
		{"2038-01-19 03:14:08", 2147483648, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = untouched, want = table[i].seconds * US_PER_SECOND + table[i].us;

		cr_expect(time_parse(span_of(table[i].in), &got) && got == want,
		          "%s: got %" PRId64 ", want %" PRId64, table[i].in, got, want);
	}
}

Test(timetext, other_times_are_refused)
{
	static const char *const table[] = {
		"",
		"2019-10-01",
		"2019-10-01 00:00",
		"2019-10-01 00:00:0",
		"2019-10-01 00:00:00 ",
		"2019-10-01 00:00:00 UTC ",
		"2019-10-01 00:00:00 Utc",
		"2019-10-01 00:00:00 CET",
		"2019-10-01 00:00:00+1",
		"2019-10-01 00:00:00+16:00",
		"2019-10-01 00:00:00+00:60",
		"2019-10-01 00:00:00+000",
		"2019-10-01 00:00:00.1234567890",
		"0001-01-01 00:00:00+01",
		"9999-12-31 23:59:59-01",
		"2019-10-01 00:00:00.",
		"2019-10-01 00:00:00. UTC",
		"2019-10-01 00:00:00,5",
		"2019-10-01  00:00:00",
		" 2019-10-01 00:00:00",
		"2019-02-29 00:00:00",
		"1900-02-29 00:00:00",
		"2100-02-29 00:00:00",
		"2019-02-30 00:00:00",
		"2020-02-30 00:00:00",
		"2019-04-31 00:00:00",
		"2019-10-32 00:00:00",
		"2019-10-00 00:00:00",
		"2019-00-01 00:00:00",
		"2019-13-01 00:00:00",
		"0000-01-01 00:00:00",
		"2019-10-01 24:00:00",
		"2019-10-01 00:60:00",
		"2019-10-01 00:00:60",
		"2019-1a-01 00:00:00",
		"2019-10-01 0/:00:00",
		"2019/10/01 00:00:00",
		"2019-10-01 00.00.00",
		"+019-10-01 00:00:00",
		"20 9-10-01 00:00:00",
		"1569888000",
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = untouched;

		cr_expect(!time_parse(span_of(table[i]), &got), "%s was taken", table[i]);
		cr_expect(got == untouched, "%s changed the result", table[i]);
	}
	cr_expect(!time_parse(SPAN_NULL, &(int64_t){0}));
}

Test(timetext, formats_cut_trailing_zeros_of_the_fraction)
{
	static const struct {
		int64_t time_us;
		const char *plain, *iso;
	} table[] = {
		{0, "1970-01-01 00:00:00", "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999999Z"},
		{INT64_C(1583020799500000), "2020-02-29 23:59:59.5", "2020-02-29T23:59:59.5Z"},
		{INT64_C(1583020799000001), "2020-02-29 23:59:59.000001",
	         "2020-02-29T23:59:59.000001Z"},
		{INT64_C(1583020799120300), "2020-02-29 23:59:59.1203",
	         "2020-02-29T23:59:59.1203Z"},
		{INT64_C(253402300799999999), "9999-12-31 23:59:59.999999",
	         "9999-12-31T23:59:59.999999Z"},
		{INT64_C(-62135596800000000), "0001-01-01 00:00:00", "0001-01-01T00:00:00Z"},
		{INT64_MAX, "294247-01-10 04:00:54.775807", "294247-01-10T04:00:54.775807Z"},
		{INT64_MIN, "-290308-12-21 19:59:05.224192", "-290308-12-21T19:59:05.224192Z"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char plain[32], iso[32];

		cr_expect_eq(time_format_plain(table[i].time_us, plain), strlen(table[i].plain));
		cr_expect_str_eq(plain, table[i].plain);
		cr_expect_eq(time_format_iso(table[i].time_us, iso), strlen(table[i].iso));
		cr_expect_str_eq(iso, table[i].iso);
	}
}

Test(timetext, every_day_of_ten_centuries_agrees_with_the_c_library_and_parses_back)
{
	for (int64_t day = -365243; day < 365243; day++) {
		int64_t time_us = day * US_PER_DAY +
		                  (day * 7919 % 86400 + 86400) % 86400 * US_PER_SECOND,
			back;
		time_t seconds = (time_t)(time_us / US_PER_SECOND - (time_us % US_PER_SECOND < 0));
		char got[32], want[48];
		struct tm tm;
		size_t len = time_format_plain(time_us, got);

		gmtime_r(&seconds, &tm);
		snprintf(want, sizeof(want), "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
		         tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		if (strcmp(got, want) != 0 || !time_parse((struct span){got, len}, &back) ||
		    back != time_us)
			cr_assert_fail("day %" PRId64 ": got %s, want %s", day, got, want);
	}
}

Test(timetext, floor_rounds_down_for_negative_times_too)
{
	cr_expect_eq(time_floor(61 * US_PER_SECOND, US_PER_MINUTE), US_PER_MINUTE);
	cr_expect_eq(time_floor(US_PER_MINUTE, US_PER_MINUTE), US_PER_MINUTE);
	cr_expect_eq(time_floor(-1, US_PER_MINUTE), -US_PER_MINUTE);
	cr_expect_eq(time_floor(-US_PER_MINUTE, US_PER_MINUTE), -US_PER_MINUTE);
}

Test(timetext, money_is_read_to_the_cent)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: refused */
	} table[] = {
		{"0", 0},
		{"12", 1200},
		{"12.3", 1230},
		{"12.34", 1234},
		{"0.01", 1},
		{"007.5", 750},
		{"0.00", 0},
		{"999999999999999.99", INT64_C(99999999999999999)},
		{"", -1},
		{".5", -1},
		{"5.", -1},
		{"1000000000000000", -1},
		{"-1", -1},
		{"+1", -1},
		{"1e2", -1},
		{"12.345", -1},
		{"1.2.3", -1},
		{" 1", -1},
		{"1 ", -1},
		{"1,5", -1},
		{"NaN", -1},
		{"1.a", -1},
		{"1.5a", -1},
		{"12345678901234567890.00", -1},
		{".", -1},
		{"1..", -1},
		{"1.-5", -1},
		{"1000000000000000.00", -1},
		{"000000000000001", 100},
		{"0000000000000001", -1},
		{"0000000000000001.5", -1},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = -1;

		cr_expect_eq(money_parse(span_of(table[i].in), &got), table[i].want >= 0, "%s",
		             table[i].in);
		cr_expect_eq(got, table[i].want, "%s: got %" PRId64, table[i].in, got);
	}
}

Test(timetext, money_is_written_with_two_decimals)
{
	static const struct {
		int64_t in;
		const char *want;
	} table[] = {{0, "0.00"},   {5, "0.05"},         {1234, "12.34"},
	             {-5, "-0.05"}, {-12345, "-123.45"}, {INT64_MIN, "-92233720368547758.08"}};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char got[32];

		cr_expect_eq(money_format(table[i].in, got), strlen(table[i].want));
		cr_expect_str_eq(got, table[i].want);
	}
}

Test(timetext, durations_need_a_unit)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: refused */
		const char *back;
	} table[] = {
		{"250ms", 250000, "250ms"},
		{"5s", 5 * US_PER_SECOND, "5s"},
		{"10m", 10 * US_PER_MINUTE, "10m"},
		{"1h", US_PER_HOUR, "1h"},
		{"7d", 7 * US_PER_DAY, "7d"},
		{"0s", 0, "0s"},
		{"90s", 90 * US_PER_SECOND, "90s"},
		{"120s", 120 * US_PER_SECOND, "2m"},
		{"48h", 2 * US_PER_DAY, "2d"},
		{"1500ms", 1500000, "1500ms"},
		{"7us", 7, "7us"},
		{"106751991d", INT64_C(106751991) * US_PER_DAY, "106751991d"},
		{"106751992d", -1, NULL},
		{"", -1, NULL},
		{"5", -1, NULL},
		{"s", -1, NULL},
		{"5 s", -1, NULL},
		{"-5s", -1, NULL},
		{"1.5s", -1, NULL},
		{"5S", -1, NULL},
		{"5sec", -1, NULL},
		{"9999999999999999999s", -1, NULL},
		{"000000000000000005s", 5 * US_PER_SECOND, "5s"},
		{"0000000000000000005s", -1, NULL},
		{"+5s", -1, NULL},
		{" 5s", -1, NULL},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int64_t got = -1;
		char back[32];

		cr_expect_eq(duration_parse(span_of(table[i].in), &got), table[i].want >= 0, "%s",
		             table[i].in);
		cr_expect_eq(got, table[i].want, "%s: got %" PRId64, table[i].in, got);
		if (!table[i].back)
			continue;
		cr_expect_eq(duration_format(got, back), strlen(table[i].back));
		cr_expect_str_eq(back, table[i].back);
	}
}
