/* The schema ids that the topics use, and whether they can be registered again. */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/window.h"
#include "wire/avro_resolver.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/schema_ids.h"
#include "wire/schemas.h"

static void add_bronze(struct schema_uses *uses, enum schema_kind kind, int32_t id, int64_t offset)
{
	struct bronze_event event = {
		.event = {.event_time_us = 1, .product_id = 1, .user_id = 1, .price_cents = 1}};
	struct buffer value = {0};

	bronze_encode(&value, id, &event);
	schema_uses_add(uses, kind, 2, offset, (struct span){value.at, value.len});
	buffer_free(&value);
}

static void add_partial(struct schema_uses *uses, int32_t id)
{
	struct partial partial = {.rollup = SPAN("1m:all"), .group_value = SPAN("all")};
	struct buffer value = {0};

	partial_encode(&value, id, &partial);
	schema_uses_add(uses, SCHEMA_PARTIAL, 0, 0, (struct span){value.at, value.len});
	buffer_free(&value);
}

Test(schema_ids, uses_are_kept_by_topic_and_id_with_a_sample_that_fits)
{
	struct schema_uses uses = {0};

	schema_uses_add(&uses, SCHEMA_BRONZE, 1, 5, (struct span){"\0\0\0\0\11junk", 9});
	add_bronze(&uses, SCHEMA_BRONZE, 9, 6);
	add_bronze(&uses, SCHEMA_BRONZE, 9, 7);
	add_bronze(&uses, SCHEMA_LATE, 9, 8);
	add_partial(&uses, 4);
	schema_uses_add(&uses, SCHEMA_BRONZE, 1, 5, SPAN_NULL);
	schema_uses_add(&uses, SCHEMA_RAW, 1, 5, SPAN("{\"plain\":1}"));
	schema_uses_sort(&uses);
	cr_assert_eq(uses.count, 3);
	cr_assert(uses.at[0].id == 4 && uses.at[0].kind == SCHEMA_PARTIAL &&
	          uses.at[0].records == 1 && uses.at[0].fits);
	cr_assert(uses.at[1].id == 9 && uses.at[1].kind == SCHEMA_BRONZE &&
	          uses.at[1].records == 3 && uses.at[1].fits);
	cr_assert(uses.at[1].first_partition == 1 && uses.at[1].first_offset == 5 &&
	          uses.at[1].sample.len > 9);
	cr_assert(uses.at[2].id == 9 && uses.at[2].kind == SCHEMA_LATE && uses.at[2].records == 1);
	schema_uses_free(&uses);
}

Test(schema_ids, ids_beyond_the_limit_are_only_counted)
{
	struct schema_uses uses = {0};

	for (int32_t id = 1; id <= SCHEMA_USES_MAX + 10; id++) {
		char value[] = {0, 0, (char)(id >> 16), (char)(id >> 8), (char)id, 'x'};

		schema_uses_add(&uses, SCHEMA_BRONZE, 0, id, (struct span){value, sizeof(value)});
	}
	cr_assert_eq(uses.count, SCHEMA_USES_MAX);
	cr_assert_eq(uses.left_out, 10);
	cr_assert_not(uses.at[0].fits);
	schema_uses_free(&uses);
}

Test(schema_ids, a_body_fits_its_own_topic_only)
{
	struct schema_uses uses = {0};

	add_bronze(&uses, SCHEMA_BRONZE, 1, 0);
	add_bronze(&uses, SCHEMA_COUNTS, 1, 0);
	add_bronze(&uses, SCHEMA_VISIT, 1, 0);
	add_bronze(&uses, SCHEMA_PARTIAL, 1, 0);
	add_bronze(&uses, SCHEMA_AGGREGATE, 1, 0);
	add_bronze(&uses, SCHEMA_RAW, 1, 0);
	for (size_t i = 0; i < uses.count; i++)
		cr_assert_eq(uses.at[i].fits, uses.at[i].kind == SCHEMA_BRONZE, "%s",
		             schema_texts[uses.at[i].kind].topic_suffix);
	cr_assert(schema_body_fits(SCHEMA_RAW, SPAN("{\"event_time\":\"x\"}")));
	cr_assert_not(schema_body_fits(SCHEMA_RAW, SPAN("[1]")));
	schema_uses_free(&uses);
}

/* ---- whether they can be registered */

struct plan_row {
	const char *label;
	int32_t last_id;
	int64_t fillers_max;
	const char *want; /* NULL: they can be registered */
	struct {
		int32_t id;
		enum schema_kind kind;
		enum schema_use_state state;
	} uses[4];
};
#define BRONZE(id, state)                             \
	{                                             \
		id, SCHEMA_BRONZE, SCHEMA_USE_##state \
	}
#define LATE(id, state)                             \
	{                                           \
		id, SCHEMA_LATE, SCHEMA_USE_##state \
	}
#define COUNTS(id, state)                             \
	{                                             \
		id, SCHEMA_COUNTS, SCHEMA_USE_##state \
	}

static struct schema_uses uses_of(const struct plan_row *row, struct schema_use *room)
{
	struct schema_uses uses = {.at = room};

	for (; uses.count < 4 && row->uses[uses.count].id; uses.count++)
		room[uses.count] = (struct schema_use){.id = row->uses[uses.count].id,
		                                       .kind = row->uses[uses.count].kind,
		                                       .state = row->uses[uses.count].state,
		                                       .records = 1};
	return uses;
}

Test(schema_ids, missing_ids_are_registered_in_sequence_or_refused)
{
	static const struct plan_row table[] = {
		{"nothing is missing", 7, 0, NULL, {BRONZE(7, KNOWN)}},
		{"all, in a row", 0, 0, NULL, {BRONZE(1, MISSING), COUNTS(2, MISSING)}},
		{"one id of two topics", 0, 0, NULL, {BRONZE(1, MISSING), LATE(1, MISSING)}},
		{"as many fillers as allowed",
	         0,
	         4,
	         NULL,
	         {BRONZE(3, MISSING), COUNTS(6, MISSING)}},
		{"one too many", 0, 3, "LEAVE_OUT=6", {BRONZE(3, MISSING), COUNTS(6, MISSING)}},
		{"the greatest id", 0, 9, "needs 2147483646 other", {BRONZE(INT32_MAX, MISSING)}},
		{"after those that are known", 4, 0, NULL, {BRONZE(2, KNOWN), COUNTS(5, MISSING)}},
		{"the registry is at it", 2, 100, "empty the reg", {BRONZE(2, MISSING)}},
		{"the registry is past it", 3, 100, "empty the reg", {BRONZE(2, MISSING)}},
		{"taken", 0, 100, "another schema", {COUNTS(1, MISSING), BRONZE(2, TAKEN)}},
		{"strays",
	         0,
	         0,
	         NULL,
	         {COUNTS(1, MISSING), BRONZE(99, STRAY), BRONZE(999, LEFT_OUT)}},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct plan_row *row = &table[i];
		struct schema_use room[4];
		struct schema_uses uses = uses_of(row, room);
		struct err err = {ERR_NONE, ""};
		bool can =
			schema_uses_can_be_registered(&uses, row->last_id, row->fillers_max, &err);

		cr_assert_eq(can, row->want == NULL, "%s: %s", row->label, err.message);
		if (row->want)
			cr_assert(err.class == ERR_OPERATOR && strstr(err.message, row->want),
			          "%s: %s", row->label, err.message);
	}
}

Test(schema_ids, bounds_are_the_last_known_and_the_first_missing)
{
	static const struct plan_row row = {
		.uses = {BRONZE(2, KNOWN), COUNTS(4, MISSING), LATE(5, KNOWN), BRONZE(6, MISSING)}};
	struct schema_use room[4];
	struct schema_uses uses = uses_of(&row, room);
	int32_t last, missing;

	schema_uses_bounds(&uses, &last, &missing);
	cr_assert(last == 5 && missing == 4);
	uses.count = 0;
	schema_uses_bounds(&uses, &last, &missing);
	cr_assert(last == 0 && missing == 0);
}

/* ---- the texts */

static bool text_is_ours(const struct schema_uses *uses, size_t use, struct buffer *text)
{
	schema_use_text(uses, use, text);
	return strcmp(text->at, schema_texts[uses->at[use].kind].text) == 0;
}

Test(schema_ids, a_second_id_of_a_schema_gets_a_different_text_with_the_same_meaning)
{
	static const struct plan_row row = {.uses = {BRONZE(1, MISSING), LATE(1, MISSING),
	                                             BRONZE(5, MISSING), COUNTS(6, MISSING)}};
	struct schema_use room[4];
	struct schema_uses uses = uses_of(&row, room);
	struct buffer text = {0};
	struct schema_resolver *resolver;
	struct err err;

	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(text_is_ours(&uses, i, &text), i != 2, "use %zu: %s", i, text.at);
	cr_assert_not(text_is_ours(&uses, 2, &text));
	resolver = schema_resolver_new(span_of(text.at), SCHEMA_BRONZE, &err);
	cr_assert(resolver && schema_resolver_is_identity(resolver), "%s", text.at);
	schema_resolver_free(resolver);
	uses.at[0].state = SCHEMA_USE_KNOWN; /* the plain text has an id already */
	cr_assert_not(text_is_ours(&uses, 2, &text));
	buffer_free(&text);
}
