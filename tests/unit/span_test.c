/* Blanks around a span. */
#include <criterion/criterion.h>

#include "base/span.h"

static const struct {
	const char *text, *want;
} texts[] = {
	{"a b", "a b"},
	{" \ta b\r\n", "a b"},
	{"\v\fa", "a"},
	{" \t\r\n", ""},
	{"", ""},
	{"\x1f"
         "a\xc2\xa0",
         "\x1f"
         "a\xc2\xa0"},
};

Test(span, blanks_around_a_text_are_trimmed_and_those_in_it_stay)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert(span_is(span_trim(span_of(texts[i].text)), texts[i].want), "%zu", i);
	cr_assert_null(span_trim(SPAN_NULL).at);
	cr_assert(span_is(span_trim((struct span){"\0 ", 2}), "") == false);
}
