#include <criterion/criterion.h>

#include "base/span.h"
#include "stream/record_mark.h"

static struct record_mark mark(const char *key, const char *value)
{
	return record_mark_of(5, 1569888000000, span_of(key), span_of(value));
}

Test(record_mark, the_same_record_has_the_same_mark)
{
	struct record_mark a = mark("user", "{}"), b = mark("user", "{}");

	cr_assert(record_mark_equal(&a, &b));
}

Test(record_mark, every_part_of_a_record_counts)
{
	struct record_mark want = mark("user", "{}");
	struct record_mark others[] = {
		record_mark_of(6, 1569888000000, SPAN("user"), SPAN("{}")),
		record_mark_of(5, 1569888000001, SPAN("user"), SPAN("{}")),
		mark("uses", "{}"),
		mark("user", "{]"),
		mark("user{", "}"),
		mark("user", ""),
		mark("user", NULL),
		mark("", "{}"),
		mark(NULL, "{}"),
		mark(NULL, ""),
		mark("", NULL),
		mark(NULL, NULL),
		mark("", ""),
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		cr_assert_not(record_mark_equal(&others[i], &want), "%zu", i);
		for (size_t j = 0; j < i; j++)
			cr_assert_not(record_mark_equal(&others[i], &others[j]), "%zu and %zu", i,
			              j);
	}
}

Test(record_mark, text_form_parses_back)
{
	struct record_mark marks[] = {mark("user", "{}"),
	                              {0, 0, 0},
	                              {INT64_MAX, INT64_MAX, UINT64_MAX},
	                              {1, -1, UINT64_C(1) << 63}};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		char text[RECORD_MARK_TEXT_MAX];
		struct record_mark again;

		record_mark_format(&marks[i], text);
		cr_assert(record_mark_parse(text, &again), "%s", text);
		cr_assert(record_mark_equal(&again, &marks[i]), "%s", text);
	}
}

Test(record_mark, other_text_is_refused)
{
	static const char *const texts[] = {"",
	                                    "5",
	                                    "5,1",
	                                    "5,1,",
	                                    "-1,1,0011223344556677",
	                                    "5,1,001122334455667",
	                                    "5,1,00112233445566778",
	                                    "5,1,001122334455667g",
	                                    "5,1,0011223344556677 "};
	struct record_mark got;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_not(record_mark_parse(texts[i], &got), "%s", texts[i]);
}
