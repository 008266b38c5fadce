/* The cache of labels and sources of events. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/span.h"
#include "event_entries.h"

static const struct event_label labels[] = {
	{0, {NULL, 0}, {NULL, 0}}, {1, {NULL, 0}, {NULL, 0}}, {0, {"a", 1}, {NULL, 0}},
	{0, {NULL, 0}, {"a", 1}},  {0, {"ab", 2}, {"c", 1}},  {0, {"a", 1}, {"bc", 2}},
	{0, {"a", 1}, {"", 0}}, /* not the same as null */
	{0, {"", 0}, {"a", 1}},    {-1, {"a", 1}, {"a", 1}},  {INT64_MAX, {"a", 1}, {"a", 1}},
};
#define LABELS (sizeof(labels) / sizeof(*labels))

static bool same(struct span a, struct span b)
{
	return !a.at == !b.at && span_equal(a, b);
}

Test(loader_entries, each_combination_of_values_has_a_number_of_its_own)
{
	struct entries entries = {0};

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < LABELS; i++)
			cr_expect_eq(entries_put_label(&entries, &labels[i]), i, "label %zu", i);
	for (uint32_t i = 0; i < LABELS; i++) {
		struct event_label got = entries_label(&entries, i);

		cr_expect_eq(got.category_id, labels[i].category_id, "label %u", i);
		cr_expect(same(got.category_code, labels[i].category_code), "label %u", i);
		cr_expect(same(got.brand, labels[i].brand), "label %u", i);
	}
	entries_free(&entries);
}

Test(loader_entries, a_source_is_a_file_and_a_partition)
{
	static const struct event_source sources[] = {{{NULL, 0}, 0},
	                                              {{NULL, 0}, 1},
	                                              {{"f", 1}, 0},
	                                              {{"f", 1}, INT32_MAX}};
	struct entries entries = {0};

	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 4; i++)
			cr_expect_eq(entries_put_source(&entries, &sources[i]), i);
	for (uint32_t i = 0; i < 4; i++) {
		struct event_source got = entries_source(&entries, i);

		cr_expect(same(got.file, sources[i].file), "source %u", i);
		cr_expect_eq(got.raw_partition, sources[i].raw_partition, "source %u", i);
	}
	entries_free(&entries);
}

Test(loader_entries, the_longest_texts_fit)
{
	static char text[1024];
	struct entries entries = {0};
	struct event_label label = {7, {text, 512}, {text + 512, 512}};
	struct event_source source = {{text, 1024}, 7};

	memset(text, 'x', sizeof(text));
	(void)entries_put_label(&entries, &label);
	cr_expect(same(entries_label(&entries, 0).brand, label.brand));
	entries_free(&entries);
	(void)entries_put_source(&entries, &source);
	cr_expect(same(entries_source(&entries, 0).file, source.file));
	entries_free(&entries);
}

Test(loader_entries, an_id_is_known_until_all_are_forgotten)
{
	struct entries entries = {0};
	uint32_t a = entries_put_label(&entries, &labels[0]);
	uint32_t b = entries_put_label(&entries, &labels[1]);
	int32_t id = 0;

	cr_expect_not(entries_id(&entries, a, &id));
	entries_set_id(&entries, a, INT32_MAX);
	cr_expect(entries_id(&entries, a, &id));
	cr_expect_eq(id, INT32_MAX);
	cr_expect_not(entries_id(&entries, b, &id));
	entries_forget_ids(&entries);
	cr_expect_not(entries_id(&entries, a, &id));
	cr_expect_eq(entries_put_label(&entries, &labels[1]), b, "numbers stay");
	entries_free(&entries);
}

static uint32_t put_source(struct entries *entries, size_t len, int32_t partition)
{
	static char file[1024];

	memset(file, 'f', sizeof(file));
	return entries_put_source(entries, &(struct event_source){{file, len}, partition});
}

Test(loader_entries, a_trim_empties_a_cache_with_too_many_entries_or_bytes)
{
	static const struct {
		const char *label;
		size_t len, count;
	} table[] = {{"entries", 1, ENTRIES_MAX}, {"bytes", 1016, ENTRIES_BYTES_MAX / 1024}};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct entries entries = {0};
		int32_t id;

		for (size_t n = 0; n < table[i].count; n++)
			entries_set_id(&entries, put_source(&entries, table[i].len, (int32_t)n), 1);
		entries_trim(&entries);
		cr_expect(entries_id(&entries, put_source(&entries, table[i].len, 5), &id),
		          "%s: full, and not too many", table[i].label);
		(void)put_source(&entries, table[i].len, INT32_MAX);
		entries_trim(&entries);
		cr_expect_not(entries_id(&entries, put_source(&entries, table[i].len, 5), &id),
		              "%s: one too many", table[i].label);
		cr_expect_eq(entries.keys.count, 1, "%s", table[i].label);
		cr_expect_eq(entries.bytes, table[i].len + 8, "%s", table[i].label);
		entries_free(&entries);
	}
}
