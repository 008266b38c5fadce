/* Signatures are those of RFC 4231. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/hmac.h"

/* The key is `byte` (of test case 2, four bytes), repeated. */
static const struct {
	const char *label, *byte;
	size_t times;
	const char *text, *want;
} cases[] = {
	{"test case 1", "\x0b", 20, "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{"test case 2, a short key", "Jefe", 1, "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{"test case 6, a key longer than a block", "\xaa", 131,
         "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
};

Test(hmac, signatures_are_those_of_the_rfc)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span text = span_of(cases[i].text);
		char key[160] = "", hex[HMAC_HEX_BYTES];

		for (size_t n = 0; n < cases[i].times; n++)
			strcat(key, cases[i].byte);
		hmac_sha256_hex(span_of(key), &text, 1, hex);
		cr_expect_str_eq(hex, cases[i].want, "%s: %s", cases[i].label, hex);
	}
}

Test(hmac, texts_are_signed_one_after_the_other)
{
	struct span together = SPAN("17.{}"), parts[] = {SPAN("17"), SPAN("."), SPAN("{}")};
	char want[HMAC_HEX_BYTES], got[HMAC_HEX_BYTES];

	hmac_sha256_hex(SPAN("key"), &together, 1, want);
	hmac_sha256_hex(SPAN("key"), parts, 3, got);
	cr_assert_str_eq(got, want);
	hmac_sha256_hex(SPAN("kez"), parts, 3, got);
	cr_assert_str_neq(got, want);
}
