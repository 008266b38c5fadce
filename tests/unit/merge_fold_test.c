/* The merge half: totals against a recount of their events, final totals, idle sources, refused
 * records, and the size of the snapshot. */
#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/reason.h"
#include "event/window.h"
#include "fold_pipeline.h"
#include "merge_fold.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "unit/fold_kit.h"
#include "unit/fold_pipeline.h"
#include "wire/frame.h"
#include "wire/partitioner.h"
#include "wire/record_keys.h"
#include "wire/records_aggregate.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "wire/topics.h"

#define ROWS_MAX 120000

/* A consumer of the aggregates: upserts by key, and checks that rows only move forward. */
struct reader {
	struct interner keys;
	struct aggregate rows[ROWS_MAX];
	bool was_final[ROWS_MAX];
	uint32_t count;
	struct outbox kept;
	uint64_t seed;
	int64_t reopened; /* final rows that became not final again */
};

static struct reader reader;

static void reader_reset(uint64_t seed)
{
	interner_free(&reader.keys);
	outbox_free(&reader.kept);
	memset(reader.was_final, 0, sizeof(reader.was_final));
	reader.count = 0;
	reader.reopened = 0;
	reader.seed = seed;
}

static void reader_take(const struct output *output)
{
	struct aggregate aggregate, *row;
	char key[RECORD_KEY_MAX];
	uint32_t number;
	bool added;

	cr_assert_eq(output->topic, TOPIC_AGGREGATED_EVENTS, "seed %" PRIu64 ": output to topic %u",
	             reader.seed, (unsigned)output->topic);
	kit_copy(&reader.kept, output);
	cr_assert(aggregate_decode(kit_body(&reader.kept.at[reader.kept.count - 1]), &aggregate,
	                           NULL));
	aggregate_key(aggregate.rollup, aggregate.window_start_us, aggregate.window_end_us,
	              aggregate.group_value, key);
	cr_assert(span_is(output->key, key));
	cr_assert_eq(output->partition,
	             partition_of(output->key,
	                          kit_context()->partition_count[TOPIC_AGGREGATED_EVENTS]));
	number = kit_number(&reader.keys, output->key, &added);
	cr_assert(number < ROWS_MAX);
	row = &reader.rows[number];
	if (added) {
		reader.count++;
	} else {
		cr_assert(aggregate.revision > row->revision ||
		                  (aggregate.revision == row->revision && aggregate.final &&
		                   !row->final),
		          "seed %" PRIu64 ": %s goes from (%" PRId64 ", %d) to (%" PRId64 ", %d)",
		          reader.seed, key, row->revision, row->final, aggregate.revision,
		          aggregate.final);
		for (int t = 0; t < EVENT_TYPE_COUNT; t++)
			cr_assert(aggregate.measures.events[t] >= row->measures.events[t],
			          "seed %" PRIu64 ": %s is replaced by a smaller total",
			          reader.seed, key);
		cr_assert(aggregate.measures.sessions >= row->measures.sessions,
		          "seed %" PRIu64 ": %s is replaced by a smaller total", reader.seed, key);
		reader.reopened += row->final && !aggregate.final;
	}
	*row = aggregate;
}

static void take_all(struct outbox *box)
{
	for (size_t i = 0; i < box->count; i++)
		reader_take(&box->at[i]);
	outbox_clear(box);
}

/* Folds the partials of one merge partition. Commits at random, after batch_max of them on
 * average. */
static void run_merge(struct pipeline *pipe, int m, struct rng *rng, int64_t batch_max)
{
	void *fold = merge_fold_ops.new(&pipe->merge, m);
	struct counts counts = {0};
	struct outbox box = {0};
	struct buffer dump = {0};

	for (size_t i = 0; i < pipe->partials[m].bytes.count; i++) {
		struct input_record record = kit_log_record(&pipe->partials[m], i);

		merge_fold_ops.apply(fold, &record, &counts, &box);
		if (rng_chance(rng, batch_max)) {
			merge_fold_ops.flush(fold, &box);
			take_all(&box);
		}
	}
	merge_fold_ops.flush(fold, &box);
	take_all(&box);
	for (int r = 0; r < REASON_COUNT; r++)
		cr_assert_eq(counts.dead[r], 0, "seed %" PRIu64 ": dead letters with reason %s",
		             pipe->seed, reason_name((enum reason)r));
	merge_fold_ops.dump(fold, &dump);
	cr_assert(memchr(dump.at, '\n', dump.len) == dump.at + dump.len - 1,
	          "seed %" PRIu64 ": totals that every source has passed are still kept: %.*s",
	          pipe->seed, (int)dump.len, dump.at);
	buffer_free(&dump);
	merge_fold_ops.free(fold);
	outbox_free(&box);
}

static void expect_recount(const struct pipeline *pipe)
{
	struct pipe_tuple *tuples;
	size_t count = pipe_tuples(pipe, &tuples), used, rows = 0;

	for (size_t i = 0; i < count; i += used, rows++) {
		struct measures want =
			pipe_recount(&tuples[i], count - i, &pipe->session.stages, &used);
		const struct aggregate *row;
		char key[RECORD_KEY_MAX], got_text[300], want_text[300];
		bool added;

		aggregate_key(span_of(pipe->session.rollups.at[tuples[i].rollup].name),
		              tuples[i].window.start_us, tuples[i].window.end_us,
		              span_of(tuples[i].group), key);
		row = &reader.rows[kit_number(&reader.keys, span_of(key), &added)];
		cr_assert_not(added, "seed %" PRIu64 ": no row %s", pipe->seed, key);
		snprintf(got_text, sizeof(got_text),
		         "%" PRId64 ",%" PRId64 ",%" PRId64 " revenue %" PRId64 " sessions %" PRId64
		         " cart %" PRId64 " purchase %" PRId64,
		         row->measures.events[0], row->measures.events[1], row->measures.events[4],
		         row->measures.revenue_cents, row->measures.sessions,
		         row->measures.funnel_cart_sessions,
		         row->measures.funnel_purchase_sessions);
		snprintf(want_text, sizeof(want_text),
		         "%" PRId64 ",%" PRId64 ",%" PRId64 " revenue %" PRId64 " sessions %" PRId64
		         " cart %" PRId64 " purchase %" PRId64,
		         want.events[0], want.events[1], want.events[4], want.revenue_cents,
		         want.sessions, want.funnel_cart_sessions, want.funnel_purchase_sessions);
		cr_assert_arr_eq(&row->measures, &want, sizeof(want),
		                 "seed %" PRIu64 ": %s is %s, by recount %s", pipe->seed, key,
		                 got_text, want_text);
		cr_assert(row->final, "seed %" PRIu64 ": %s is not final", pipe->seed, key);
	}
	cr_assert_eq(rows, reader.count, "seed %" PRIu64 ": %u rows, by recount %zu", pipe->seed,
	             reader.count, rows);
	free(tuples);
}

static void expect_pipeline(uint64_t seed, int sources, const char *rollups, const char *stages,
                            int events, int64_t step_us, bool idles)
{
	struct rng rng = {seed};
	struct pipeline pipe;

	reader_reset(seed);
	pipe_init(&pipe, seed, sources, rollups, stages);
	pipe.idles = idles;
	for (int p = 0; p < sources; p++)
		pipe_generate(&pipe, &rng, p, events, KIT_DAY0_US + 22 * US_PER_HOUR, step_us);
	pipe_run_sessions(&pipe, &rng, rng_between(&rng, 1, 60));
	for (int m = 0; m < PIPE_MERGES; m++)
		run_merge(&pipe, m, &rng, rng_between(&rng, 1, 40));
	expect_recount(&pipe);
	pipe_free(&pipe);
}

Test(merge_fold, aggregates_equal_a_recount_of_their_events)
{
	for (uint64_t seed = 1; seed <= 6; seed++)
		expect_pipeline(seed, 3, PIPE_ROLLUPS, "view,cart,purchase", 400,
		                seed % 2 ? 30 * US_PER_SECOND : 3 * US_PER_MINUTE, false);
}

Test(merge_fold, aggregates_equal_a_recount_with_four_stages_and_busy_sessions)
{
	for (uint64_t seed = 11; seed <= 14; seed++)
		expect_pipeline(seed, 2,
		                "1m:all 1h:category 1d:all 15m/5m:product 2h+30m:category1",
		                "view,cart,checkout,purchase", 500, 4 * US_PER_SECOND, false);
}

Test(merge_fold, aggregates_equal_a_recount_where_sources_announce_that_they_are_idle)
{
	int64_t reopened = 0;

	for (uint64_t seed = 21; seed <= 24; seed++) {
		expect_pipeline(seed, 4, "1m:all 1h:category1 1d:all", "view,cart,purchase", 300,
		                US_PER_MINUTE, true);
		reopened += reader.reopened;
	}
	cr_assert(reopened > 0,
	          "no total was marked final too early: the test does not reach its subject");
}

Test(merge_fold, no_total_is_replaced_by_a_smaller_one_where_one_source_is_30_days_older)
{
	for (int idles = 0; idles < 2; idles++) {
		uint64_t seed = 31 + (uint64_t)idles;
		struct rng rng = {seed};
		struct pipeline pipe;

		reader_reset(seed);
		pipe_init(&pipe, seed, 2, "1m:all 1h:category1 1d:all", "view,cart,purchase");
		pipe.idles = idles;
		pipe_generate(&pipe, &rng, 0, 600, KIT_DAY0_US + 30 * US_PER_DAY, US_PER_MINUTE);
		/* A step is half of that on average: the source needs all events for 30 days. */
		pipe_generate(&pipe, &rng, 1, 600, KIT_DAY0_US, 144 * US_PER_MINUTE);
		pipe_run_sessions(&pipe, &rng, 60);
		for (int m = 0; m < PIPE_MERGES; m++)
			run_merge(&pipe, m, &rng, 20);
		expect_recount(&pipe);
		pipe_free(&pipe);
	}
}

/* ---- the combined watermark, by hand */

struct solo {
	struct merge_fold_config config;
	void *fold;
	struct counts counts;
	struct outbox box;
	int64_t offset;
};

static void solo_init(struct solo *solo, int32_t sources)
{
	*solo = (struct solo){.config = {kit_context(), sources, 10 * US_PER_MINUTE}};
	solo->fold = merge_fold_ops.new(&solo->config, 0);
	reader_reset(0);
}

static void solo_free(struct solo *solo)
{
	merge_fold_ops.free(solo->fold);
	outbox_free(&solo->box);
}

static void solo_apply(struct solo *solo, const struct partial *partial)
{
	struct buffer value = {0};
	struct input_record record = {.topic = SPAN("partials"), .offset = solo->offset++};

	partial_encode(&value, 16, partial);
	record.value = (struct span){value.at, value.len};
	record.body = (struct span){value.at + FRAME_BYTES, value.len - FRAME_BYTES};
	merge_fold_ops.apply(solo->fold, &record, &solo->counts, &solo->box);
	buffer_free(&value);
}

/* Adds a partial of a source for the n-th minute. */
static void solo_partial(struct solo *solo, int32_t source, int minute, int64_t views)
{
	struct partial partial = {.rollup = SPAN("1m:all"),
	                          .group_value = SPAN("all"),
	                          .source_partition = source,
	                          .watermark_us = KIT_DAY0_US};

	partial.window_start_us = KIT_DAY0_US + minute * US_PER_MINUTE;
	partial.window_end_us = partial.window_start_us + US_PER_MINUTE;
	partial.measures.events[EVENT_VIEW] = views;
	solo_apply(solo, &partial);
}

/* Adds a progress record: the watermark of a source is at the n-th minute's end + grace. */
static void solo_progress(struct solo *solo, int32_t source, int minute, bool idle)
{
	struct partial partial = {.rollup = SPAN(""),
	                          .group_value = SPAN(""),
	                          .source_partition = source,
	                          .idle = idle,
	                          .revision = -1};

	partial.watermark_us =
		minute < 0 ? INT64_MIN
			   : KIT_DAY0_US + (minute + 1) * US_PER_MINUTE + solo->config.grace_us;
	solo_apply(solo, &partial);
}

static const struct aggregate *solo_row(struct solo *solo, int minute)
{
	int64_t start_us = KIT_DAY0_US + minute * US_PER_MINUTE;
	char key[RECORD_KEY_MAX];
	uint32_t number;
	bool added;

	merge_fold_ops.flush(solo->fold, &solo->box);
	take_all(&solo->box);
	aggregate_key(SPAN("1m:all"), start_us, start_us + US_PER_MINUTE, SPAN("all"), key);
	number = kit_number(&reader.keys, span_of(key), &added);
	cr_assert_not(added, "no total of minute %d", minute);
	return &reader.rows[number];
}

Test(merge_fold, total_is_final_once_every_source_has_passed_its_end_and_grace)
{
	struct solo solo;

	solo_init(&solo, 2);
	solo_partial(&solo, 0, 0, 1);
	solo_progress(&solo, 0, 5, false);
	cr_assert_not(solo_row(&solo, 0)->final, "a source without a watermark holds it back");
	solo_progress(&solo, 1, -1, false);
	cr_assert_not(solo_row(&solo, 0)->final);
	solo_progress(&solo, 1, 0, false);
	cr_assert(solo_row(&solo, 0)->final);
	solo_free(&solo);
}

Test(merge_fold, watermark_one_microsecond_short_of_the_grace_does_not_make_final)
{
	struct solo solo;
	struct partial progress = {.rollup = SPAN(""), .group_value = SPAN("")};

	solo_init(&solo, 1);
	solo_partial(&solo, 0, 0, 1);
	progress.watermark_us = KIT_DAY0_US + US_PER_MINUTE + solo.config.grace_us - 1;
	solo_apply(&solo, &progress);
	cr_assert_not(solo_row(&solo, 0)->final);
	progress.watermark_us++;
	solo_apply(&solo, &progress);
	cr_assert(solo_row(&solo, 0)->final);
	solo_free(&solo);
}

Test(merge_fold, partial_replaces_the_former_value_of_its_source_and_adds_to_the_others)
{
	struct solo solo;

	solo_init(&solo, 3);
	solo_partial(&solo, 0, 0, 5);
	solo_partial(&solo, 1, 0, 7);
	solo_partial(&solo, 0, 0, 6);
	cr_assert_eq(solo_row(&solo, 0)->measures.events[EVENT_VIEW], 13);
	cr_assert_eq(solo_row(&solo, 0)->revision, 2,
	             "the offset of the last record that contributed");
	solo_free(&solo);
}

Test(merge_fold, idle_source_does_not_hold_back_the_watermark_and_its_late_partial_is_added)
{
	struct solo solo;
	int64_t revision;

	solo_init(&solo, 2);
	solo_partial(&solo, 0, 0, 5);
	solo_partial(&solo, 1, 0, 2);
	solo_progress(&solo, 1, -1, true);
	solo_progress(&solo, 0, 9, false);
	cr_assert(solo_row(&solo, 0)->final);
	revision = solo_row(&solo, 0)->revision;
	solo_partial(&solo, 1, 0, 3);
	cr_assert_not(solo_row(&solo, 0)->final, "a partial makes a final total not final");
	cr_assert(solo_row(&solo, 0)->revision > revision, "newer revision");
	cr_assert_eq(solo_row(&solo, 0)->measures.events[EVENT_VIEW], 8,
	             "and no contribution was dropped");
	solo_progress(&solo, 0, 10, false);
	cr_assert_not(solo_row(&solo, 0)->final,
	              "the source is active: it holds back the watermark");
	solo_progress(&solo, 1, 0, false);
	cr_assert(solo_row(&solo, 0)->final, "final again, with the same revision");
	solo_free(&solo);
}

Test(merge_fold, idle_source_that_is_active_again_holds_back_the_combined_watermark)
{
	struct solo solo;

	solo_init(&solo, 2);
	solo_partial(&solo, 0, 0, 5);
	solo_partial(&solo, 0, 6, 5);
	solo_progress(&solo, 1, 2, true);
	solo_progress(&solo, 0, 3, false);
	cr_assert(solo_row(&solo, 0)->final);
	solo_progress(&solo, 1, 2, false);
	solo_progress(&solo, 0, 20, false);
	cr_assert_not(solo_row(&solo, 6)->final);
	solo_progress(&solo, 1, 2, true);
	cr_assert(solo_row(&solo, 6)->final);
	solo_free(&solo);
}

Test(merge_fold, highest_watermark_counts_where_all_sources_are_idle)
{
	struct solo solo;

	solo_init(&solo, 2);
	solo_partial(&solo, 0, 3, 5);
	solo_progress(&solo, 0, 1, true);
	solo_progress(&solo, 1, 0, true);
	cr_assert_not(solo_row(&solo, 3)->final);
	solo_progress(&solo, 1, 3, true);
	cr_assert(solo_row(&solo, 3)->final);
	solo_free(&solo);
}

/* ---- refused records, and the snapshot */

Test(merge_fold, measures_show_the_combined_watermark_and_the_totals)
{
	struct fold_measures measures;
	struct solo solo;

	solo_init(&solo, 2);
	merge_fold_ops.measure(solo.fold, &measures);
	cr_expect(measures.watermark_us == INT64_MIN && measures.entries == 0);
	solo_partial(&solo, 0, 1, 5);
	solo_partial(&solo, 1, 1, 5);
	solo_partial(&solo, 1, 2, 5);
	solo_progress(&solo, 0, 0, false);
	solo_progress(&solo, 1, -1, true);
	merge_fold_ops.measure(solo.fold, &measures);
	cr_expect_eq(measures.watermark_us, KIT_DAY0_US + US_PER_MINUTE + solo.config.grace_us);
	cr_expect_eq(measures.clock_us, INT64_MIN);
	cr_expect_eq(measures.entries, 2, "one total per window and group");
	solo_free(&solo);
}

static enum reason refused_as(struct solo *solo, struct input_record record)
{
	struct counts before = solo->counts;

	outbox_clear(&solo->box);
	record.offset = solo->offset++;
	cr_assert_eq(merge_fold_ops.apply(solo->fold, &record, &solo->counts, &solo->box),
	             FOLD_NOTHING);
	cr_assert_eq(solo->box.count, 1);
	cr_assert_eq(solo->box.at[0].topic, TOPIC_DEAD_LETTER);
	for (int r = 0; r < REASON_COUNT; r++)
		if (solo->counts.dead[r] != before.dead[r])
			return (enum reason)r;
	return REASON_NONE;
}

Test(merge_fold, record_that_cannot_be_folded_becomes_a_dead_letter)
{
	struct solo solo;

	solo_init(&solo, 2);
	cr_assert_eq(refused_as(&solo, (struct input_record){.value = SPAN_NULL}),
	             REASON_NULL_VALUE);
	cr_assert_eq(refused_as(&solo,
	                        (struct input_record){.value = SPAN("?????x"), .body = SPAN("x")}),
	             REASON_MALFORMED_AVRO);
	cr_assert_eq(refused_as(&solo, (struct input_record){.value = SPAN("x"),
	                                                     .refused = REASON_WRONG_SCHEMA}),
	             REASON_WRONG_SCHEMA);
	outbox_clear(&solo.box);
	solo_partial(&solo, 2, 0, 1);
	solo_progress(&solo, 2, 0, false);
	cr_assert_eq(solo.counts.dead[REASON_WRONG_PARTITION], 2,
	             "a source that is not a partition of bronze");
	outbox_clear(&solo.box);
	solo_progress(&solo, 0, 0, false);
	solo_progress(&solo, 1, 0, false);
	solo_partial(&solo, 1, 0, 1);
	cr_assert_eq(solo.counts.dead[REASON_LATE_PARTIAL], 1);
	solo_partial(&solo, 1, 1, 1);
	cr_assert_eq(solo.counts.dead[REASON_LATE_PARTIAL], 1);
	solo_free(&solo);
}

Test(merge_fold, total_stops_at_the_largest_number_and_can_become_smaller_again)
{
	struct solo solo;

	solo_init(&solo, 2);
	solo_partial(&solo, 0, 0, INT64_MAX);
	solo_partial(&solo, 1, 0, 5);
	cr_assert_eq(solo_row(&solo, 0)->measures.events[EVENT_VIEW], INT64_MAX);
	reader_reset(0); /* it would refuse a smaller total */
	solo_partial(&solo, 0, 0, 7);
	cr_assert_eq(solo_row(&solo, 0)->measures.events[EVENT_VIEW], 12);
	solo_free(&solo);
}

Test(merge_fold, watermark_that_no_partition_can_have_is_refused)
{
	struct solo solo;

	solo_init(&solo, 1);
	for (int64_t watermark_us = INT64_MIN + 1; watermark_us < INT64_MIN / 4;
	     watermark_us /= 2) {
		solo_apply(&solo, &(struct partial){.rollup = SPAN(""),
		                                    .group_value = SPAN(""),
		                                    .watermark_us = watermark_us,
		                                    .revision = -1});
		cr_assert_eq(merge_fold_ops.horizon(solo.fold), INT64_MIN,
		             "%" PRId64 " was accepted", watermark_us);
	}
	cr_assert_eq(solo.counts.dead[REASON_MALFORMED_AVRO], 2);
	solo_free(&solo);
}

Test(merge_fold, snapshot_with_a_watermark_that_no_source_can_have_is_refused)
{
	static const char *const texts[] = {"8000000000000001.",
	                                    "7fffffffffffffff.",
	                                    "ffffffffffffffffffff.",
	                                    "+5.",
	                                    "0x5.",
	                                    ".",
	                                    "5"};
	struct solo solo;
	struct err err = {0};

	solo_init(&solo, 1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_not(merge_fold_ops.restore_snapshot(solo.fold, span_of(texts[i]), &err),
		              "%s", texts[i]);
	solo_free(&solo);
}

Test(merge_fold, snapshot_of_up_to_128_sources_is_restored_the_same)
{
	for (int32_t sources = 1; sources <= MERGE_SOURCES_MAX; sources += sources < 4 ? 1 : 31) {
		struct rng rng = {(uint64_t)sources};
		struct solo a, b;
		char snapshot[FOLD_SNAPSHOT_MAX], again[FOLD_SNAPSHOT_MAX];
		struct err err = {0};
		size_t len;

		solo_init(&a, sources);
		solo_init(&b, sources);
		for (int32_t s = 0; s < sources; s++)
			solo_progress(&a, s, (int)rng_between(&rng, -1, 100000),
			              rng_chance(&rng, 2));
		len = merge_fold_ops.snapshot(a.fold, snapshot);
		cr_assert(merge_fold_ops.restore_snapshot(b.fold, (struct span){snapshot, len},
		                                          &err),
		          "%d sources: %s", sources, err.message);
		cr_assert_eq(merge_fold_ops.snapshot(b.fold, again), len);
		cr_assert_str_eq(again, snapshot);
		solo_free(&a);
		solo_free(&b);
	}
}

Test(merge_fold, snapshot_of_another_partition_count_is_refused)
{
	struct solo two, three;
	char snapshot[FOLD_SNAPSHOT_MAX];
	struct err err = {0};
	size_t len;

	solo_init(&two, 2);
	solo_init(&three, 3);
	len = merge_fold_ops.snapshot(two.fold, snapshot);
	cr_assert_not(merge_fold_ops.restore_snapshot(three.fold, (struct span){snapshot, len},
	                                              &err),
	              "two sources for three");
	cr_assert_eq(err.class, ERR_OPERATOR);
	err.class = ERR_NONE;
	len = merge_fold_ops.snapshot(three.fold, snapshot);
	cr_assert_not(merge_fold_ops.restore_snapshot(two.fold, (struct span){snapshot, len}, &err),
	              "three sources for two");
	cr_assert_eq(err.class, ERR_OPERATOR);
	cr_assert_not(merge_fold_ops.restore_snapshot(two.fold, SPAN(""), &err));
	cr_assert_not(merge_fold_ops.restore_snapshot(two.fold, SPAN("zz,zz"), &err));
	solo_free(&two);
	solo_free(&three);
}

/* ---- how many rollups and sources fit into restore metadata */

/* A list of `count` rollups. Lists with different letters have no name in common. */
static void fill_list(struct rollup_list *list, int count, char letter)
{
	list->count = count;
	for (int i = 0; i < count; i++)
		snprintf(list->at[i].name, sizeof(list->at[i].name), "1%c%d:category1", letter,
		         10 + i);
}

static void announce_list(struct solo *solo, int32_t source, const struct rollup_list *list)
{
	char number[16], since[1024] = "";
	struct header headers[3];
	struct input_record record = {.topic = SPAN("partials"),
	                              .offset = solo->offset++,
	                              .headers = headers,
	                              .header_count = 3};

	for (int i = 0; i < list->count; i++)
		snprintf(since + strlen(since), sizeof(since) - strlen(since), "%s%s@%" PRId64,
		         i ? "," : "", list->at[i].name, KIT_DAY0_US);
	snprintf(number, sizeof(number), "%d", (int)source);
	headers[0] = (struct header){SPAN("control"), SPAN("rollups")};
	headers[1] = (struct header){SPAN("source_partition"), span_of(number)};
	headers[2] = (struct header){SPAN("since"), span_of(since)};
	merge_fold_ops.apply(solo->fold, &record, &solo->counts, &solo->box);
	cr_assert_eq(solo->box.count, 0, "the list is refused");
}

/* Half of the sources announce the former list, the others the new one. */
static void expect_room(int32_t sources, int rollups)
{
	struct rollup_list lists[2];
	struct solo a, b;
	char snapshot[FOLD_SNAPSHOT_MAX], again[FOLD_SNAPSHOT_MAX];
	struct err err = {0};
	size_t len;

	fill_list(&lists[0], rollups, 'a');
	fill_list(&lists[1], rollups, 'b');
	solo_init(&a, sources);
	solo_init(&b, sources);
	for (int32_t s = 0; s < sources; s++) {
		solo_progress(&a, s, 100000, true);
		announce_list(&a, s, &lists[s % 2]);
	}
	len = merge_fold_ops.snapshot(a.fold, snapshot);
	cr_assert(len + 1 < FOLD_SNAPSHOT_MAX, "%d rollups of %d sources take %zu bytes", rollups,
	          sources, len);
	cr_assert(merge_fold_ops.restore_snapshot(b.fold, (struct span){snapshot, len}, &err), "%s",
	          err.message);
	cr_assert_eq(merge_fold_ops.snapshot(b.fold, again), len);
	cr_assert_str_eq(again, snapshot);
	solo_free(&a);
	solo_free(&b);
}

Test(merge_fold, rollups_that_are_accepted_fit_into_the_snapshot_half_way_through_a_change)
{
	static const int32_t sources[] = {1, 2, 4, 63, 64, 65, 100, 127, 128};

	for (size_t s = 0; s < sizeof(sources) / sizeof(*sources); s++) {
		for (int rollups = 1; rollups <= ROLLUP_MAX; rollups++) {
			struct rollup_list list;
			struct err err = {0};

			fill_list(&list, rollups, 'a');
			if (merge_fold_fits(sources[s], &list, &err))
				expect_room(sources[s], rollups);
			else
				cr_assert(sources[s] > 64 && rollups > 6,
				          "%d rollups of %d sources are refused", rollups,
				          (int)sources[s]);
		}
	}
}

Test(merge_fold, refusal_of_rollups_and_sources_that_do_not_fit_has_both_numbers)
{
	struct rollup_list list;
	struct err err = {0};

	fill_list(&list, 16, 'a');
	cr_assert_not(merge_fold_fits(128, &list, &err));
	cr_expect_eq(err.class, ERR_OPERATOR);
	cr_expect(strstr(err.message, "16 rollups") && strstr(err.message, "128 partitions"), "%s",
	          err.message);
}
