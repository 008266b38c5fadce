/* The examples of RFC 4648, section 10, and bytes that are not text. */
#include <criterion/criterion.h>

#include "base/base64.h"

static const struct {
	struct span bytes;
	const char *want;
} cases[] = {
	{{"", 0}, ""},
	{{"f", 1}, "Zg=="},
	{{"fo", 2}, "Zm8="},
	{{"foo", 3}, "Zm9v"},
	{{"foob", 4}, "Zm9vYg=="},
	{{"fooba", 5}, "Zm9vYmE="},
	{{"foobar", 6}, "Zm9vYmFy"},
	{{"\x00\xff\xfb\xf0", 4}, "AP/78A=="},
};

Test(base64, texts_are_those_of_the_rfc)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buffer text = {0};

		base64_append(&text, cases[i].bytes);
		cr_expect(span_equal((struct span){text.at ? text.at : "", text.len},
		                     span_of(cases[i].want)),
		          "case %zu: %.*s", i, (int)text.len, text.at);
		buffer_free(&text);
	}
}
