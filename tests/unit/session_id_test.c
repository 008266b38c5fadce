/* Ids of sessions compared with UUIDs and with known digests (printf '...' | md5sum). */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/span.h"
#include "event/session_id.h"

Test(session_id, is_the_uuid_or_the_md5_of_the_key)
{
	static const struct {
		const char *label, *key, *want;
	} table[] = {
		{"a UUID", "72d76fde-8bb3-4e00-8c23-a032dfed738c",
	         "72d76fde8bb34e008c23a032dfed738c"},
		{"all zero", "00000000-0000-0000-0000-000000000000",
	         "00000000000000000000000000000000"},
		{"one letter in upper case", "72D76FDE-8bb3-4e00-8c23-a032dfed738c",
	         "fbd6d5336fda32be1f5560d0e12ef30e"},
		{"without hyphens", "72d76fde8bb34e008c23a032dfed738c",
	         "a7914b78af1eacd44a9d9eb380d98002"},
		{"of a user", "user:7", "7ba6918e058cb5e6880102477295103f"},
		{"a short text", "ABC", "902fbdd2b1df0c4f70b4a5d23525e932"},
		{"a hyphen in another place", "72d76fde8-bb3-4e00-8c23-a032dfed738c",
	         "bcb329bef83ffbabcc7830aeb228d164"},
		{"not hexadecimal", "72d76fde-8bb3-4e00-8c23-a032dfed738g",
	         "cb32980aed68dbef61cefa8e63bd7610"},
		{"of a name with an umlaut", "s\xc3\xa4ule", "ecd41d3030419ee7ea48430901062fe0"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		uint8_t id[SESSION_ID_BYTES];
		char hex[2 * SESSION_ID_BYTES + 1];

		cr_expect_eq(session_id(span_of(table[i].key), id), i < 2, "%s", table[i].label);
		for (size_t n = 0; n < sizeof(id); n++)
			snprintf(hex + 2 * n, 3, "%02x", id[n]);
		cr_expect_str_eq(hex, table[i].want, "%s: got %s", table[i].label, hex);
	}
}
