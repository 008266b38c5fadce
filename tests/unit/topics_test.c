/* Numbers of partitions: those of a new set, those of an older one, and what is refused. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "wire/topics.h"

Test(topics, a_new_set_has_a_quarter_of_its_partitions_for_what_the_aggregator_writes)
{
	static const struct {
		int32_t all, quarter;
	} table[] = {{1, 1}, {2, 1}, {4, 1}, {5, 2}, {6, 2}, {12, 3}, {128, 32}};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct set_partitions set = set_partitions_new(table[i].all);

		cr_expect_eq(topic_partitions(TOPIC_RAW_EVENTS, set), table[i].all);
		cr_expect_eq(topic_partitions(TOPIC_BRONZE_EVENTS, set), table[i].all);
		cr_expect_eq(topic_partitions(TOPIC_DEAD_LETTER, set), table[i].all);
		cr_expect_eq(topic_partitions(TOPIC_FUNNEL_PARTIALS, set), table[i].quarter);
		cr_expect_eq(topic_partitions(TOPIC_SESSION_FUNNELS, set), table[i].quarter);
		cr_expect_eq(topic_partitions(TOPIC_AGGREGATED_EVENTS, set), table[i].quarter);
		cr_expect_eq(topic_partitions(TOPIC_LATE_EVENTS, set), table[i].quarter);
		cr_expect_eq(topic_partitions(TOPIC_ABANDONED_CARTS, set), table[i].quarter);
		cr_expect_eq(topic_partitions(TOPIC_COUNTS, set), 1);
		cr_expect_eq(topic_partitions(TOPIC_ALERTS, set), 1);
		cr_expect_eq(topic_partitions(TOPIC_PRODUCER_STATE, set), 1);
	}
}

/* Whether topics with these numbers fit a set of 6 partitions, in this order. */
static bool fit(int32_t late, int32_t visits, int32_t partials, struct err *err)
{
	struct set_partitions set = {.all = 6};

	*err = (struct err){ERR_NONE, ""};
	return topic_partitions_fit(TOPIC_BRONZE_EVENTS, "bronze", 6, "raw", &set, err) &&
	       topic_partitions_fit(TOPIC_LATE_EVENTS, "late", late, "raw", &set, err) &&
	       topic_partitions_fit(TOPIC_COUNTS, "counts", 1, "raw", &set, err) &&
	       topic_partitions_fit(TOPIC_SESSION_FUNNELS, "visits", visits, "raw", &set, err) &&
	       topic_partitions_fit(TOPIC_FUNNEL_PARTIALS, "partials", partials, "raw", &set, err);
}

Test(topics, a_new_set_and_an_older_one_fit)
{
	struct err err;

	cr_expect(fit(2, 2, 2, &err), "%s", err.message);
	cr_expect(fit(6, 6, 6, &err), "%s", err.message);
}

Test(topics, a_topic_with_another_number_is_refused)
{
	static const struct {
		int32_t late, visits, partials;
		const char *want;
	} table[] = {
		{3, 2, 2, "late has 3 partitions, expected 2, as raw has 6"},
		{2, 2, 6, "partials has 6 partitions and late has 2, expected the same number"},
		{2, 6, 2, "visits has 6 partitions and late has 2, expected the same number"},
		{6, 2, 2, "visits has 2 partitions and late has 6, expected the same number"},
		{6, 6, 2, "partials has 2 partitions and late has 6, expected the same number"},
		{6, 7, 6, "visits has 7 partitions and late has 6, expected the same number"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct err err;

		cr_expect_not(fit(table[i].late, table[i].visits, table[i].partials, &err));
		cr_expect_eq(err.class, ERR_OPERATOR);
		cr_expect(strstr(err.message, table[i].want), "%s", err.message);
	}
}

Test(topics, topics_of_the_set_and_single_ones_have_no_other_number)
{
	struct set_partitions set = {.all = 6};
	struct err err = {ERR_NONE, ""};

	cr_expect_not(topic_partitions_fit(TOPIC_COUNTS, "counts", 6, "raw", &set, &err));
	cr_expect_not(topic_partitions_fit(TOPIC_BRONZE_EVENTS, "bronze", 2, "raw", &set, &err));
	cr_expect(strstr(err.message, "bronze has 2 partitions, expected 6, as raw has 6"), "%s",
	          err.message);
}
