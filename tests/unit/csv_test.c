/* CSV records: how lines are split, and which are malformed. Neither the place where the input is
 * cut nor the quoting changes a field. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>

#include "base/csv.h"
#include "base/span.h"

#define FIELD_CAP 4

/* Writes all records of input as text: [a|b]: a record, !raw!: a malformed one, ?: more needed. */
static void describe_all(const char *input, size_t length, bool at_end, char *out, size_t cap)
{
	char text[256], *at = text;
	size_t len = 0;

	cr_assert(length <= sizeof(text));
	memcpy(text, input, length);
	out[0] = '\0';
	for (;;) {
		struct span fields[FIELD_CAP];
		struct csv_record record;
		size_t used, left = length - (size_t)(at - text);
		enum csv_result result =
			csv_next(at, left, at_end, fields, FIELD_CAP, &record, &used);

		cr_assert(used <= left);
		if (result == CSV_END)
			return;
		if (result == CSV_NEED_MORE) {
			snprintf(out + len, cap - len, "?");
			return;
		}
		cr_assert(used > 0);
		if (result == CSV_MALFORMED)
			len += (size_t)snprintf(out + len, cap - len, "!%.*s!", (int)record.raw.len,
			                        record.raw.at);
		for (size_t i = 0; result == CSV_RECORD && i < record.field_count && i < FIELD_CAP;
		     i++)
			len += (size_t)snprintf(out + len, cap - len, "%s%.*s", i ? "|" : "[",
			                        (int)fields[i].len, fields[i].at);
		if (result == CSV_RECORD)
			len += (size_t)snprintf(out + len, cap - len,
			                        record.field_count > FIELD_CAP ? "|+]" : "]");
		at += used;
	}
}

static const struct {
	const char *label, *in, *at_end, *not_at_end;
} table[] = {
	{"nothing", "", "", "?"},
	{"plain lines", "a,b\nc,d\n", "[a|b][c|d]", "[a|b][c|d]?"},
	{"last line without its end", "a,b\nc,d", "[a|b][c|d]", "[a|b]?"},
	{"CR LF", "a,b\r\nc,d\r\n", "[a|b][c|d]", "[a|b][c|d]?"},
	{"CR at the end of input", "a,b\r", "[a|b]", "?"},
	{"CR inside a line", "a\rb,c\n", "[a\rb|c]", "[a\rb|c]?"},
	{"empty fields", ",,\n", "[||]", "[||]?"},
	{"empty line", "\na\n", "[][a]", "[][a]?"},
	{"quoted", "\"a\",b,\"c\"\n", "[a|b|c]", "[a|b|c]?"},
	{"quoted comma", "\"a,b\",c\n", "[a,b|c]", "[a,b|c]?"},
	{"doubled quotes", "\"say \"\"hi\"\"\",c\n", "[say \"hi\"|c]", "[say \"hi\"|c]?"},
	{"only quotes", "\"\",\"\"\"\"\n", "[|\"]", "[|\"]?"},
	{"quoted line break", "\"a\nb\",c\nd\n", "[a\nb|c][d]", "[a\nb|c][d]?"},
	{"quoted CR LF", "\"a\r\nb\",c\r\nd\n", "[a\r\nb|c][d]", "[a\r\nb|c][d]?"},
	{"quoted last field with CR LF", "a,\"b\"\r\nc\n", "[a|b][c]", "[a|b][c]?"},
	{"quoted last field at the end", "a,\"b\"", "[a|b]", "?"},
	{"quoted last field, CR, end", "a,\"b\"\r", "[a|b]", "?"},
	{"quoted field then empty field", "\"a\",\n", "[a|]", "[a|]?"},
	{"text after a closing quote", "\"a\"x,b\nc\n", "!\"a\"x,b![c]", "!\"a\"x,b![c]?"},
	{"CR after a closing quote", "\"a\"\rx\nc\n", "!\"a\"\rx![c]", "!\"a\"\rx![c]?"},
	{"CR and a comma after a closing quote", "\"a\"\r,b\nc\n", "!\"a\"\r,b![c]",
         "!\"a\"\r,b![c]?"},
	{"quote in an unquoted field", "12\" pipe,b\r\nc\n", "!12\" pipe,b![c]",
         "!12\" pipe,b![c]?"},
	{"doubled quotes are left in a malformed record", "\"a\"\"b\",c\"\nd\n",
         "!\"a\"\"b\",c\"![d]", "!\"a\"\"b\",c\"![d]?"},
	{"open quote loses one line only", "a,\"b\nc,d\ne,f\n", "!a,\"b![c|d][e|f]", "?"},
	{"open quote in the last line", "a,\"b", "!a,\"b!", "?"},
	{"fault without a line end", "a\"b", "!a\"b!", "?"},
	{"more fields than room", "a,b,c,d,e,f\n", "[a|b|c|d|+]", "[a|b|c|d|+]?"},
	{"more quoted fields than room", "\"a\",b,c,d,e\n", "[a|b|c|d|+]", "[a|b|c|d|+]?"},
};

Test(csv, records_are_split_as_the_table_says)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char got[512];

		describe_all(table[i].in, strlen(table[i].in), true, got, sizeof(got));
		cr_expect_str_eq(got, table[i].at_end, "%s: got %s", table[i].label, got);
		describe_all(table[i].in, strlen(table[i].in), false, got, sizeof(got));
		cr_expect_str_eq(got, table[i].not_at_end, "%s, more to come: got %s",
		                 table[i].label, got);
	}
}

Test(csv, need_more_leaves_the_input_untouched)
{
	char text[] = "\"a \"\"b\"\" c\",\"d\"\"", before[sizeof(text)];
	struct span fields[FIELD_CAP];
	struct csv_record record;
	size_t used = 99;

	memcpy(before, text, sizeof(text));
	cr_expect_eq(csv_next(text, sizeof(text) - 1, false, fields, FIELD_CAP, &record, &used),
	             CSV_NEED_MORE);
	cr_expect_eq(used, 0);
	cr_expect_arr_eq(text, before, sizeof(text));
}

Test(csv, field_count_and_raw_describe_the_complete_record)
{
	char text[] = "a,b,c,d,e,f\r\nnext";
	struct span fields[FIELD_CAP];
	struct csv_record record;
	size_t used;

	cr_assert_eq(csv_next(text, sizeof(text) - 1, true, fields, FIELD_CAP, &record, &used),
	             CSV_RECORD);
	cr_expect_eq(record.field_count, 6);
	cr_expect(span_is(record.raw, "a,b,c,d,e,f"));
	cr_expect_eq(used, 13);
}

/* decode(encode(fields)) = fields, for random fields and quoting, with the special bytes of CSV. */
Test(csv, random_fields_come_back_from_their_encoding)
{
	static const char alphabet[] = ",\"\n\r ab";
	uint32_t seed = 20191001;

	for (int round = 0; round < 20000; round++) {
		char plain[FIELD_CAP][8], text[256];
		size_t lens[FIELD_CAP], len = 0, used, count = 1 + (seed >> 8) % FIELD_CAP;
		struct span fields[FIELD_CAP];
		struct csv_record record;

		for (size_t i = 0; i < count; i++) {
			bool quote = ((seed = seed * 1664525 + 1013904223) >> 16 & 1) != 0;

			lens[i] = (seed >> 20) % 8;
			for (size_t j = 0; j < lens[i]; j++) {
				seed = seed * 1664525 + 1013904223;
				plain[i][j] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
				quote = quote || strchr(",\"\n\r", plain[i][j]);
			}
			if (i > 0)
				text[len++] = ',';
			if (quote)
				text[len++] = '"';
			for (size_t j = 0; j < lens[i]; j++) {
				text[len++] = plain[i][j];
				if (plain[i][j] == '"')
					text[len++] = '"';
			}
			if (quote)
				text[len++] = '"';
		}
		text[len++] = '\n';
		cr_assert_eq(csv_next(text, len, false, fields, FIELD_CAP, &record, &used),
		             CSV_RECORD, "round %d", round);
		cr_assert_eq(used, len, "round %d", round);
		cr_assert_eq(record.field_count, count, "round %d", round);
		for (size_t i = 0; i < count; i++)
			cr_assert(span_equal(fields[i], (struct span){plain[i], lens[i]}),
			          "round %d, field %zu", round, i);
	}
}

/* For any bytes: each call ends within its input, and the records cover the input. */
Test(csv, random_bytes_are_covered_by_records)
{
	static const char alphabet[] = "\"\",,\n\r\nab";
	uint32_t seed = 7;

	for (int round = 0; round < 50000; round++) {
		char text[24];
		size_t length, at = 0, used;
		struct span fields[2];
		struct csv_record record;
		enum csv_result result;

		seed = seed * 1664525 + 1013904223;
		length = (seed >> 16) % sizeof(text);
		for (size_t i = 0; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		while ((result = csv_next(text + at, length - at, true, fields, 2, &record,
		                          &used)) != CSV_END) {
			cr_assert(result == CSV_RECORD || result == CSV_MALFORMED, "round %d",
			          round);
			cr_assert(used > 0 && used <= length - at, "round %d", round);
			cr_assert(record.raw.len <= used && record.raw.at == text + at, "round %d",
			          round);
			at += used;
		}
		cr_assert_eq(at, length, "round %d", round);
	}
}
