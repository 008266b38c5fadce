/* The list of rollups changes replica by replica while events flow. Partitions move from replicas
 * with the former list to replicas with the new list, and back. The tests check the emitted totals
 * of added and removed rollups, and that the other rollups stay exact. */
#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/reason.h"
#include "event/window.h"
#include "fold_pipeline.h"
#include "merge_fold.h"
#include "session_fold.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/task.h"
#include "unit/fold_kit.h"
#include "unit/fold_pipeline.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_counts.h"
#include "wire/topics.h"

#define SOURCES 3
#define WINDOWS 2000
#define KEPT    "1h:all"
#define REMOVED "20m:all"
#define ADDED   "30m:all"

/* The rows of one rollup as a consumer keeps them, by number of the window. */
struct rows {
	int64_t views[WINDOWS], revision[WINDOWS];
	bool seen[WINDOWS], final[WINDOWS];
};

struct change {
	struct pipeline pipe;
	struct session_fold_config lists[2]; /* the former and the new list */
	struct task tasks[SOURCES];
	char metadata[SOURCES][TASK_METADATA_MAX];
	int list_of[SOURCES]; /* of the replica that has the partition; -1: not assigned yet */
	size_t next[SOURCES];
	void *merge;
	struct counts merge_counts;
	int64_t merge_offset;
	struct rows kept, removed, added;
};

static struct change change;

static struct rows *rows_of(struct span rollup, int64_t *size_us)
{
	*size_us = span_is(rollup, KEPT)      ? US_PER_HOUR
	           : span_is(rollup, REMOVED) ? 20 * US_PER_MINUTE
	                                      : 30 * US_PER_MINUTE;
	return span_is(rollup, KEPT)      ? &change.kept
	       : span_is(rollup, REMOVED) ? &change.removed
	                                  : &change.added;
}

static void take_aggregates(struct outbox *box)
{
	for (size_t i = 0; i < box->count; i++) {
		struct aggregate aggregate;
		struct rows *rows;
		int64_t size_us, n;

		cr_assert_eq(box->at[i].topic, TOPIC_AGGREGATED_EVENTS);
		cr_assert(aggregate_decode(kit_body(&box->at[i]), &aggregate, NULL));
		rows = rows_of(aggregate.rollup, &size_us);
		n = (aggregate.window_start_us - KIT_DAY0_US) / size_us;
		cr_assert(n >= 0 && n < WINDOWS);
		rows->views[n] = aggregate.measures.events[EVENT_VIEW];
		rows->final[n] = aggregate.final;
		rows->seen[n] = true;
	}
	outbox_clear(box);
}

/* Restores a merge half from the snapshot of this one, as after a crash. Both snapshots are
 * equal. */
static void expect_restorable_merge(void)
{
	char snapshot[FOLD_SNAPSHOT_MAX], again[FOLD_SNAPSHOT_MAX];
	void *restored = merge_fold_ops.new(&change.pipe.merge, 0);
	struct err err;
	size_t len = merge_fold_ops.snapshot(change.merge, snapshot);

	cr_assert(merge_fold_ops.restore_snapshot(restored, (struct span){snapshot, len}, &err),
	          "%s", err.message);
	cr_assert_eq(merge_fold_ops.snapshot(restored, again), len);
	cr_assert_arr_eq(snapshot, again, len);
	merge_fold_ops.free(restored);
}

/* A source commits. The merge half reads the partials, and commits too. */
static void commit(int p, struct outbox *box)
{
	struct outbox totals = {0};
	struct err err;

	task_flush(&change.tasks[p], box);
	for (size_t i = 0; i < box->count; i++) {
		const struct output *output = &box->at[i];
		struct input_record record = {.topic = SPAN("partials"),
		                              .offset = change.merge_offset,
		                              .key = output->key,
		                              .value = output->value,
		                              .headers = output->headers,
		                              .header_count = output->header_count};

		/* One merge half reads all its partitions, so it gets each progress record
		 * twice. */
		if (output->topic != TOPIC_FUNNEL_PARTIALS)
			continue;
		if (record.value.at)
			record.body = kit_body(output);
		change.merge_offset++;
		merge_fold_ops.apply(change.merge, &record, &change.merge_counts, &totals);
	}
	merge_fold_ops.flush(change.merge, &totals);
	take_aggregates(&totals);
	cr_assert(task_metadata(&change.tasks[p], change.metadata[p], &err), "%s", err.message);
	task_committed(&change.tasks[p]);
	outbox_free(&totals);
	outbox_clear(box);
}

/* Assigns the partition to a replica with this list. */
static void assign(int p, int list)
{
	struct task_params params = {
		&session_fold_ops, &change.lists[list], p, SOURCES, "m", 64, NULL};
	int64_t committed = change.list_of[p] < 0 ? 0 : change.tasks[p].committed;
	struct err err;

	if (change.list_of[p] < 0) {
		task_start(&change.tasks[p], &params, 0);
	} else {
		task_free(&change.tasks[p]);
		cr_assert(task_resume(&change.tasks[p], &params, committed,
		                      span_of(change.metadata[p]), &err),
		          "%s", err.message);
		for (size_t i = 0; i < change.pipe.sources[p].bytes.count &&
		                   change.pipe.sources[p].offsets[i] < committed;
		     i++) {
			struct input_record record = kit_log_record(&change.pipe.sources[p], i);

			if (record.offset >= change.tasks[p].position)
				task_apply(&change.tasks[p], &record, NULL);
		}
		task_at_end(&change.tasks[p], committed);
		cr_assert_not(change.tasks[p].restoring);
	}
	change.list_of[p] = list;
}

static void run_some(int p, int64_t count)
{
	struct outbox box = {0};

	for (; count > 0 && change.next[p] < change.pipe.sources[p].bytes.count; count--) {
		struct input_record record =
			kit_log_record(&change.pipe.sources[p], change.next[p]++);

		task_apply(&change.tasks[p], &record, &box);
	}
	commit(p, &box);
	outbox_free(&box);
}

static bool is_at_end(void)
{
	for (int p = 0; p < SOURCES; p++)
		if (change.next[p] < change.pipe.sources[p].bytes.count)
			return false;
	return true;
}

static void change_init(uint64_t seed, struct rng *rng)
{
	struct err err;

	memset(&change, 0, sizeof(change));
	pipe_init(&change.pipe, seed, SOURCES, KEPT, "view,cart,purchase");
	change.pipe.announced = seed % 2;
	change.lists[0] = change.lists[1] = change.pipe.session;
	cr_assert(rollups_parse(KEPT " " REMOVED, &change.lists[0].rollups, &err));
	cr_assert(rollups_parse(ADDED " " KEPT, &change.lists[1].rollups, &err));
	for (int p = 0; p < SOURCES; p++) {
		change.list_of[p] = -1;
		/* The partitions are at different event times, hours apart. */
		pipe_generate(&change.pipe, rng, p, 500, KIT_DAY0_US + (4 + p) * US_PER_HOUR,
		              4 * US_PER_MINUTE);
		assign(p, 0);
	}
	change.merge = merge_fold_ops.new(&change.pipe.merge, 0);
	merge_fold_ops.restored(change.merge);
}

static void change_free(void)
{
	for (int p = 0; p < SOURCES; p++)
		task_free(&change.tasks[p]);
	merge_fold_ops.free(change.merge);
	pipe_free(&change.pipe);
}

/* Views of each window by recount, without the events that were too late for it. */
static void recount(int64_t size_us, int64_t views[WINDOWS], bool any[WINDOWS])
{
	memset(views, 0, WINDOWS * sizeof(*views));
	memset(any, 0, WINDOWS * sizeof(*any));
	for (size_t i = 0; i < change.pipe.event_count; i++) {
		const struct pipe_event *event = &change.pipe.events[i];
		int64_t n = (event->bronze.event.event_time_us - KIT_DAY0_US) / size_us;

		if (KIT_DAY0_US + (n + 1) * size_us + change.pipe.session.grace_us <=
		    event->watermark_us)
			continue;
		views[n] += event->bronze.event.type == EVENT_VIEW;
		any[n] = true;
	}
}

/* Expects that each row equals the recount and is final, and that no row after the first is
 * missing. final_only: ignores rows that are not final. Returns the number of rows; *first: the
 * first one, or -1. */
static int expect_rows(const char *what, const struct rows *rows, int64_t size_us, bool final_only,
                       int *first)
{
	static int64_t views[WINDOWS];
	static bool any[WINDOWS];
	int count = 0;

	*first = -1;
	recount(size_us, views, any);
	for (int n = 0; n < WINDOWS; n++) {
		if (!rows->seen[n] || (final_only && !rows->final[n]))
			continue;
		cr_assert(rows->final[n],
		          "seed %" PRIu64 ": %s, window %d was emitted and never became final",
		          change.pipe.seed, what, n);
		cr_assert_eq(rows->views[n], views[n],
		             "seed %" PRIu64 ": %s, window %d has %" PRId64
		             " views, by recount %" PRId64,
		             change.pipe.seed, what, n, rows->views[n], views[n]);
		*first = *first < 0 ? n : *first;
		count++;
	}
	for (int n = *first; n >= 0 && n < WINDOWS && !final_only; n++)
		cr_assert_eq(rows->seen[n], any[n], "seed %" PRIu64 ": %s, window %d is missing",
		             change.pipe.seed, what, n);
	return count;
}

/* The newest window of the added rollup is final: all partitions count it in the end. */
static void expect_added_is_final(void)
{
	static int64_t views[WINDOWS];
	static bool any[WINDOWS];
	int last = WINDOWS - 1;

	recount(30 * US_PER_MINUTE, views, any);
	while (!any[last])
		last--;
	cr_assert(change.added.final[last],
	          "seed %" PRIu64 ": the last window of the added rollup is not final",
	          change.pipe.seed);
}

/* moves: number of times that a partition moves to a replica with either list, before all
 * partitions move to replicas with the new list and stay there. */
static void run_change(uint64_t seed, int moves)
{
	struct rng rng = {seed};
	int rolling = 0, kept, added, removed, open = 0, first_kept, first_added, first_removed;

	change_init(seed, &rng);
	for (int round = 0; !is_at_end(); round++) {
		int p = (int)rng_below(&rng, SOURCES);

		run_some(p, rng_between(&rng, 1, 20));
		if (round > 40 && rolling < moves) {
			/* First to the new list, then to either list, and at last all to the new
			 * list. */
			assign((int)rng_below(&rng, SOURCES),
			       rolling == 0 ? 1 : (int)rng_below(&rng, 2));
			rolling++;
			expect_restorable_merge();
		} else if (round > 40 && rolling >= moves) {
			for (p = 0; p < SOURCES; p++)
				if (change.list_of[p] == 0 && rng_chance(&rng, 4))
					assign(p, 1);
		}
	}
	for (int r = 0; r < REASON_COUNT; r++)
		cr_assert_eq(change.merge_counts.dead[r], 0, "seed %" PRIu64 ": %s", seed,
		             reason_name((enum reason)r));
	kept = expect_rows("kept", &change.kept, US_PER_HOUR, false, &first_kept);
	/* Rows that were emitted before a partition moved back stay not final. */
	added = expect_rows("added", &change.added, 30 * US_PER_MINUTE, moves > 0, &first_added);
	expect_added_is_final();
	removed = expect_rows("removed", &change.removed, 20 * US_PER_MINUTE, true, &first_removed);
	for (int n = 0; n < WINDOWS; n++)
		open += change.removed.seen[n] && !change.removed.final[n];
	cr_assert(kept > 10 && added > 3 && removed > 0 && open > 0,
	          "seed %" PRIu64 ": kept %d, added %d, removed %d, never final %d: "
	          "the test does not reach its subject",
	          seed, kept, added, removed, open);
	cr_assert(first_added > 2 * first_kept, "seed %" PRIu64 ": an added rollup begins later",
	          seed);
	change_free();
}

Test(rollup_change, partitions_that_change_one_by_one_emit_complete_windows_only)
{
	for (uint64_t seed = 1; seed <= 30; seed++)
		run_change(seed, 0);
}

Test(rollup_change, partitions_that_go_back_to_the_former_list_emit_complete_windows_only)
{
	for (uint64_t seed = 101; seed <= 140; seed++)
		run_change(seed, 12);
}

Test(rollup_change, announcements_are_restored_from_the_metadata_and_hostile_texts_are_refused)
{
	static const char *const bad[] = {"-.,-.,-.|",
	                                  "-.,-.,-.|x",
	                                  "-.,-.,-.|*|",
	                                  "-.,-.,-.|*|a",
	                                  "-.,-.,-.|*|a@=1",
	                                  "-.,-.,-.|*|a@ever=",
	                                  "-.,-.,-.|*|a@xyz=1",
	                                  "-.,-.,-.|*|a@9223372036854775807=1",
	                                  "-.,-.,-.|*|a@-9223372036854775807=1",
	                                  "-.,-.,-.|*|@ever=1",
	                                  "-.,-.,-.|*|a@ever=1g",
	                                  "-.,-.,-.||",
	                                  "-.,-.,-.|*a@ever=1"};
	struct merge_fold_config config = {kit_context(), 3, 10 * US_PER_MINUTE};
	char again[FOLD_SNAPSHOT_MAX];
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *fold = merge_fold_ops.new(&config, 0);

		cr_assert_not(merge_fold_ops.restore_snapshot(fold, span_of(bad[i]), &err),
		              "'%s' is accepted", bad[i]);
		merge_fold_ops.free(fold);
	}
	for (int i = 0; i < 2; i++) {
		const char *good = i ? "-.,-.,-.|5|1m:all@ever=5|1d:brand@1569980000=4"
		                     : "-.,-.,-.|*|5m/1m:all@ever=*";
		void *fold = merge_fold_ops.new(&config, 0);

		cr_assert(merge_fold_ops.restore_snapshot(fold, span_of(good), &err), "%s",
		          err.message);
		merge_fold_ops.snapshot(fold, again);
		cr_assert_str_eq(again, good);
		merge_fold_ops.free(fold);
	}
}

Test(rollup_change, invalid_announcement_becomes_a_dead_letter)
{
	static const struct {
		const char *source, *since;
	} rows[] = {{"3", "1m:all@ever"},
	            {"-1", "1m:all@ever"},
	            {"", "1m:all@ever"},
	            {"0", ""},
	            {"0", "1m:all"},
	            {"0", "@ever"},
	            {"0", "1m:all@"},
	            {"0", "1m:all@x"},
	            {"0", "1m:all@ever,"},
	            {"0", "1m:all@ever,x"},
	            {"0", "1m:a l@ever"},
	            {"0", "1m|all@ever"},
	            {"0", "1m=all@ever"},
	            {"0", "a-name-longer-than-any-rollup-has@ever"},
	            {"0", "1m:\xc3\xa4@ever"},
	            {"0", "a@1,b@1,c@1,d@1,e@1,f@1,g@1,h@1,i@1,j@1,k@1,l@1,m@1,n@1,o@1,p@1,q@1"},
	            {"99999999999", "1m:all@ever"},
	            {" 1", "1m:all@ever"},
	            {"1 ", "1m:all@ever"},
	            {"+1", "1m:all@ever"},
	            {"0x1", "1m:all@ever"},
	            {"-0", "1m:all@ever"},
	            {"0003", "1m:all@ever"},
	            {"9", "1m:all@ever"},
	            {"4294967297", "1m:all@ever"},
	            {"18446744073709551617", "1m:all@ever"}};
	struct merge_fold_config config = {kit_context(), 3, 10 * US_PER_MINUTE};
	void *fold = merge_fold_ops.new(&config, 0);
	struct outbox box = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct header headers[] = {{SPAN("control"), SPAN("rollups")},
		                           {SPAN("source_partition"), span_of(rows[i].source)},
		                           {SPAN("since"), span_of(rows[i].since)}};
		struct input_record record = {.topic = SPAN("partials"),
		                              .offset = (int64_t)i,
		                              .headers = headers,
		                              .header_count = 3};
		struct counts counts = {0};

		merge_fold_ops.apply(fold, &record, &counts, &box);
		cr_assert_eq(counts.dead[REASON_INVALID_CONTROL], 1, "source '%s', since '%s'",
		             rows[i].source, rows[i].since);
	}
	merge_fold_ops.free(fold);
	outbox_free(&box);
}

Test(rollup_change, source_partition_may_have_leading_zeros)
{
	static const char *const sources[] = {"0", "2", "02", "00000000000000000000000000000001"};
	struct merge_fold_config config = {kit_context(), 3, 10 * US_PER_MINUTE};
	void *fold = merge_fold_ops.new(&config, 0);
	struct outbox box = {0};

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct header headers[] = {{SPAN("control"), SPAN("rollups")},
		                           {SPAN("source_partition"), span_of(sources[i])},
		                           {SPAN("since"), SPAN("1m:all@ever")}};
		struct input_record record = {.topic = SPAN("partials"),
		                              .offset = (int64_t)i,
		                              .headers = headers,
		                              .header_count = 3};
		struct counts counts = {0};

		merge_fold_ops.apply(fold, &record, &counts, &box);
		cr_expect_eq(counts.dead[REASON_INVALID_CONTROL], 0, "source '%s'", sources[i]);
	}
	merge_fold_ops.free(fold);
	outbox_free(&box);
}

/* The start of a rollup in restore metadata is in seconds. Its limits are those of a time in
 * microseconds. */
Test(rollup_change, the_start_of_a_rollup_in_restore_metadata_is_a_decimal_number)
{
	static const struct {
		const char *start, *again; /* NULL: refused */
	} rows[] = {{"ever", "ever"},
	            {"0", "0"},
	            {"-0", "0"},
	            {"007", "7"},
	            {"-5", "-5"},
	            {"00000000000000000000007", "7"},
	            {"4611686018426", "4611686018426"},
	            {"-4611686018426", "-4611686018426"},
	            {"", NULL},
	            {"-", NULL},
	            {"--5", NULL},
	            {"+5", NULL},
	            {" 5", NULL},
	            {"\t5", NULL},
	            {"5x", NULL},
	            {"5 ", NULL},
	            {"0x5", NULL},
	            {"Ever", NULL},
	            {"000000000000000000000007", NULL},
	            {"4611686018427", NULL},
	            {"-4611686018427", NULL},
	            {"18446744073709551617", NULL}};
	struct merge_fold_config config = {kit_context(), 3, 10 * US_PER_MINUTE};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[96], again[FOLD_SNAPSHOT_MAX], want[96];
		void *fold = merge_fold_ops.new(&config, 0);
		struct err err;

		snprintf(text, sizeof(text), "-.,-.,-.|5|1m:all@%s=5", rows[i].start);
		cr_expect_eq(merge_fold_ops.restore_snapshot(fold, span_of(text), &err),
		             rows[i].again != NULL, "%s", text);
		if (rows[i].again) {
			snprintf(want, sizeof(want), "-.,-.,-.|5|1m:all@%s=5", rows[i].again);
			merge_fold_ops.snapshot(fold, again);
			cr_expect_str_eq(again, want);
		}
		merge_fold_ops.free(fold);
	}
}

/* Flushes. Whether the outputs have an announcement of the rollups. */
static bool flush_announces(struct task *task, struct outbox *box)
{
	bool announced = false;

	task_flush(task, box);
	for (size_t i = 0; i < box->count; i++)
		announced |= box->at[i].topic == TOPIC_FUNNEL_PARTIALS &&
		             span_is(kit_header(&box->at[i], "control"), "rollups");
	outbox_clear(box);
	return announced;
}

static void restart(struct task *task, const struct task_params *params)
{
	char metadata[TASK_METADATA_MAX];
	int64_t committed = task->position;
	struct err err;

	cr_assert(task_metadata(task, metadata, &err), "%s", err.message);
	task_free(task);
	cr_assert(task_resume(task, params, committed, span_of(metadata), &err), "%s", err.message);
	task_at_end(task, committed);
	cr_assert_not(task->restoring);
}

Test(rollup_change,
     rollups_are_announced_with_the_first_record_also_after_a_commit_of_transaction_markers_only)
{
	struct outbox box = {0};
	struct rng rng = {1};
	struct task_params params;
	struct task task;

	change_init(1, &rng);
	for (int list = 0; list < 2; list++) {
		struct input_record record = kit_log_record(&change.pipe.sources[0], (size_t)list);

		params = (struct task_params){
			&session_fold_ops, &change.lists[list], 0, SOURCES, "m", 64, NULL};
		if (list == 0)
			task_start(&task, &params, 0);
		else
			restart(&task, &params);
		record.offset = task.position + 5;
		task_at_end(&task, task.position + 3);
		cr_assert_not(flush_announces(&task, &box),
		              "list %d: announced without a record to commit", list);
		restart(&task, &params);
		task_apply(&task, &record, &box);
		cr_assert(flush_announces(&task, &box), "list %d: not announced", list);
		restart(&task, &params);
		record.offset = task.position + 5;
		task_apply(&task, &record, &box);
		cr_assert_not(flush_announces(&task, &box), "list %d: announced twice", list);
	}
	task_free(&task);
	outbox_free(&box);
	change_free();
}

/* ---- by hand: two sources and the rollup 1m:all */

struct hand {
	struct merge_fold_config config;
	void *fold;
	struct counts counts;
	struct outbox box;
	int64_t offset;
	bool restoring; /* outputs are discarded */
};

static void hand_apply(struct hand *hand, struct input_record record)
{
	record.topic = SPAN("partials");
	record.offset = hand->offset++;
	merge_fold_ops.apply(hand->fold, &record, &hand->counts,
	                     hand->restoring ? NULL : &hand->box);
}

static void hand_announce(struct hand *hand, int source, const char *since)
{
	char number[12];
	struct header headers[] = {{SPAN("control"), SPAN("rollups")},
	                           {SPAN("source_partition"),
	                            {number,
	                             (size_t)snprintf(number, sizeof(number), "%d", source)}},
	                           {SPAN("since"), span_of(since)}};

	hand_apply(hand, (struct input_record){.headers = headers, .header_count = 3});
}

static void hand_partial(struct hand *hand, int source, const char *rollup, int minute,
                         int64_t watermark_us)
{
	struct partial partial = {.rollup = span_of(rollup),
	                          .group_value = span_of(*rollup ? "all" : ""),
	                          .source_partition = source,
	                          .watermark_us = watermark_us};
	struct buffer value = {0};

	partial.window_start_us = KIT_DAY0_US + minute * US_PER_MINUTE;
	partial.window_end_us = partial.window_start_us + US_PER_MINUTE;
	partial.measures.events[EVENT_VIEW] = 1;
	partial_encode(&value, 16, &partial);
	hand_apply(hand, (struct input_record){.value = {value.at, value.len},
	                                       .body = {value.at + FRAME_BYTES,
	                                                value.len - FRAME_BYTES}});
	buffer_free(&value);
}

/* Flushes. Returns the minute of the only total in the outputs; -1: none. */
static int hand_total(struct hand *hand, bool *final)
{
	struct aggregate aggregate;
	int minute = -1;

	merge_fold_ops.flush(hand->fold, &hand->box);
	cr_assert(hand->box.count <= 1);
	if (hand->box.count) {
		cr_assert(aggregate_decode(kit_body(&hand->box.at[0]), &aggregate, NULL));
		minute = (int)((aggregate.window_start_us - KIT_DAY0_US) / US_PER_MINUTE);
		*final = aggregate.final;
	}
	outbox_clear(&hand->box);
	return minute;
}

static void hand_far_progress(struct hand *hand)
{
	hand_partial(hand, 0, "", 0, PIPE_FAR_US);
	hand_partial(hand, 1, "", 0, PIPE_FAR_US);
}

#define AT_MINUTE_5 "1m:all@1569888300000000"

Test(rollup_change, total_is_suppressed_until_the_last_source_announces_that_it_counts_the_window)
{
	for (int restored = 0; restored < 2; restored++) {
		struct hand hand = {.config = {kit_context(), 2, 10 * US_PER_MINUTE},
		                    .restoring = restored};
		bool final = true;

		hand.fold = merge_fold_ops.new(&hand.config, 0);
		hand_announce(&hand, 0, AT_MINUTE_5);
		hand_partial(&hand, 0, "1m:all", 4, 0);
		hand_partial(&hand, 0, "1m:all", 7, 0);
		if (restored)
			merge_fold_ops.restored(hand.fold);
		hand.restoring = false;
		cr_assert_eq(hand_total(&hand, &final), -1,
		             "the other source has not announced anything");
		hand_announce(&hand, 1, "1h:all@ever");
		cr_assert_eq(hand_total(&hand, &final), -1, "the other source does not count it");
		hand_announce(&hand, 1, "1h:all@ever," AT_MINUTE_5);
		cr_assert_eq(hand_total(&hand, &final), 7, "now both count it, from minute 5 on");
		cr_assert_not(final);
		hand_far_progress(&hand);
		cr_assert_eq(hand_total(&hand, &final), 7);
		cr_assert(final);
		merge_fold_ops.free(hand.fold);
		outbox_free(&hand.box);
	}
}

Test(rollup_change, total_of_a_rollup_that_one_source_has_removed_stays_as_it_is_and_not_final)
{
	struct hand hand = {.config = {kit_context(), 2, 10 * US_PER_MINUTE}};
	bool final = true;

	hand.fold = merge_fold_ops.new(&hand.config, 0);
	hand_announce(&hand, 0, "1m:all@ever,1h:all@ever");
	hand_announce(&hand, 1, "1m:all@ever,1h:all@ever");
	hand_partial(&hand, 0, "1m:all", 4, 0);
	cr_assert_eq(hand_total(&hand, &final), 4);
	cr_assert_not(final);
	hand_announce(&hand, 0, "1h:all@ever");
	hand_partial(&hand, 1, "1m:all", 4, 0);
	hand_far_progress(&hand);
	cr_assert_eq(hand_total(&hand, &final), -1);
	merge_fold_ops.free(hand.fold);
	outbox_free(&hand.box);
}

Test(rollup_change, sources_without_an_announcement_count_rollups_that_others_count_since_ever)
{
	struct hand hand = {.config = {kit_context(), 2, 10 * US_PER_MINUTE}};
	bool final = true;

	hand.fold = merge_fold_ops.new(&hand.config, 0);
	hand_announce(&hand, 0, "1m:all@ever");
	hand_partial(&hand, 1, "1m:all", 4, 0);
	cr_assert_eq(hand_total(&hand, &final), 4);
	hand_far_progress(&hand);
	cr_assert_eq(hand_total(&hand, &final), 4);
	cr_assert(final);
	merge_fold_ops.free(hand.fold);
	outbox_free(&hand.box);
}
