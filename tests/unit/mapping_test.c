/* Another schema becomes ours: names, types, times, prices, types that are left out. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/span.h"
#include "event/event_fields.h"
#include "event/event_values.h"
#include "mapping.h"
#include "row.h"
#include "row_reader.h"

static struct mapping *mapping_of(const char *text)
{
	struct err err = {.class = ERR_NONE};
	struct mapping *mapping = mapping_new(text, &err);

	cr_assert_not_null(mapping, "%s", err.message);
	return mapping;
}

Test(mapping, names_of_columns_are_those_of_the_other_schema)
{
	struct mapping *mapping =
		mapping_of("user_id = UserID ,price= \"Amount, EUR\"\n# a comment\n");

	cr_assert_str_eq(mapping_column(mapping, FIELD_USER_ID), "UserID");
	cr_assert_str_eq(mapping_column(mapping, FIELD_PRICE), "Amount, EUR");
	cr_assert_str_eq(mapping_column(mapping, FIELD_BRAND), "brand");
	cr_assert_str_eq(mapping_column(NULL, FIELD_USER_ID), "user_id");
	mapping_free(mapping);
}

static const struct {
	const char *theirs, *ours; /* NULL: left out */
	bool unmapped;
} types[] = {
	{"product_view", "view", false},
	{"detail", "view", false},
	{"add_to_cart", "cart", false},
	{"page_view", NULL, false},
	{"purchase", "purchase", false},
	{"scroll", "scroll", true},
	{"", "", false},
};

Test(mapping, types_become_ours_are_left_out_or_stay_unmapped)
{
	struct mapping *mapping =
		mapping_of("view=product_view;view=detail;cart=add_to_cart;skip=page_view");
	struct mapped_texts texts;
	const char *type;
	int64_t rows;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct row row = {0};
		bool kept;

		row.fields[FIELD_EVENT_TYPE] = span_of(types[i].theirs);
		kept = mapping_apply(mapping, &row, &texts);
		cr_assert_eq(kept, types[i].ours != NULL, "%s", types[i].theirs);
		cr_assert(!kept || span_is(row.fields[FIELD_EVENT_TYPE], types[i].ours), "%s",
		          types[i].theirs);
		cr_assert_eq(row.unmapped_type, types[i].unmapped, "%s", types[i].theirs);
	}
	cr_assert(mapping_skipped(mapping, 0, &type, &rows));
	cr_assert_str_eq(type, "page_view");
	cr_assert_eq(rows, 1);
	cr_assert_not(mapping_skipped(mapping, 1, &type, &rows));
	mapping_forget_skipped(mapping);
	cr_assert(mapping_skipped(mapping, 0, &type, &rows));
	cr_assert_eq(rows, 0);
	mapping_free(mapping);
}

Test(mapping, without_a_mapping_of_types_no_type_is_unmapped)
{
	struct mapping *mapping = mapping_of("user_id=UserID");
	struct mapped_texts texts;
	struct row row = {0};

	row.fields[FIELD_EVENT_TYPE] = SPAN("scroll");
	cr_assert(mapping_apply(mapping, &row, &texts));
	cr_assert_not(row.unmapped_type);
	mapping_free(mapping);
}

static const struct {
	const char *mapping, *text, *want; /* want NULL: it does not have this form */
} times[] = {
	{"time_format=%d.%m.%Y %H:%M:%S", "01.10.2019 12:00:05", "2019-10-01 12:00:05 UTC"},
	{"time_format=%d.%m.%Y %H:%M:%S", "1.10.2019  2:00:05", "2019-10-01 02:00:05 UTC"},
	{"time_format=%d.%m.%Y %H:%M:%S", "2019-10-01 12:00:05", NULL},
	{"time_format=%d.%m.%Y %H:%M:%S", "31.02.2019 12:00:05", NULL},
	{"time_format=%d.%m.%Y %H:%M:%S", "01.10.2019 12:00:05 x", NULL},
	{"time_format=\"%b %d, %Y %I:%M:%S %p\"", "Oct 01, 2019 12:00:05 AM",
         "2019-10-01 00:00:05 UTC"},
	{"time_format=\"%b %d, %Y %I:%M:%S %p\"", "October 1, 2019 01:00:05 pm",
         "2019-10-01 13:00:05 UTC"},
	{"time_format=\"%b %d, %Y %I:%M:%S %p\"", "Oct 1, 2019 13:00:05 pm", NULL},
	{"time_format=%FT%T.%f%z", "2019-10-01T12:00:05.123456789+02:00",
         "2019-10-01 10:00:05.123456 UTC"},
	{"time_format=%d/%m/%y %H:%M", "01/10/19 12:30", "2019-10-01 12:30:00 UTC"},
	{"time_zone=+02:00", "2019-10-01 01:00:00", "2019-09-30 23:00:00 UTC"},
	{"time_zone=-0530", "2019-10-01 01:00:00.5", "2019-10-01 06:30:00.5 UTC"},
	{"time_zone=+02:00", "2019-10-01T01:00:00Z", "2019-10-01 01:00:00 UTC"},
	{"time_zone=+02:00", "2019-10-01 01:00:00+01:00", "2019-10-01 00:00:00 UTC"},
	{"time_zone=+02:00", "1569931200", "2019-10-01 12:00:00 UTC"},
	{"time_zone=+02:00,time_format=%Y%m%d%H%M%S", "20191001010000", "2019-09-30 23:00:00 UTC"},
	{"time_zone=+02:00", "yesterday", NULL},
};

Test(mapping, times_of_another_form_or_zone_become_standard_ones)
{
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct mapping *mapping = mapping_of(times[i].mapping);
		const char *want = times[i].want ? times[i].want : times[i].text;
		struct mapped_texts texts;
		struct row row = {0};
		struct span *got = &row.fields[FIELD_EVENT_TIME];

		*got = span_of(times[i].text);
		cr_assert(mapping_apply(mapping, &row, &texts));
		cr_assert(span_is(*got, want), "%s: %.*s, not %s", times[i].text, (int)got->len,
		          got->at, want);
		cr_assert_eq(row.event_time_us == ROW_TIME_NONE, times[i].want == NULL, "%s",
		             times[i].text);
		mapping_free(mapping);
	}
}

/* Times that bronze-sink refuses: the row has them in the standard form, but has no time. */
Test(mapping, a_time_out_of_range_is_no_time_as_without_a_mapping)
{
	static const char *const out_of_range[][3] = {
		{"time_zone=-05:00", "9999-12-31 23:59:59", "10000-01-01 04:59:59 UTC"},
		{"time_format=%d.%m.%Y %H:%M:%S %z", "31.12.9999 23:59:59 -00:30",
	         "10000-01-01 00:29:59 UTC"},
		{"time_zone=+02:00", "2000-01-01 01:59:59", "1999-12-31 23:59:59 UTC"},
	};

	for (size_t i = 0; i < 3; i++) {
		struct mapping *mapping = mapping_of(out_of_range[i][0]);
		struct mapped_texts texts;
		struct row row = {0};
		struct span *got = &row.fields[FIELD_EVENT_TIME];
		int64_t time_us;

		*got = span_of(out_of_range[i][1]);
		cr_assert(mapping_apply(mapping, &row, &texts));
		cr_assert(span_is(*got, out_of_range[i][2]), "%s: %.*s", out_of_range[i][1],
		          (int)got->len, got->at);
		cr_assert_eq(row.event_time_us, ROW_TIME_NONE, "%s", out_of_range[i][1]);
		cr_assert_not(event_time_read(*got, &time_us));
		cr_assert_str_eq(event_time_refusal(*got), "before 2000 or after 9999");
		mapping_free(mapping);
	}
}

static const struct {
	const char *text, *want;
} decimal_commas[] = {
	{"12,99", "12.99"},
	{"12,9", "12.9"},
	{"12,990", "12.990"},
	{"0,00", "0.00"},
	{"-12,99", "-12.99"}, /* bronze-sink says that it is negative */
	{"1299,00", "1299.00"},
	{"1.299,00", "1299.00"},
	{"12.345.678,90", "12345678.90"},
	{"1 299,00", "1299.00"},
	{"1\302\240299,00", "1299.00"},
	{"1\302\240299\302\240000", "1299000"},
	{"1.299", "1299"},
	{"1.299.000", "1299000"},
	{"1 299", "1299"},
	/* these have another form, and stay */
	{"12.99", "12.99"},
	{"1299", "1299"},
	{"1299.000", "1299.000"},
	{"0.500", "0.500"},
	{"0.500,00", "0.500,00"},
	{"1.299.00", "1.299.00"},
	{"1.29,00", "1.29,00"},
	{"1.299 000,00", "1.299 000,00"},
	{"1,299.00", "1,299.00"},
	{"1,299,000", "1,299,000"},
	{"12,", "12,"},
	{",99", ",99"},
	{"12,99 EUR", "12,99 EUR"},
	{"12,99 ", "12,99 "},
	{"1\xc2", "1\xc2"},
	{"+12,99", "+12,99"},
	{"-", "-"},
	{"", ""},
	{"free", "free"},
	{"1000000000000000000000000000000000000000000000000000000000000000,00",
         "1000000000000000000000000000000000000000000000000000000000000000,00"},
};

static void expect_price(const char *pairs, struct row *row, const char *text, const char *want)
{
	struct mapping *mapping = mapping_of(pairs);
	struct mapped_texts texts;
	struct span *got = &row->fields[FIELD_PRICE];

	*got = span_of(text);
	cr_assert(mapping_apply(mapping, row, &texts));
	cr_assert(span_is(*got, want), "%s: %.*s, not %s", text, (int)got->len, got->at, want);
	mapping_free(mapping);
}

Test(mapping, prices_with_a_decimal_comma_become_standard_ones)
{
	for (size_t i = 0; i < sizeof(decimal_commas) / sizeof(decimal_commas[0]); i++)
		expect_price("decimal = ,", &(struct row){0}, decimal_commas[i].text,
		             decimal_commas[i].want);
}

Test(mapping, prices_stay_without_a_decimal_comma_and_as_json_numbers)
{
	expect_price("decimal=.", &(struct row){0}, "12,99", "12,99");
	expect_price("user_id=UserID", &(struct row){0}, "1.299", "1.299");
	expect_price("decimal = ,", &(struct row){.price_is_number = true}, "1.299", "1.299");
}

Test(mapping, a_row_without_a_price_stays_so)
{
	struct mapping *mapping = mapping_of("decimal = ,");
	struct mapped_texts texts;
	struct row row = {0};

	cr_assert(mapping_apply(mapping, &row, &texts));
	cr_assert_null(row.fields[FIELD_PRICE].at);
	mapping_free(mapping);
}

/* A comma separates pairs too, so it stands in quotes, or ends the line. */
Test(mapping, the_comma_of_decimal_can_stand_in_a_list_and_in_a_line)
{
	static const char *const forms[] = {
		"decimal=\",\",user_id=UserID",   "user_id=UserID,decimal=\",\"",
		"user_id=UserID,decimal=,",       "decimal = ,\nuser_id = UserID\n",
		"decimal = , \r\nuser_id=UserID", "decimal = \",\"\nuser_id=UserID",
		"decimal=,;user_id=UserID",
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct mapping *mapping = mapping_of(forms[i]);

		cr_assert_str_eq(mapping_column(mapping, FIELD_USER_ID), "UserID", "%s", forms[i]);
		mapping_free(mapping);
		expect_price(forms[i], &(struct row){0}, "12,99", "12.99");
	}
}

static const struct {
	const char *text, *want;
} refused[] = {
	{"user=UserID", "\"user\" is not known"},
	{"user_id=", "no value"},
	{"user_id=a,user_id=b", "occurs twice"},
	{"user_id=a,view", "has no '='"},
	{"price=\"a", "not closed"},
	{"price=\"a\" b", "expected a comma"},
	{"time_zone=Europe/Berlin", "offset from UTC"},
	{"time_format=%H:%M:%S", "not a complete date"},
	{"decimal=comma", "invalid value \"comma\" for decimal: expected . or , "},
	{"decimal=\",,\"", "invalid value \",,\" for decimal"},
	{"decimal=,user_id=UserID", "invalid value \"\" for decimal"},
	{"decimal=", "in double quotes"},
	{"time_format=%Y-%m-%d %Q", "%Q"},
	{"/nowhere/mapping", "cannot read the file"},
};

Test(mapping, what_is_not_a_mapping_is_refused_with_the_reason)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct err err = {.class = ERR_NONE};

		cr_assert_null(mapping_new(refused[i].text, &err), "%s", refused[i].text);
		cr_assert_eq(err.class, ERR_INPUT);
		cr_assert_not_null(strstr(err.message, refused[i].want), "%s: %s", refused[i].text,
		                   err.message);
		cr_assert_not(mapping_check(refused[i].text, &err));
	}
	cr_assert(mapping_check("", NULL));
}

Test(mapping, a_file_has_the_same_pairs_and_the_same_hash)
{
	static const char text[] = "user_id=UserID\nview = product_view\n";
	char path[] = "/tmp/mapping_XXXXXX";
	int fd = mkstemp(path);
	struct mapping *file, *inline_text, *other;

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	file = mapping_of(path);
	inline_text = mapping_of(text);
	other = mapping_of("user_id=UserID");
	unlink(path);
	cr_assert_str_eq(mapping_column(file, FIELD_USER_ID), "UserID");
	cr_assert_eq(mapping_hash(file), mapping_hash(inline_text));
	cr_assert_neq(mapping_hash(file), mapping_hash(other));
	mapping_free(file);
	mapping_free(inline_text);
	mapping_free(other);
}

static const struct {
	const char *text, *want;
} mistakes[] = {
	{"view=buy,cart=buy", "\"buy\" occurs twice"},
	{"skip=buy,view=buy", "\"buy\" occurs twice"},
	{"view=buy,skip=buy", "\"buy\" occurs twice"},
	{"time_zone=+02:00,time_zone=+03:00", "time_zone occurs twice"},
	{"time_format=%F,time_format=%Y-%m-%d", "time_format occurs twice"},
	{"decimal=.,decimal=.", "decimal occurs twice"},
	{"# = a comment", "has no pair"},
	{"/", "cannot read the file /"},
};

Test(mapping, mistakes_are_refused_and_not_half_used)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct err err = {.class = ERR_NONE};

		cr_assert_null(mapping_new(mistakes[i].text, &err), "%s", mistakes[i].text);
		cr_assert_not_null(strstr(err.message, mistakes[i].want), "%s", err.message);
	}
}

static struct mapping *mapping_of_bytes(const char *bytes, size_t len, struct err *err)
{
	char path[] = "/tmp/mapping_XXXXXX";
	int fd = mkstemp(path);
	struct mapping *mapping;

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	mapping = mapping_new(path, err);
	unlink(path);
	return mapping;
}

Test(mapping, a_file_may_begin_with_a_byte_order_mark_and_has_no_nul_byte)
{
	struct err err = {.class = ERR_NONE};
	struct mapping *mapping = mapping_of_bytes("\xef\xbb\xbfuser_id=UserID\n", 18, &err);

	cr_assert_not_null(mapping, "%s", err.message);
	cr_assert_str_eq(mapping_column(mapping, FIELD_USER_ID), "UserID");
	mapping_free(mapping);
	cr_assert_null(mapping_of_bytes("user_id=UserID\n\0x=y\n", 20, &err));
	cr_assert_not_null(strstr(err.message, "NUL byte"), "%s", err.message);
}
