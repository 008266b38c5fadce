/* The search for rejected rows. The fake database rejects a fixed set of rows. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "bisect.h"

struct fake {
	uint32_t bad[8], bad_count;
	uint32_t away_at; /* number of the try that fails with ERR_RETRY; 0: none */
	uint32_t tries, found[64], found_count;
};

static bool try_rows(void *context, const uint32_t *rows, uint32_t count, struct err *err)
{
	struct fake *fake = context;

	if (++fake->tries == fake->away_at)
		return err_set(err, ERR_RETRY, "away");
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t b = 0; b < fake->bad_count; b++)
			if (rows[i] == fake->bad[b])
				return err_set(err, ERR_INPUT, "row %u is bad", rows[i]);
	return true;
}

static bool found(void *context, uint32_t row, const struct err *why, struct err *err)
{
	struct fake *fake = context;
	char want[64];

	(void)err;
	snprintf(want, sizeof(want), "row %u is bad", row);
	cr_expect_str_eq(why->message, want);
	fake->found[fake->found_count++] = row;
	return true;
}

static bool run(struct fake *fake, uint32_t count, struct err *err)
{
	struct bisect bisect = {fake, try_rows, found};
	uint32_t rows[20000];

	for (uint32_t i = 0; i < count; i++)
		rows[i] = i + 100;
	return bisect_rows(&bisect, rows, count, err);
}

Test(loader_bisect, every_bad_row_is_found_and_no_other)
{
	static const struct {
		const char *label;
		uint32_t count, bad[8], bad_count;
	} table[] = {
		{"the only row", 1, {100}, 1},
		{"first", 7, {100}, 1},
		{"last", 7, {106}, 1},
		{"middle of many", 20000, {10123}, 1},
		{"two neighbours", 64, {131, 132}, 2},
		{"both ends", 1000, {100, 1099}, 2},
		{"all", 5, {100, 101, 102, 103, 104}, 5},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fake fake = {.bad_count = table[i].bad_count};
		struct err err = {0};

		memcpy(fake.bad, table[i].bad, sizeof(fake.bad));
		cr_expect(run(&fake, table[i].count, &err), "%s: %s", table[i].label, err.message);
		cr_assert_eq(fake.found_count, table[i].bad_count, "%s", table[i].label);
		cr_expect_eq(memcmp(fake.found, table[i].bad, fake.found_count * sizeof(uint32_t)),
		             0, "%s", table[i].label);
	}
}

Test(loader_bisect, one_bad_row_of_many_takes_few_tries)
{
	struct fake fake = {.bad = {12345}, .bad_count = 1};
	struct err err = {0};

	cr_expect(run(&fake, 20000, &err));
	cr_expect_leq(fake.tries, 30, "%u tries", fake.tries);
}

Test(loader_bisect, a_server_that_goes_away_stops_the_search_with_its_own_error)
{
	struct fake fake = {.bad = {150}, .bad_count = 1, .away_at = 4};
	struct err err = {0};

	cr_expect_not(run(&fake, 1000, &err));
	cr_expect_eq(err.class, ERR_RETRY);
	cr_expect_eq(fake.found_count, 0);
}

Test(loader_bisect, rows_that_all_pass_alone_are_a_fatal_error)
{
	struct fake fake = {.bad_count = 0};
	struct err err = {0};

	cr_expect_not(run(&fake, 100, &err));
	cr_expect_eq(err.class, ERR_FATAL);
	cr_expect_not(run(&fake, 1, &err));
	cr_expect_eq(err.class, ERR_FATAL);
	cr_expect_eq(fake.found_count, 0);
}
