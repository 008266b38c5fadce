/* The interner compared with a list of texts. */
#include "base/interner.h"
#include "base/span.h"
#include "unit/fold_kit.h"

/* Texts that were used at or after the limit must keep their number, text and attached value. */
Test(interner, a_text_keeps_its_number_while_it_may_be_in_use_and_memory_is_reused)
{
	struct interner interner = {0};
	struct rng rng = {5};
	static int64_t used_us[40000];
	static uint32_t number_of[40000];
	int64_t keep_us = INT64_MIN;

	for (int64_t now = 0; now < 40000; now++) {
		char text[24];
		int64_t which = now - rng_below(&rng, now < 300 ? now + 1 : 300);
		struct span span = {text,
		                    (size_t)snprintf(text, sizeof(text), "name-%" PRId64, which)};
		uint32_t number;

		if (now > 500)
			keep_us = now - 400;
		number = interner_put(&interner, span, now, keep_us);
		cr_assert(span_equal(interner_text(&interner, number), span));
		if (used_us[which] && used_us[which] >= keep_us) {
			cr_assert_eq(number, number_of[which], "%s changed its number", text);
			cr_assert_eq(interner.at[number].attached, (uint32_t)which,
			             "%s lost what was attached", text);
		}
		interner.at[number].attached = (uint32_t)which;
		used_us[which] = now;
		number_of[which] = number;
	}
	cr_assert(interner.count < 4000, "%u numbers for at most 400 live texts: nothing is swept",
	          interner.count);
	interner_free(&interner);
}

Test(interner, older_use_does_not_make_a_text_older)
{
	struct interner interner = {0};
	uint32_t number = interner_put(&interner, SPAN("kept"), 100, 0);

	cr_assert_eq(interner_put(&interner, SPAN("kept"), 5, 0), number);
	cr_assert_eq(interner.at[number].last_us, 100);
	interner_free(&interner);
}

/* Of texts of all sizes up to more than a chunk, those that are left keep their bytes. */
Test(interner, texts_keep_their_bytes_when_others_are_removed)
{
	static char bytes[70000];
	struct interner interner = {0};

	memset(bytes, 'x', sizeof(bytes));
	for (int64_t now = 0; now < 600; now++) {
		size_t len = now % 100 == 99 ? sizeof(bytes) : (size_t)now % 100 + 8;
		uint32_t number;

		snprintf(bytes, sizeof(bytes), "%07" PRId64, now);
		number = interner_put(&interner, (struct span){bytes, len}, now, now - 100);
		cr_assert_eq(interner_text(&interner, number).len, len);
	}
	for (uint32_t i = 0; i < interner.count; i++) {
		struct span text = interner_text(&interner, i);

		if (!text.at)
			continue;
		snprintf(bytes, sizeof(bytes), "%07" PRId64, interner.at[i].last_us);
		cr_assert(memcmp(text.at, bytes, text.len) == 0, "text %u", i);
	}
	cr_assert(interner.live < 600, "no text was removed");
	interner_free(&interner);
}

Test(interner, an_empty_text_has_a_number_and_no_number_has_no_text)
{
	struct interner interner = {0};
	uint32_t number = interner_put(&interner, SPAN(""), 0, 0);

	cr_assert_eq(interner_put(&interner, SPAN(""), 0, 0), number);
	cr_assert_eq(interner_text(&interner, number).len, 0);
	cr_assert_null(interner_text(&interner, INTERNED_NONE).at);
	interner_free(&interner);
}

Test(interner, a_search_finds_what_was_put_and_adds_nothing)
{
	struct interner interner = {0};
	uint32_t number;

	cr_assert_eq(interner_find(&interner, SPAN("a")), INTERNED_NONE);
	number = interner_put(&interner, SPAN("a"), 0, 0);
	cr_assert_eq(interner_find(&interner, SPAN("a")), number);
	cr_assert_eq(interner_find(&interner, SPAN("b")), INTERNED_NONE);
	cr_assert_eq(interner.live, 1);
	interner_clear(&interner);
	cr_assert_eq(interner_find(&interner, SPAN("a")), INTERNED_NONE);
	interner_free(&interner);
}

Test(interner, no_text_is_known_after_a_clear)
{
	struct interner interner = {0};

	interner_clear(&interner);
	for (int round = 0; round < 20; round++) {
		uint32_t texts = round % 2 ? 3 : 1000;

		for (uint32_t i = 0; i < texts; i++) {
			char text[24];
			struct span span = {text,
			                    (size_t)snprintf(text, sizeof(text), "text-%u", i)};
			uint32_t number = interner_put(&interner, span, round, round - 5);

			cr_assert_eq(number, i, "round %d", round);
			cr_assert_eq(interner.at[number].attached, INTERNED_NONE);
			interner.at[number].attached = i;
			cr_assert_eq(interner_put(&interner, span, round, round - 5), i);
			cr_assert_eq(interner.at[number].attached, i);
		}
		cr_assert_eq(interner.live, texts);
		interner_clear(&interner);
		cr_assert_eq(interner.live, 0);
	}
	interner_free(&interner);
}
