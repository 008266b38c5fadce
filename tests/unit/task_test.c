/* Restores, with a log in memory: after a crash at any point, the output is that of a task that
 * never stopped. There are gaps between the offsets of records, like those of transaction
 * markers. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"
#include "bronze_fold.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_rules.h"
#include "event/event_values.h"
#include "event/reason.h"
#include "event/window.h"
#include "fold_pipeline.h"
#include "merge_fold.h"
#include "session_fold.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "stream/record_mark.h"
#include "stream/refused_offsets.h"
#include "stream/task.h"
#include "unit/fold_kit.h"
#include "unit/fold_pipeline.h"
#include "wire/frame.h"
#include "wire/partitioner.h"
#include "wire/records_aggregate.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/topics.h"

#define RECORDS       500
#define BLOCK_RECORDS 8

/* ---- three inputs, one for each fold */

struct scenario {
	const char *label;
	struct task_params params;
	bool rows; /* the counts are an output */
	struct kit_log log;
	struct pipeline pipe;
	struct bronze_fold_config bronze;
	/* Offsets for task_at_end: that of the next record, or one in the gap before it. */
	int64_t *ends;
};

/* The headers of a raw event: those of our producer, or none. */
static size_t raw_headers(struct rng *rng, int64_t time_us, char clock[32],
                          struct header headers[2])
{
	size_t count = 0;

	if (rng_chance(rng, 3))
		headers[count++] = (struct header){SPAN(CLOCK_HEADER_SOURCE), SPAN("")};
	else if (rng_chance(rng, 4))
		headers[count++] = (struct header){
			SPAN(CLOCK_HEADER_SOURCE),
			{clock, time_format_iso(time_us - rng_below(rng, US_PER_HOUR), clock)}};
	if (rng_chance(rng, 30))
		headers[count++] = (struct header){SPAN(CLOCK_HEADER_REFUTED), SPAN("")};
	return count;
}

static void raw_event(struct kit_log *log, struct rng *rng, int64_t offset, int64_t time_us)
{
	char text[512], time[32], session[24], clock[32];
	struct header headers[2];
	int number = (int)rng_below(rng, 60);
	bool far = rng_chance(rng, 40); /* the clock of one device */
	int64_t event_us = time_us + (far ? 40 * US_PER_DAY : 0);
	size_t header_count = raw_headers(rng, time_us, clock, headers);
	int len;

	do
		snprintf(session, sizeof(session), "raw-%d", number++);
	while (partition_of(span_of(session), 2) != 0);
	time_format_plain(event_us / US_PER_SECOND * US_PER_SECOND, time);
	len = snprintf(text, sizeof(text),
	               "{\"event_time\":\"%s UTC\",\"event_type\":\"%s\",\"product_id\":%d,"
	               "\"price\":%d.%02d,\"user_id\":%d,\"user_session\":\"%s\"}",
	               time, rng_chance(rng, 20) ? "buy" : "view", (int)rng_between(rng, 1, 3),
	               (int)rng_below(rng, 90), (int)rng_below(rng, 99),
	               far ? 99 : (int)rng_between(rng, 1, 6), session);
	kit_log_add(log, offset, (time_us + 400 * US_PER_DAY) / 1000, span_of(session),
	            (struct span){text, (size_t)len}, headers, far ? 0 : header_count);
}

/* Raw events of several days. A quarter are duplicates, some of them beyond the horizon. */
static void generate_raw(struct kit_log *log, struct rng *rng, size_t count, int64_t step_us)
{
	int64_t front_us = KIT_DAY0_US, offset = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && rng_chance(rng, 4)) {
			size_t again = (size_t)(rng_chance(rng, 3)
			                                ? rng_below(rng, (int64_t)i)
			                                : (int64_t)i - 1 -
			                                          rng_below(rng, i < 40 ? (int64_t)i
			                                                                : 40));
			struct output copy = log->bytes.at[again];

			kit_log_add(log, offset, log->times_ms[i - 1], copy.key, copy.value,
			            copy.headers, copy.header_count);
		} else if (rng_chance(rng, 60)) {
			kit_log_control(log, offset, "jump", front_us);
			log->times_ms[i] = (front_us + 400 * US_PER_DAY) / 1000;
		} else {
			raw_event(log, rng, offset, kit_next_time(rng, &front_us, step_us));
		}
		offset += rng_chance(rng, 6) ? rng_between(rng, 2, 5) : 1;
	}
}

static void scenario_ends(struct scenario *s, struct rng *rng)
{
	size_t count = s->log.bytes.count;

	s->ends = xrealloc(NULL, count * sizeof(*s->ends));
	for (size_t i = 0; i < count; i++) {
		int64_t next = i + 1 < count ? s->log.offsets[i + 1] : s->log.offsets[i] + 3;

		s->ends[i] = rng_between(rng, s->log.offsets[i] + 1, next);
	}
}

static void scenario_bronze(struct scenario *s, uint64_t seed, size_t count, int64_t step_us,
                            int64_t horizon_us)
{
	struct rng rng = {seed};

	*s = (struct scenario){.label = "bronze", .rows = true};
	s->bronze = (struct bronze_fold_config){kit_context(), 2, horizon_us, false, NULL};
	s->params = (struct task_params){&bronze_fold_ops, &s->bronze,    0,        2,
	                                 "horizon=1",      BLOCK_RECORDS, "rules=1"};
	generate_raw(&s->log, &rng, count, step_us);
	scenario_ends(s, &rng);
}

static void scenario_session(struct scenario *s, uint64_t seed, size_t count, int64_t step_us,
                             int64_t granule_us, const char *rollups)
{
	struct rng rng = {seed};

	*s = (struct scenario){.label = "session", .rows = true};
	pipe_init(&s->pipe, seed, 1, rollups, "view,cart,purchase");
	s->pipe.granule_us = granule_us;
	pipe_generate(&s->pipe, &rng, 0, (int)count, KIT_DAY0_US + 20 * US_PER_HOUR, step_us);
	s->log = s->pipe.sources[0];
	s->pipe.sources[0] = (struct kit_log){0};
	s->params = (struct task_params){&session_fold_ops, &s->pipe.session, 0,   1,
	                                 "grace=600",       BLOCK_RECORDS,    NULL};
	scenario_ends(s, &rng);
}

static void scenario_merge(struct scenario *s, uint64_t seed, size_t count)
{
	struct rng rng = {seed};

	*s = (struct scenario){.label = "merge"};
	pipe_init(&s->pipe, seed, 3, "1m:all 15m:brand 1d+6h:all", "view,cart,purchase");
	s->pipe.idles = true;
	for (int p = 0; p < 3; p++)
		pipe_generate(&s->pipe, &rng, p, 200, KIT_DAY0_US + 20 * US_PER_HOUR,
		              20 * US_PER_MINUTE);
	pipe_run_sessions(&s->pipe, &rng, 12);
	s->log = s->pipe.partials[0];
	s->pipe.partials[0] = (struct kit_log){0};
	cr_assert(s->log.bytes.count >= count, "%zu partials", s->log.bytes.count);
	s->log.bytes.count = count;
	s->params = (struct task_params){&merge_fold_ops, &s->pipe.merge, 0,   PIPE_MERGES,
	                                 "grace=600",     BLOCK_RECORDS,  NULL};
	scenario_ends(s, &rng);
}

static void scenario_of(struct scenario *s, int which, uint64_t seed)
{
	if (which == 0)
		scenario_bronze(s, seed, RECORDS, US_PER_HOUR, 2 * US_PER_DAY);
	else if (which == 1)
		scenario_session(s, seed, RECORDS, 30 * US_PER_MINUTE, 0,
		                 "1m:all 1h:category 1d:brand 6h+1h:all");
	else if (which == 2)
		scenario_merge(s, seed, RECORDS);
	else
		/* windows longer than a visit's day; many visits close at the same time */
		scenario_session(s, seed, RECORDS, 30 * US_PER_MINUTE, US_PER_HOUR,
		                 "1m:all 2d:brand 40h:all");
}

static void scenario_free(struct scenario *s)
{
	pipe_free(&s->pipe);
	kit_log_free(&s->log);
	free(s->ends);
}

/* ---- commits */

struct commit {
	size_t next;       /* first record after it */
	int64_t committed; /* offset */
	char metadata[TASK_METADATA_MAX];
	struct buffer outputs, dump;
};

static void commit_free(struct commit *commit)
{
	buffer_free(&commit->outputs);
	buffer_free(&commit->dump);
}

/* ---- dead letters */

/* The reasons of refused records by their offset, as the dead letters have them; 0: none. */
static uint8_t refused_as[RECORDS * 5];
static int restores_by_letters;

static void note_letter(const struct output *output)
{
	struct input_record record = {.headers = output->headers,
	                              .header_count = output->header_count};
	struct dead_letter letter;

	cr_assert(dead_letter_read(&record, &letter));
	refused_as[letter.source_offset] = (uint8_t)reason_from_name(letter.reason);
}

static void find_refused(struct task *task)
{
	struct refused_offsets refused;
	int64_t expected;

	if (!task_wants_refused(task, &expected))
		return;
	restores_by_letters++;
	refused_offsets_init(&refused, task->position, task->restore_to);
	for (int64_t offset = task->position; offset < task->restore_to; offset++)
		if (refused_as[offset])
			refused_offsets_add(&refused, offset, (enum reason)refused_as[offset]);
	cr_assert(expected < 0 || expected == refused.count,
	          "%" PRId64 " letters expected, %" PRId64 " there", expected, refused.count);
	task_set_refused(task, &refused);
}

/* A commit of the loop. The bytes of all outputs go to commit->outputs; the state as text goes to
 * commit->dump, if it is wanted. */
static void do_commit(const struct scenario *s, struct task *task, struct outbox *box, bool at_end,
                      size_t next, bool dump, struct commit *commit)
{
	struct err err = {0};

	if (at_end)
		task_at_end(task, s->ends[next - 1]);
	task_flush(task, box);
	if (s->rows && task->counts_changed)
		output_counts(box, kit_context(), SPAN("input"), 0, &task->counts,
		              task->last_counted);
	cr_assert(task_metadata(task, commit->metadata, &err), "%s: %s", s->label, err.message);
	commit->next = next;
	commit->committed = task->position;
	commit->outputs = (struct buffer){0};
	commit->dump = (struct buffer){0};
	for (size_t i = 0; i < box->count; i++) {
		kit_serialise(&commit->outputs, &box->at[i]);
		if (task->params.rules && box->at[i].topic == TOPIC_DEAD_LETTER)
			note_letter(&box->at[i]);
	}
	task_committed(task);
	if (dump)
		task->params.ops->dump(task->fold, &commit->dump);
	outbox_clear(box);
}

/* The commits of a schedule: after which records, and whether each is at an end of partition. */
struct schedule {
	size_t after[RECORDS + 1];
	bool at_end[RECORDS + 1];
	size_t count;
};

static struct schedule schedule_of(uint64_t seed, size_t records, int64_t batch_max)
{
	struct rng rng = {seed};
	struct schedule schedule = {.count = 0};

	for (size_t next = 0; next < records; schedule.count++) {
		next += (size_t)rng_between(&rng, 1, batch_max);
		schedule.after[schedule.count] = next < records ? next : records;
		schedule.at_end[schedule.count] = rng_chance(&rng, 2);
	}
	return schedule;
}

/* Runs a task from the commit before `from` to the commit `last` of a schedule. A run after a
 * restart dumps the state at its first and last commit only, to save time. */
static void run(const struct scenario *s, struct task *task, const struct schedule *schedule,
                size_t from, size_t last, struct commit *commits)
{
	size_t next = from ? schedule->after[from - 1] : 0;
	struct outbox box = {0};

	for (size_t c = from; c <= last; c++) {
		for (; next < schedule->after[c]; next++) {
			struct input_record record = kit_log_record(&s->log, next);

			task_apply(task, &record, &box);
		}
		do_commit(s, task, &box, schedule->at_end[c], next,
		          from == 0 || c == from || c == last, &commits[c]);
	}
	outbox_free(&box);
}

/* A restart: reads from the restore offset of the metadata up to the committed offset, without
 * output. */
static void restart(const struct scenario *s, const struct commit *from, struct task *task)
{
	struct outbox box = {0};
	struct err err = {0};

	cr_assert(task_resume(task, &s->params, from->committed, span_of(from->metadata), &err),
	          "%s: %s", s->label, err.message);
	find_refused(task);
	for (size_t i = 0; i < s->log.bytes.count && s->log.offsets[i] < from->committed; i++) {
		struct input_record record = kit_log_record(&s->log, i);

		if (record.offset >= task->position)
			task_apply(task, &record, &box);
	}
	cr_assert_eq(box.count, 0, "%s: a restore had outputs", s->label);
	if (task->restoring && task->position >= task->restore_to)
		task_at_end(task, from->committed);
	outbox_free(&box);
}

static void expect_same(const struct scenario *s, const struct commit *got,
                        const struct commit *want, const char *what, size_t crash, size_t at)
{
	cr_assert_eq(got->committed, want->committed,
	             "%s: %s %zu: commit %zu at %" PRId64 " for %" PRId64, s->label, what, crash,
	             at, got->committed, want->committed);
	cr_assert(got->outputs.len == want->outputs.len &&
	                  (!got->outputs.len ||
	                   memcmp(got->outputs.at, want->outputs.at, got->outputs.len) == 0),
	          "%s: %s %zu: other outputs at commit %zu", s->label, what, crash, at);
	cr_assert(!got->dump.len || (got->dump.len == want->dump.len &&
	                             memcmp(got->dump.at, want->dump.at, got->dump.len) == 0),
	          "%s: %s %zu: another state at commit %zu:\n%.*s\nfor\n%.*s", s->label, what,
	          crash, at, (int)got->dump.len, got->dump.at, (int)want->dump.len, want->dump.at);
}

/* ---- the tests of the promise */

static void restart_everywhere(int which, uint64_t seed, int64_t batch_max)
{
	static struct commit want[RECORDS + 1], got[RECORDS + 1];
	struct scenario s;
	struct schedule schedule;
	struct task task;
	size_t moved = 0;
	int64_t shortest = INT64_MAX;

	scenario_of(&s, which, seed);
	schedule = schedule_of(seed, s.log.bytes.count, batch_max);
	task_start(&task, &s.params, 0);
	run(&s, &task, &schedule, 0, schedule.count - 1, want);
	task_free(&task);
	/* a crash at any record up to the next commit restarts from the same commit */
	for (size_t crash = 0; crash + 1 < schedule.count; crash++) {
		restart(&s, &want[crash], &task);
		cr_assert_not(task.restoring && task.position < task.restore_to &&
		              s.log.offsets[schedule.after[crash]] < task.restore_to);
		run(&s, &task, &schedule, crash + 1, schedule.count - 1, got);
		for (size_t c = crash + 1; c < schedule.count; c++) {
			expect_same(&s, &got[c], &want[c], "restart at commit", crash, c);
			commit_free(&got[c]);
		}
		task_free(&task);
	}
	for (size_t c = 0; c < schedule.count; c++) {
		int64_t from;

		cr_assert_eq(sscanf(want[c].metadata, "v1 r=%" SCNd64, &from), 1);
		moved += from > 0;
		if (want[c].committed - from < shortest)
			shortest = want[c].committed - from;
		commit_free(&want[c]);
	}
	cr_assert(moved > schedule.count / 8,
	          "%s: restore_from hardly moves: the test does not reach what it is for", s.label);
	scenario_free(&s);
}

Test(task, restart_at_every_record_boundary_gives_the_same_outputs_in_bronze)
{
	restart_everywhere(0, 1, 1);
	restart_everywhere(0, 2, 30);
}

Test(task, restart_at_every_record_boundary_gives_the_same_outputs_in_the_session_half)
{
	restart_everywhere(1, 3, 1);
	restart_everywhere(1, 4, 30);
	restart_everywhere(3, 8, 8);
}

Test(task, restart_at_every_record_boundary_gives_the_same_outputs_in_the_merge_half)
{
	restart_everywhere(2, 5, 1);
	restart_everywhere(2, 6, 30);
}

/* A crash in the middle of a batch: its records were folded and its outputs lost. */
Test(task, records_folded_after_the_last_commit_leave_no_trace)
{
	for (int which = 0; which < 4; which++) {
		static struct commit want[RECORDS + 1], got[RECORDS + 1];
		struct scenario s;
		struct schedule schedule;
		struct rng rng = {70 + (uint64_t)which};

		scenario_of(&s, which, 71);
		schedule = schedule_of(72, RECORDS, 25);
		for (int round = 0; round < 20; round++) {
			struct outbox box = {0};
			struct task task;
			size_t crash = (size_t)rng_below(&rng, (int64_t)schedule.count - 1), next;

			task_start(&task, &s.params, 0);
			run(&s, &task, &schedule, 0, crash, want);
			for (next = schedule.after[crash]; next < schedule.after[crash + 1];
			     next++) {
				struct input_record record = kit_log_record(&s.log, next);

				if (rng_chance(&rng, 4))
					break;
				task_apply(&task, &record, &box);
			}
			task_flush(&task, &box);
			task_free(&task);
			restart(&s, &want[crash], &task);
			run(&s, &task, &schedule, crash + 1, crash + 1, got);
			task_free(&task);
			for (size_t c = 0; c <= crash; c++)
				commit_free(&want[c]);
			task_start(&task, &s.params, 0);
			run(&s, &task, &schedule, 0, crash + 1, want);
			expect_same(&s, &got[crash + 1], &want[crash + 1], "crash after commit",
			            crash, crash + 1);
			for (size_t c = 0; c <= crash + 1; c++)
				commit_free(&want[c]);
			commit_free(&got[crash + 1]);
			task_free(&task);
			outbox_free(&box);
		}
		scenario_free(&s);
	}
}

Test(task, pairs_of_crash_points_give_the_same_outputs)
{
	for (int which = 0; which < 4; which++) {
		static struct commit want[RECORDS + 1], first[RECORDS + 1], second[RECORDS + 1];
		struct scenario s;
		struct schedule schedule;
		struct task task;
		struct rng rng = {80 + (uint64_t)which};

		scenario_of(&s, which, 81);
		schedule = schedule_of(82, RECORDS, 6);
		task_start(&task, &s.params, 0);
		run(&s, &task, &schedule, 0, schedule.count - 1, want);
		task_free(&task);
		for (int round = 0; round < 150; round++) {
			size_t a = (size_t)rng_below(&rng, (int64_t)schedule.count - 2);
			size_t b = (size_t)rng_between(&rng, (int64_t)a + 1,
			                               (int64_t)schedule.count - 2);

			restart(&s, &want[a], &task);
			run(&s, &task, &schedule, a + 1, b, first);
			task_free(&task);
			restart(&s, &first[b], &task);
			run(&s, &task, &schedule, b + 1, schedule.count - 1, second);
			task_free(&task);
			for (size_t c = a + 1; c < schedule.count; c++) {
				expect_same(&s, c <= b ? &first[c] : &second[c], &want[c],
				            "second restart at commit", b, c);
				commit_free(c <= b ? &first[c] : &second[c]);
			}
		}
		for (size_t c = 0; c < schedule.count; c++)
			commit_free(&want[c]);
		scenario_free(&s);
	}
}

Test(task, state_after_a_restore_equals_that_of_a_task_that_never_moved)
{
	for (int which = 0; which < 4; which++) {
		static struct commit want[RECORDS + 1];
		struct scenario s;
		struct schedule schedule;
		struct task task;

		scenario_of(&s, which, 91);
		schedule = schedule_of(92, RECORDS, 9);
		task_start(&task, &s.params, 0);
		run(&s, &task, &schedule, 0, schedule.count - 1, want);
		task_free(&task);
		for (size_t c = 0; c < schedule.count; c++) {
			struct buffer dump = {0};
			struct err err;
			char metadata[TASK_METADATA_MAX];

			restart(&s, &want[c], &task);
			task_at_end(&task, want[c].committed);
			cr_assert_not(task.restoring);
			cr_assert_eq(task.position, want[c].committed);
			s.params.ops->dump(task.fold, &dump);
			cr_assert(dump.len == want[c].dump.len &&
			                  memcmp(dump.at, want[c].dump.at, dump.len) == 0,
			          "%s at commit %zu:\n%.*s\nfor\n%.*s", s.label, c, (int)dump.len,
			          dump.at, (int)want[c].dump.len, want[c].dump.at);
			cr_assert(task_metadata(&task, metadata, &err));
			cr_assert_str_eq(metadata, want[c].metadata, "%s at commit %zu", s.label,
			                 c);
			buffer_free(&dump);
			commit_free(&want[c]);
			task_free(&task);
		}
		scenario_free(&s);
	}
}

/* A restore of many thousand records frees state that it no longer needs. */
static void expect_same_after_a_long_rebuild(struct scenario *s, uint64_t seed)
{
	static struct commit want[RECORDS + 1], got[RECORDS + 1];
	struct schedule schedule = schedule_of(seed, s->log.bytes.count, 1500);
	struct task task;
	size_t last = schedule.count - 1;
	int64_t longest = 0;

	s->params.block_records = 512;
	task_start(&task, &s->params, 0);
	run(s, &task, &schedule, 0, last, want);
	task_free(&task);
	for (size_t crash = last / 2; crash < last; crash++) {
		restart(s, &want[crash], &task);
		run(s, &task, &schedule, crash + 1, crash + 1, got);
		expect_same(s, &got[crash + 1], &want[crash + 1], "long restore at commit", crash,
		            crash + 1);
		commit_free(&got[crash + 1]);
		task_free(&task);
	}
	for (size_t c = 0; c <= last; c++) {
		int64_t from;

		cr_assert_eq(sscanf(want[c].metadata, "v1 r=%" SCNd64, &from), 1);
		if (want[c].committed - from > longest)
			longest = want[c].committed - from;
		commit_free(&want[c]);
	}
	cr_assert(longest > 9000, "%s: the longest restore has %" PRId64 " offsets", s->label,
	          longest);
}

Test(task, long_restore_gives_the_same_outputs_in_the_session_half)
{
	struct scenario s;

	scenario_session(&s, 41, 24000, 16 * US_PER_SECOND, US_PER_MINUTE,
	                 "1m:all 1h:category 1d:all");
	expect_same_after_a_long_rebuild(&s, 42);
	scenario_free(&s);
}

Test(task, long_restore_gives_the_same_outputs_in_the_merge_half)
{
	struct scenario s;
	struct rng rng = {43};

	s = (struct scenario){.label = "merge"};
	pipe_init(&s.pipe, 43, 2, "1m:all 10m:brand 1d:all", "view,cart,purchase");
	pipe_generate(&s.pipe, &rng, 0, 6000, KIT_DAY0_US + 20 * US_PER_HOUR, US_PER_MINUTE);
	pipe_generate(&s.pipe, &rng, 1, 3000, KIT_DAY0_US + 4 * US_PER_HOUR,
	              US_PER_MINUTE); /* lags, so all state is kept for long */
	pipe_run_sessions(&s.pipe, &rng, 1);
	s.log = s.pipe.partials[0];
	s.pipe.partials[0] = (struct kit_log){0};
	cr_assert(s.log.bytes.count < (size_t)RECORDS * 700);
	s.params = (struct task_params){&merge_fold_ops, &s.pipe.merge, 0,   PIPE_MERGES,
	                                "grace=600",     BLOCK_RECORDS, NULL};
	scenario_ends(&s, &rng);
	expect_same_after_a_long_rebuild(&s, 44);
	scenario_free(&s);
}

/* ---- the last value of each key does not depend on the commit points */

struct last_value {
	char key[160];
	struct buffer value;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct last_value *)a)->key, ((const struct last_value *)b)->key);
}

/* The part of an output that does not depend on the commit points. A partial has the watermark of
 * its commit. A visit that was deleted may never have been an output. */
static void lasting_value(const struct output *output, struct buffer *value)
{
	struct partial partial;
	struct visit visit;

	value->len = 0;
	if (output->topic == TOPIC_FUNNEL_PARTIALS && output->value.at) {
		cr_assert(partial_decode(kit_body(output), &partial, NULL));
		if (partial.rollup.len)
			partial.watermark_us = 0;
		else
			partial.watermark_us = time_floor(partial.watermark_us, US_PER_MINUTE);
		partial_encode(value, 0, &partial);
		return;
	}
	if (output->topic == TOPIC_SESSION_FUNNELS) {
		cr_assert(visit_decode(kit_body(output), &visit, NULL));
		if (visit.deleted)
			return;
	}
	kit_serialise(value, output);
}

/* Runs with commits at random points. Gives the last values by topic and key, in the order of the
 * keys, and the outputs that are not upserts, in their order. */
static size_t last_values(const struct scenario *s, uint64_t seed, struct last_value *values,
                          struct buffer *stream)
{
	struct rng rng = {seed};
	struct interner keys = {0};
	struct outbox box = {0};
	struct task task;
	size_t count = 0, kept = 0;
	int64_t every = rng_between(&rng, 1, 60);

	task_start(&task, &s->params, 0);
	for (size_t i = 0; i <= s->log.bytes.count; i++) {
		if (i == s->log.bytes.count || (i && rng_chance(&rng, every))) {
			task_flush(&task, &box);
			if (s->rows && task.counts_changed)
				output_counts(&box, kit_context(), SPAN("input"), 0, &task.counts,
				              task.last_counted);
			task_committed(&task);
			for (size_t o = 0; o < box.count; o++) {
				const struct output *output = &box.at[o];
				char key[160];
				uint32_t number;
				bool added;

				if (output->topic <= TOPIC_LATE_EVENTS) {
					kit_serialise(stream, output);
					continue;
				}
				snprintf(key, sizeof(key), "%u/%d/%.*s", (unsigned)output->topic,
				         output->partition, (int)output->key.len, output->key.at);
				number = kit_number(&keys, span_of(key), &added);
				if (added)
					values[count++] = (struct last_value){.value = {0}};
				memcpy(values[number].key, key, sizeof(key));
				lasting_value(output, &values[number].value);
			}
			outbox_clear(&box);
		}
		if (i < s->log.bytes.count) {
			struct input_record record = kit_log_record(&s->log, i);

			task_apply(&task, &record, &box);
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (values[i].value.len)
			values[kept++] = values[i];
		else
			buffer_free(&values[i].value);
	}
	qsort(values, kept, sizeof(*values), by_key);
	task_free(&task);
	interner_free(&keys);
	outbox_free(&box);
	return kept;
}

Test(task, random_commit_points_give_the_same_last_value_of_every_key)
{
	static struct last_value want[20000], got[20000];

	for (int which = 0; which < 3; which++) {
		struct scenario s;
		struct buffer want_stream = {0};
		size_t want_count;

		scenario_of(&s, which, 100);
		want_count = last_values(&s, 1, want, &want_stream);
		cr_assert(want_count > (which ? 50 : 0));
		for (uint64_t seed = 2; seed < 20; seed++) {
			struct buffer stream = {0};
			size_t count = last_values(&s, seed, got, &stream);

			cr_assert(stream.len == want_stream.len &&
			                  (!stream.len ||
			                   memcmp(stream.at, want_stream.at, stream.len) == 0),
			          "%s, seed %" PRIu64, s.label, seed);
			cr_assert_eq(count, want_count, "%s, seed %" PRIu64 ": %zu keys for %zu",
			             s.label, seed, count, want_count);
			for (size_t i = 0; i < count; i++) {
				cr_assert_str_eq(got[i].key, want[i].key, "%s, seed %" PRIu64,
				                 s.label, seed);
				cr_assert(got[i].value.len == want[i].value.len &&
				                  memcmp(got[i].value.at, want[i].value.at,
				                         got[i].value.len) == 0,
				          "%s, seed %" PRIu64 ": %s", s.label, seed, got[i].key);
				buffer_free(&got[i].value);
			}
			buffer_free(&stream);
		}
		for (size_t i = 0; i < want_count; i++)
			buffer_free(&want[i].value);
		buffer_free(&want_stream);
		scenario_free(&s);
	}
}

/* ---- refusals */

static void expect_refusal(const struct task_params *params, int64_t committed,
                           struct span metadata, const char *mention, const char *label)
{
	struct task task;
	struct err err = {0};

	cr_assert_not(task_resume(&task, params, committed, metadata, &err), "%s", label);
	cr_assert_eq(err.class, ERR_OPERATOR, "%s: %s", label, err.message);
	cr_assert(strstr(err.message, mention), "%s: '%s' lacks '%s'", label, err.message, mention);
	cr_assert(strstr(err.message, "TOPIC_PREFIX") != NULL,
	          "%s: the message does not say what to do: %s", label, err.message);
	task_free(&task);
}

/* ---- rules that change */

/* Rules that refuse nothing, or half of the sessions: those of partition 2 of 4. */
static void set_rules(struct scenario *s, bool strict)
{
	s->bronze.partition_count = strict ? 4 : 2;
	s->params.rules = strict ? "partitions=4" : "partitions=2";
}

/* The metadata as a version without rules writes it. */
static void without_rules(char metadata[TASK_METADATA_MAX])
{
	char *field = strstr(metadata, " v="), *end;

	cr_assert_not_null(field);
	end = strchr(field + 1, ' ');
	memmove(field, end, strlen(end) + 1);
	end = strrchr(metadata, ' ');
	snprintf(end, 16, " x=%08" PRIx32, XXH32(metadata, (size_t)(end - metadata), 0));
}

/* The metadata with another v, or with a further field at its place. */
static void with_rules(const struct commit *commit, const char *field, char out[TASK_METADATA_MAX])
{
	const char *from = strstr(commit->metadata, " v="), *to = strchr(from + 1, ' '),
		   *end = strrchr(commit->metadata, ' ');
	int len = snprintf(out, TASK_METADATA_MAX, "%.*s %s%.*s", (int)(from - commit->metadata),
	                   commit->metadata, field, (int)(end - to), to);

	snprintf(out + len, TASK_METADATA_MAX - (size_t)len, " x=%08" PRIx32,
	         XXH32(out, (size_t)len, 0));
}

/* Bronze with rules, after 300 records. */
static void some_rules(struct scenario *s, bool strict, struct commit *commit)
{
	struct schedule schedule = {.after = {300}, .at_end = {false}, .count = 1};
	struct task task;

	memset(refused_as, 0, sizeof(refused_as));
	scenario_bronze(s, 11, RECORDS, US_PER_HOUR, 2 * US_PER_DAY);
	set_rules(s, strict);
	task_start(&task, &s->params, 0);
	run(s, &task, &schedule, 0, 0, commit);
	task_free(&task);
}

/* Whether the restore needs the dead letters, and the offset from which today's rules apply. */
static bool asks(const struct scenario *s, int64_t committed, const char *metadata, int64_t *since,
                 int64_t *expected)
{
	struct task task;
	struct err err = {0};
	bool wants;

	cr_assert(task_resume(&task, &s->params, committed, span_of(metadata), &err), "%s",
	          err.message);
	wants = task_wants_refused(&task, expected);
	*since = task.rules_since;
	task_free(&task);
	return wants;
}

Test(task, rules_are_asked_for_only_as_far_as_others_applied)
{
	struct scenario s;
	struct commit commit;
	char text[TASK_METADATA_MAX], field[64];
	int64_t since, expected, from, letters = 0;

	some_rules(&s, true, &commit);
	cr_assert_eq(sscanf(commit.metadata, "v1 r=%" SCNd64, &from), 1);
	for (int64_t offset = from; offset < commit.committed; offset++)
		letters += refused_as[offset] != 0;
	cr_assert(from > 0 && letters > 0);
	cr_assert_not(asks(&s, commit.committed, commit.metadata, &since, &expected));
	cr_assert_eq(since, 0);

	set_rules(&s, false);
	cr_assert(asks(&s, commit.committed, commit.metadata, &since, &expected));
	cr_assert_eq(since, commit.committed);
	cr_assert_eq(expected, letters);
	without_rules(commit.metadata);
	cr_assert(asks(&s, commit.committed, commit.metadata, &since, &expected));
	cr_assert_eq(since, commit.committed);
	cr_assert_eq(expected, -1);

	/* the same rules again, which have applied since one record after the restore offset */
	memcpy(text, commit.metadata, sizeof(text));
	commit_free(&commit);
	scenario_free(&s);
	some_rules(&s, true, &commit);
	for (int64_t after = -1; after <= 1; after++) {
		const char *hash = strstr(commit.metadata, " v=") + 3;

		snprintf(field, sizeof(field), "v=%.16s@%" PRId64 ",0", hash, from + after);
		with_rules(&commit, field, text);
		cr_assert_eq(asks(&s, commit.committed, text, &since, &expected), after > 0);
		cr_assert_eq(since, from + after);
	}
	commit_free(&commit);
	scenario_free(&s);
}

/* Metadata of an older version, and letters that another client has written. */
Test(task, more_dead_letters_than_counted_leave_metadata_that_can_be_read)
{
	struct scenario s;
	struct commit commit;
	struct task task;
	struct err err = {0};
	char next[TASK_METADATA_MAX];

	some_rules(&s, false, &commit);
	without_rules(commit.metadata);
	for (size_t offset = 0; offset < sizeof(refused_as); offset++)
		refused_as[offset] = offset % 10 ? REASON_MALFORMED_JSON : REASON_NONE;
	restart(&s, &commit, &task);
	cr_assert(task_metadata(&task, next, &err), "%s", err.message);
	task_free(&task);
	cr_assert(task_resume(&task, &s.params, commit.committed, span_of(next), &err), "%s",
	          err.message);
	task_free(&task);
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, metadata_with_a_field_of_a_newer_version_is_read)
{
	struct scenario s;
	struct commit commit;
	char text[TASK_METADATA_MAX];
	int64_t since, expected;

	some_rules(&s, true, &commit);
	with_rules(&commit, "z=anything@5,6", text);
	cr_assert(asks(&s, commit.committed, text, &since, &expected), "v is missing");
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, invalid_rules_in_the_metadata_refuse)
{
	static const char *const fields[] = {
		"v=",
		"v=0011223344556677",
		"v=0011223344556677@",
		"v=0011223344556677@1",
		"v=0011223344556677@1,",
		"v=0011223344556677@1,2,3",
		"v=0011223344556677@-1,0",
		"v=0011223344556677@1,-1",
		"v=0011223344556677@1,99999", /* more dead letters than counted */
		"v=001122334455667@1,0",
		"v=00112233445566778@1,0",
		"v=00112233445566FF@1,0",
		"v=0011223344556677@99999999999999999999,0",
	};
	struct scenario s;
	struct commit commit;
	char text[TASK_METADATA_MAX];

	some_rules(&s, true, &commit);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		with_rules(&commit, fields[i], text);
		expect_refusal(&s.params, commit.committed, span_of(text), "cannot be read",
		               fields[i]);
	}
	commit_free(&commit);
	scenario_free(&s);
}

/* The registry gets the schema only after the record was refused. */
Test(task, record_that_was_unreadable_does_not_count_as_seen)
{
	struct scenario s;
	struct commit commit;
	struct task task;
	struct outbox box = {0};
	struct err err = {0};
	struct input_record record;
	int64_t out;

	memset(refused_as, 0, sizeof(refused_as));
	scenario_bronze(&s, 12, 20, US_PER_MINUTE, 2 * US_PER_DAY);
	record = kit_log_record(&s.log, 0);
	task_start(&task, &s.params, 0);
	record.refused = REASON_UNKNOWN_SCHEMA_ID;
	task_apply(&task, &record, &box);
	record = kit_log_record(&s.log, 1);
	task_apply(&task, &record, &box);
	do_commit(&s, &task, &box, false, 2, false, &commit);
	task_free(&task);

	cr_assert(task_resume(&task, &s.params, commit.committed, span_of(commit.metadata), &err));
	cr_assert_eq(task.position, 0, "the refused record is read again");
	find_refused(&task);
	for (size_t i = 0; i < 2; i++) {
		record = kit_log_record(&s.log, i);
		task_apply(&task, &record, &box);
	}
	out = task.committed_counts.records_out;
	record = kit_log_record(&s.log, 0);
	record.offset = s.log.offsets[2];
	task_apply(&task, &record, &box);
	cr_assert_eq(task.counts.records_out, out + 1, "the redriven record is an event");
	cr_assert_eq(task.counts.duplicates, 0);
	task_free(&task);
	outbox_free(&box);
	commit_free(&commit);
	scenario_free(&s);
}

/* Restarts at every commit, with other rules than before in one of four. The outputs and states
 * are those of a task that never restarts, and gets its rules changed while it runs. */
static void change_rules_everywhere(uint64_t seed, int64_t batch_max, bool older_versions)
{
	static struct commit want[RECORDS + 1], got[RECORDS + 1];
	static bool strict[RECORDS + 1];
	struct rng rng = {seed + 500};
	struct scenario s;
	struct schedule schedule;
	struct task live, task;
	int changes = 0;

	restores_by_letters = 0;
	memset(refused_as, 0, sizeof(refused_as));
	scenario_bronze(&s, seed, RECORDS, US_PER_HOUR, 2 * US_PER_DAY);
	schedule = schedule_of(seed, RECORDS, batch_max);
	for (size_t c = 0; c < schedule.count; c++) {
		strict[c] = rng_chance(&rng, 4) ? !(c && strict[c - 1]) : (c && strict[c - 1]);
		changes += c && strict[c] != strict[c - 1];
		set_rules(&s, strict[c]);
		if (c == 0)
			task_start(&live, &s.params, 0);
		run(&s, &live, &schedule, c, c, want);
	}
	for (size_t c = 0; c < schedule.count; c++) {
		set_rules(&s, strict[c]);
		if (c == 0) {
			task_start(&task, &s.params, 0);
		} else {
			if (older_versions && rng_chance(&rng, 3))
				without_rules(got[c - 1].metadata);
			restart(&s, &got[c - 1], &task);
		}
		run(&s, &task, &schedule, c, c, got);
		expect_same(&s, &got[c], &want[c], "changed rules at commit", c, c);
		task_free(&task);
	}
	cr_assert(changes > 10 && restores_by_letters > changes,
	          "seed %" PRIu64 ": %d changes, %d restores by dead letters", seed, changes,
	          restores_by_letters);
	for (size_t c = 0; c < schedule.count; c++) {
		commit_free(&want[c]);
		commit_free(&got[c]);
	}
	task_free(&live);
	scenario_free(&s);
}

Test(task, changed_rules_do_not_change_what_was_refused_and_what_was_seen)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		change_rules_everywhere(seed, seed % 2 ? 1 : 12, false);
}

Test(task, changed_rules_in_turn_with_versions_that_do_not_know_rules)
{
	for (uint64_t seed = 5; seed <= 8; seed++)
		change_rules_everywhere(seed, seed % 2 ? 1 : 12, true);
}

#define POOL 60 /* different events */

/* A copy of the event with that number. Copies differ in price and brand only. */
static void pool_event(struct kit_log *log, int64_t offset, int number, int price, bool brand)
{
	char text[512], time[32], session[24], price_text[16] = "null";
	int len, home = number * 100;

	do
		snprintf(session, sizeof(session), "raw-%d", home++);
	while (partition_of(span_of(session), 2) != 0);
	time_format_plain(KIT_DAY0_US + number * US_PER_MINUTE, time);
	if (price >= 0)
		snprintf(price_text, sizeof(price_text), "%d", price);
	len = snprintf(text, sizeof(text),
	               "{\"event_time\":\"%s UTC\",\"event_type\":\"%s\",\"product_id\":5,"
	               "\"price\":%s,\"brand\":%s,\"user_id\":%d,\"user_session\":\"%s\"}",
	               time, event_type_name((enum event_type)(number % EVENT_TYPE_COUNT)),
	               price_text, brand ? "\"acme\"" : "null", 1 + number % 5, session);
	kit_log_add(log, offset, (KIT_DAY0_US + US_PER_DAY) / 1000, span_of(session),
	            (struct span){text, (size_t)len}, NULL, 0);
}

/* Rules, and whether they refuse the event. */
static const struct test_rules {
	struct event_rules_config config;
	unsigned types, price_types;
	int min, max;
	bool brand;
} test_rules[] = {
	{EVENT_RULES_DEFAULTS, 31, 1u << EVENT_PURCHASE, 0, 99, false},
	{{"", "view,cart", "none", "0", "99", NULL_WORDS_DEFAULT}, 3, 0, 0, 99, false},
	{{"brand", EVENT_RULES_ALL_TYPES, "none", "0", "99", NULL_WORDS_DEFAULT},
         31,
         0,
         0,
         99,
         true},
	{{"", EVENT_RULES_ALL_TYPES, "view,cart", "20", "60", NULL_WORDS_DEFAULT},
         31,
         3,
         20,
         60,
         false},
	{{"price", "purchase", "none", "0", "40", NULL_WORDS_DEFAULT}, 16, 31, 0, 40, false},
};

static bool test_rules_refuse(const struct test_rules *rules, int number, int price, bool brand)
{
	unsigned type = (unsigned)number % EVENT_TYPE_COUNT;

	if (price < 0 ? rules->price_types >> type & 1 : price < rules->min || price > rules->max)
		return true;
	return !(rules->types >> type & 1) || (rules->brand && !brand);
}

/* A restart with other rules before each record, against a model: a record is refused by the rules
 * of its time, and is otherwise a duplicate if a copy was accepted before. */
static void change_validity_everywhere(uint64_t seed)
{
	enum { REFUSED, DUPLICATE, ACCEPTED };
	static struct commit commits[RECORDS + 1];
	bool seen[POOL] = {false};
	struct rng rng = {seed + 900};
	struct schedule schedule = schedule_of(seed, RECORDS, 1);
	int results[3] = {0};
	struct scenario s = {.label = "bronze", .rows = true};
	struct event_rules rules;
	char text[EVENT_RULES_TEXT_MAX];
	struct err err = {0};
	struct task task;

	memset(schedule.at_end, 0, sizeof(schedule.at_end));
	memset(refused_as, 0, sizeof(refused_as));
	s.bronze = (struct bronze_fold_config){kit_context(), 2, 2 * US_PER_DAY, false, &rules};
	s.params =
		(struct task_params){&bronze_fold_ops, &s.bronze, 0, 2, "m", BLOCK_RECORDS, text};
	for (size_t c = 0; c < RECORDS; c++) {
		const struct test_rules *now = &test_rules[rng_below(&rng, 5)];
		int number = (int)rng_below(&rng, POOL), price = (int)rng_below(&rng, 120) - 20,
		    want;
		bool brand = rng_chance(&rng, 2);
		struct counts before = {0};

		price = price < 0 ? -1 : price;
		pool_event(&s.log, (int64_t)c, number, price, brand);
		cr_assert(event_rules_read(&now->config, &rules, &err), "%s", err.message);
		event_rules_format(&rules, text);
		if (c == 0) {
			task_start(&task, &s.params, 0);
		} else {
			restart(&s, &commits[c - 1], &task);
			before = task.committed_counts;
		}
		run(&s, &task, &schedule, c, c, commits);
		want = test_rules_refuse(now, number, price, brand) ? REFUSED
		       : seen[number]                               ? DUPLICATE
		                                                    : ACCEPTED;
		cr_assert_eq(task.counts.records_out - before.records_out, want == ACCEPTED,
		             "seed %" PRIu64 ", record %zu: want %d", seed, c, want);
		cr_assert_eq(task.counts.duplicates - before.duplicates, want == DUPLICATE,
		             "seed %" PRIu64 ", record %zu: want %d", seed, c, want);
		seen[number] |= want == ACCEPTED;
		results[want]++;
		task_free(&task);
	}
	for (size_t c = 0; c < RECORDS; c++)
		commit_free(&commits[c]);
	kit_log_free(&s.log);
	cr_assert(results[REFUSED] > 100 && results[DUPLICATE] > 100 && results[ACCEPTED] > 50,
	          "%d refused, %d duplicates, %d accepted", results[REFUSED], results[DUPLICATE],
	          results[ACCEPTED]);
}

Test(task, settings_of_validity_change_what_is_refused_and_not_what_was_seen)
{
	for (uint64_t seed = 1; seed <= 3; seed++)
		change_validity_everywhere(seed);
}

/* ---- metadata that does not fit */

static void some_commit(struct scenario *s, struct commit *commit)
{
	struct schedule schedule = {.after = {300}, .at_end = {false}, .count = 1};
	struct task task;

	scenario_of(s, 1, 7);
	task_start(&task, &s->params, 0);
	run(s, &task, &schedule, 0, 0, commit);
	task_free(&task);
}

Test(task, metadata_that_cannot_be_read_refuses)
{
	static const char *const texts[] = {
		"",       "v1",      "v1 ",
		"v2 r=0", "garbage", "v1 r=0 p=1 m=x n=0,0,0,0 l=0 t= h= x=00000000"};
	struct scenario s;
	struct commit commit;

	some_commit(&s, &commit);
	expect_refusal(&s.params, commit.committed, SPAN_NULL, "cannot be read", "null");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect_refusal(&s.params, commit.committed, span_of(texts[i]), "cannot be read",
		               texts[i]);
	for (size_t cut = 0; cut < strlen(commit.metadata); cut++)
		expect_refusal(&s.params, commit.committed, (struct span){commit.metadata, cut},
		               "cannot be read", "cut");
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, metadata_with_impossible_counts_refuses)
{
	static const char *const counts[] = {"-1,0,0,0",
	                                     "9223372036854775807,0,0,0",
	                                     "99999999999999999999,0,0,0",
	                                     "0,0,0,0,null_value:-1",
	                                     "0,0,0,0,none_such:1",
	                                     "0,0,0,0,?brand:-1",
	                                     "0,0,0,0,?none_such:1",
	                                     "0,0,0,0,brand:1",
	                                     "0,0,0,0,duplicates_other_price:-1"};
	struct scenario s;
	struct commit commit;
	char text[TASK_METADATA_MAX];

	some_commit(&s, &commit);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const char *from = strstr(commit.metadata, " n=") + 3, *to = strchr(from, ' '),
			   *end = strrchr(commit.metadata, ' ');
		int len = snprintf(text, sizeof(text), "%.*s%s%.*s", (int)(from - commit.metadata),
		                   commit.metadata, counts[i], (int)(end - to), to);

		snprintf(text + len, sizeof(text) - (size_t)len, " x=%08" PRIx32,
		         XXH32(text, (size_t)len, 0));
		expect_refusal(&s.params, commit.committed, span_of(text), "cannot be read",
		               counts[i]);
	}
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, every_flipped_bit_of_the_metadata_refuses)
{
	struct scenario s;
	struct commit commit;
	size_t len;

	some_commit(&s, &commit);
	len = strlen(commit.metadata);
	for (size_t bit = 0; bit < len * 8; bit++) {
		commit.metadata[bit / 8] = (char)(commit.metadata[bit / 8] ^ (1 << bit % 8));
		expect_refusal(&s.params, commit.committed, (struct span){commit.metadata, len},
		               "cannot be read", commit.metadata);
		commit.metadata[bit / 8] = (char)(commit.metadata[bit / 8] ^ (1 << bit % 8));
	}
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, other_partition_count_other_fingerprint_and_impossible_offsets_refuse)
{
	struct scenario s;
	struct commit commit;
	struct task_params params;
	int64_t from;

	some_commit(&s, &commit);
	params = s.params;
	params.partition_count = 8;
	expect_refusal(&params, commit.committed, span_of(commit.metadata), "partitions",
	               "partition count");
	params = s.params;
	params.fingerprint = "grace=601";
	expect_refusal(&params, commit.committed, span_of(commit.metadata), "grace=601",
	               "fingerprint");
	cr_assert_eq(sscanf(commit.metadata, "v1 r=%" SCNd64, &from), 1);
	cr_assert(from > 0);
	expect_refusal(&s.params, from - 1, span_of(commit.metadata), "past the committed",
	               "restore_from past the committed offset");
	commit_free(&commit);
	scenario_free(&s);
}

/* The commit's metadata with another f, or without one ("", as in older versions), and a valid
 * checksum. */
static void with_mark(const struct commit *commit, const char *mark, char out[TASK_METADATA_MAX])
{
	const char *from = strstr(commit->metadata, " f="), *to = strchr(from + 1, ' '),
		   *end = strrchr(commit->metadata, ' ');
	int len = snprintf(out, TASK_METADATA_MAX, "%.*s%s%s%.*s", (int)(from - commit->metadata),
	                   commit->metadata, *mark ? " f=" : "", mark, (int)(end - to), to);

	snprintf(out + len, TASK_METADATA_MAX - (size_t)len, " x=%08" PRIx32,
	         XXH32(out, (size_t)len, 0));
}

Test(task, the_last_record_folded_comes_back_with_the_metadata)
{
	for (int which = 0; which < 3; which++) {
		struct scenario s;
		struct commit commit;
		struct schedule schedule = {.after = {300}, .at_end = {true}, .count = 1};
		struct input_record last;
		struct record_mark want;
		struct task task;
		struct err err = {0};

		scenario_of(&s, which, 7);
		last = kit_log_record(&s.log, 299);
		want = record_mark_of(last.offset, last.timestamp_ms, last.key, last.value);
		task_start(&task, &s.params, 0);
		cr_assert_eq(task.last.offset, -1);
		run(&s, &task, &schedule, 0, 0, &commit);
		cr_assert(record_mark_equal(&task.last, &want), "%s", s.label);
		task_free(&task);
		cr_assert(task_resume(&task, &s.params, commit.committed, span_of(commit.metadata),
		                      &err),
		          "%s: %s", s.label, err.message);
		cr_assert(record_mark_equal(&task.last, &want), "%s: resumed", s.label);
		task_free(&task);
		restart(&s, &commit, &task);
		cr_assert(record_mark_equal(&task.last, &want), "%s: restored", s.label);
		task_free(&task);
		commit_free(&commit);
		scenario_free(&s);
	}
}

Test(task, a_record_that_is_followed_is_marked_only_if_none_was_before)
{
	static const struct {
		bool followed;
		size_t marked; /* the record that is marked then */
	} steps[] = {{true, 0}, {true, 0}, {false, 2}, {true, 2}, {false, 4}};
	struct scenario s;
	struct outbox out = {0};
	struct task task;

	scenario_of(&s, 0, 7);
	task_start(&task, &s.params, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct input_record record = kit_log_record(&s.log, i),
				    marked = kit_log_record(&s.log, steps[i].marked);
		struct record_mark want = record_mark_of(marked.offset, marked.timestamp_ms,
		                                         marked.key, marked.value);

		record.followed = steps[i].followed;
		task_apply(&task, &record, &out);
		cr_assert(record_mark_equal(&task.last, &want), "after record %zu", i);
	}
	task_free(&task);
	outbox_free(&out);
	scenario_free(&s);
}

Test(task, metadata_of_older_versions_without_a_record_mark_is_read)
{
	struct scenario s;
	struct commit commit;
	char old[TASK_METADATA_MAX], next[TASK_METADATA_MAX];
	struct task task;
	struct err err = {0};

	some_commit(&s, &commit);
	with_mark(&commit, "", old);
	cr_assert_null(strstr(old, " f="));
	cr_assert(task_resume(&task, &s.params, commit.committed, span_of(old), &err), "%s",
	          err.message);
	cr_assert_eq(task.last.offset, -1);
	task_free(&task);
	memcpy(commit.metadata, old, sizeof(old));
	restart(&s, &commit, &task); /* the restore marks the records that it folds */
	cr_assert_eq(task.last.offset, s.log.offsets[299]);
	cr_assert(task_metadata(&task, next, &err), "%s", err.message);
	cr_assert_not_null(strstr(next, " f="));
	task_free(&task);
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, an_invalid_mark_is_refused)
{
	static const char *const marks[] = {"1,2",
	                                    "1,2,",
	                                    "-1,2,00112233445566ff",
	                                    "1,2,00112233445566f",
	                                    "1,2,00112233445566ff0",
	                                    "1,2,00112233445566FF",
	                                    "x"};
	struct scenario s;
	struct commit commit;
	char text[TASK_METADATA_MAX], beyond[RECORD_MARK_TEXT_MAX];

	some_commit(&s, &commit);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		with_mark(&commit, marks[i], text);
		expect_refusal(&s.params, commit.committed, span_of(text), "cannot be read",
		               marks[i]);
	}
	snprintf(beyond, sizeof(beyond), "%" PRId64 ",0,00112233445566ff", commit.committed);
	with_mark(&commit, beyond, text);
	expect_refusal(&s.params, commit.committed, span_of(text), "last record",
	               "a mark at the committed offset");
	commit_free(&commit);
	scenario_free(&s);
}

Test(task, metadata_fits_with_128_sources_and_all_reasons_counted)
{
	struct merge_fold_config config = {kit_context(), MERGE_SOURCES_MAX, 10 * US_PER_MINUTE};
	struct task_params params = {
		&merge_fold_ops,
		&config,
		0,
		128,
		"stages=view,cart,purchase,disorder_us=5000000,grace_us=600000000",
		8,
		NULL};
	char metadata[TASK_METADATA_MAX];
	struct task task, again;
	struct outbox box = {0};
	struct err err = {0};

	task_start(&task, &params, 0);
	for (int32_t p = 0; p < MERGE_SOURCES_MAX; p++) {
		struct partial progress = {.rollup = SPAN(""),
		                           .group_value = SPAN(""),
		                           .source_partition = p,
		                           .watermark_us = INT64_C(4000000000000000) + p};
		struct buffer value = {0};
		struct input_record record = {.offset = INT64_C(900000000000) + p};

		partial_encode(&value, 16, &progress);
		record.value = (struct span){value.at, value.len};
		record.body = (struct span){value.at + FRAME_BYTES, value.len - FRAME_BYTES};
		task_apply(&task, &record, &box);
		buffer_free(&value);
	}
	for (int r = 1; r < REASON_COUNT; r++)
		task.counts.dead[r] = 999;
	for (int i = 0; i < EVENT_FIELD_COUNT; i++)
		task.counts.unreadable[i] = 999;
	task.counts.duplicates_other_price = 999;
	cr_assert(task_metadata(&task, metadata, &err), "%s", err.message);
	cr_assert(strlen(metadata) < TASK_METADATA_MAX);
	cr_assert(task_resume(&again, &params, task.position, span_of(metadata), &err), "%s",
	          err.message);
	cr_assert_arr_eq(&again.counts, &task.counts, sizeof(task.counts));
	task_free(&task);
	task_free(&again);
	outbox_free(&box);
}

Test(task, metadata_that_does_not_fit_is_an_error_and_not_cut)
{
	struct scenario s;
	struct commit commit;
	struct task task;
	struct err err = {0};

	some_commit(&s, &commit);
	restart(&s, &commit, &task);
	task_at_end(&task, commit.committed);
	for (int r = 1; r < REASON_COUNT; r++)
		task.counts.dead[r] =
			INT64_MAX / 2; /* the largest valid count; as many digits as INT64_MAX */
	for (int i = 0; i < EVENT_FIELD_COUNT; i++)
		task.counts.unreadable[i] = INT64_MAX / 2;
	if (task_metadata(&task, commit.metadata, &err)) { /* if it fits, it must be readable */
		struct task again;

		cr_assert(task_resume(&again, &s.params, task.position, span_of(commit.metadata),
		                      &err),
		          "%s", err.message);
		cr_assert_arr_eq(&again.committed_counts, &task.counts, sizeof(task.counts));
		task_free(&again);
	} else {
		cr_assert_eq(err.class, ERR_OPERATOR);
	}
	task_free(&task);
	commit_free(&commit);
	scenario_free(&s);
}

/* ---- records that the registry makes unreadable */

#define STRAYS_EVERY  11
#define STRAY_COMMITS 12

/* The record i. Every eleventh is a stray record from the start. `lost` was read before, and is
 * refused now. */
static struct input_record record_under_schemas(const struct scenario *s, size_t i, size_t lost)
{
	static const enum reason reasons[] = {REASON_UNKNOWN_SCHEMA_ID, REASON_WRONG_SCHEMA,
	                                      REASON_MALFORMED_AVRO};
	struct input_record record = kit_log_record(&s->log, i);

	if (record.value.at && (i % STRAYS_EVERY == 5 || i == lost))
		record.refused = reasons[i % 3];
	return record;
}

static void commits_with_strays(const struct scenario *s, struct commit commits[STRAY_COMMITS])
{
	struct outbox box = {0};
	struct task task;
	size_t each = RECORDS / STRAY_COMMITS;

	task_start(&task, &s->params, 0);
	for (size_t c = 0; c < STRAY_COMMITS; c++) {
		for (size_t i = c * each; i < (c + 1) * each; i++) {
			struct input_record record = record_under_schemas(s, i, SIZE_MAX);

			task_apply(&task, &record, &box);
			cr_assert_not(task_lost_records(&task),
			              "%s: only a restore can lose records", s->label);
		}
		do_commit(s, &task, &box, false, (c + 1) * each, false, &commits[c]);
	}
	task_free(&task);
	outbox_free(&box);
}

/* Whether a restore notices the loss. *from, *to: the records that it reads. Leaves the restored
 * task. */
static bool rebuild_notices(const struct scenario *s, const struct commit *commit, size_t lost,
                            size_t *from, size_t *to, struct task *task)
{
	struct err err = {0};
	bool noticed = false;

	cr_assert(task_resume(task, &s->params, commit->committed, span_of(commit->metadata), &err),
	          "%s: %s", s->label, err.message);
	*to = commit->next;
	*from = 0;
	while (*from < *to && s->log.offsets[*from] < task->position)
		++*from;
	for (size_t i = *from; i < *to; i++) {
		struct input_record record = record_under_schemas(s, i, lost);

		task_apply(task, &record, NULL);
		noticed = noticed || task_lost_records(task);
	}
	task_at_end(task, commit->committed);
	return noticed;
}

Test(task, a_restore_ignores_strays_and_notices_every_lost_record)
{
	for (int which = 0; which < 4; which++) {
		struct commit commits[STRAY_COMMITS];
		struct scenario s;
		size_t from, to, ignored_from, ignored_to;
		int read = 0;

		scenario_of(&s, which, 31);
		commits_with_strays(&s, commits);
		for (size_t c = 0; c < STRAY_COMMITS; c++) {
			struct task task;

			cr_assert_not(rebuild_notices(&s, &commits[c], SIZE_MAX, &from, &to, &task),
			              "%s, commit %zu: a stray ends it", s.label, c);
			task_free(&task);
			for (size_t lost = from; lost < to; lost += 3) {
				if (!kit_log_record(&s.log, lost).value.at ||
				    lost % STRAYS_EVERY == 5)
					continue;
				read++;
				cr_assert(rebuild_notices(&s, &commits[c], lost, &ignored_from,
				                          &ignored_to, &task),
				          "%s, commit %zu: record %zu is dropped without a word",
				          s.label, c, lost);
				task_free(&task);
			}
			commit_free(&commits[c]);
		}
		cr_assert(read > 100, "%s: only %d records were tried", s.label, read);
		scenario_free(&s);
	}
}

/* After a restore, the number is correct for the next restore. */
Test(task, a_restore_after_a_restore_notices_the_same)
{
	struct commit commits[STRAY_COMMITS], again;
	struct outbox box = {0};
	struct scenario s;
	struct task task;
	size_t from, to;

	scenario_of(&s, 1, 32);
	commits_with_strays(&s, commits);
	cr_assert_not(
		rebuild_notices(&s, &commits[STRAY_COMMITS - 1], SIZE_MAX, &from, &to, &task));
	do_commit(&s, &task, &box, false, to, false, &again);
	task_free(&task);
	cr_assert_not(rebuild_notices(&s, &again, SIZE_MAX, &from, &to, &task));
	task_free(&task);
	cr_assert(rebuild_notices(&s, &again, to - 1 - ((to - 1) % STRAYS_EVERY == 5), &from, &to,
	                          &task));
	task_free(&task);
	commit_free(&again);
	for (size_t c = 0; c < STRAY_COMMITS; c++)
		commit_free(&commits[c]);
	outbox_free(&box);
	scenario_free(&s);
}

static void without_field(char metadata[TASK_METADATA_MAX], const char *key)
{
	char *from = strstr(metadata, key), *end;

	cr_assert(from != NULL);
	end = strchr(from + 1, ' ');
	memmove(from, end, strlen(end) + 1);
	end = strrchr(metadata, ' ');
	snprintf(end, TASK_METADATA_MAX - (size_t)(end - metadata), " x=%08" PRIx32,
	         XXH32(metadata, (size_t)(end - metadata), 0));
}

Test(task, a_restore_from_metadata_without_the_number_still_notices_a_loss)
{
	struct scenario s;
	struct commit commit;
	struct task task;
	size_t from, to, lost;

	some_commit(&s, &commit);
	without_field(commit.metadata, " u=");
	cr_assert_not(strstr(commit.metadata, " u="));
	for (lost = commit.next - 1; !kit_log_record(&s.log, lost).value.at;)
		lost--;
	cr_assert(rebuild_notices(&s, &commit, lost, &from, &to, &task),
	          "nothing was refused before it, and now something is");
	task_free(&task);
	commit_free(&commit);
	scenario_free(&s);
}

/* ---- deliveries and progress */

Test(task, delivery_before_position_is_discarded_and_counted)
{
	struct scenario s;
	struct task task;
	struct outbox box = {0};
	struct buffer before = {0}, after = {0};
	size_t outputs;

	scenario_of(&s, 0, 9);
	task_start(&task, &s.params, 0);
	for (size_t i = 0; i < 100; i++) {
		struct input_record record = kit_log_record(&s.log, i);

		task_apply(&task, &record, &box);
	}
	outputs = box.count;
	s.params.ops->dump(task.fold, &before);
	for (size_t i = 40; i < 100; i++) {
		struct input_record record = kit_log_record(&s.log, i);

		task_apply(&task, &record, &box);
	}
	s.params.ops->dump(task.fold, &after);
	cr_assert_eq(task.stale_count, 60);
	cr_assert_eq(box.count, outputs);
	cr_assert(before.len == after.len && memcmp(before.at, after.at, before.len) == 0);
	buffer_free(&before);
	buffer_free(&after);
	outbox_free(&box);
	task_free(&task);
	scenario_free(&s);
}

Test(task, end_of_the_partition_moves_past_markers_and_never_back)
{
	struct scenario s;
	struct task task;

	scenario_of(&s, 0, 10);
	task_start(&task, &s.params, 5);
	cr_assert_eq(task.position, 5);
	task_at_end(&task, 9);
	cr_assert_eq(task.position, 9);
	task_at_end(&task, 7);
	cr_assert_eq(task.position, 9);
	cr_assert_eq(task_restore_from(&task), 9, "an idle task has nothing to read again");
	task_free(&task);
	scenario_free(&s);
}

/* On a long input, a restart reads at most the records that it needs, and two blocks. */
static void expect_bounded_replay(const struct scenario *s, int64_t horizon_us,
                                  const int64_t *times_us, int64_t block_records)
{
	struct outbox box = {0};
	struct task task;
	size_t count = s->log.bytes.count, oldest = 0;
	int64_t before = 0, front_us = INT64_MIN;

	task_start(&task, &s->params, 0);
	for (size_t i = 0; i < count; i++) {
		struct input_record record = kit_log_record(&s->log, i);

		task_apply(&task, &record, &box);
		if (times_us[i] > front_us)
			front_us = times_us[i];
		if (i % 100 || i < count / 2)
			continue;
		task_flush(&task, &box);
		task_committed(&task);
		outbox_clear(&box);
		cr_assert(task_restore_from(&task) >= before, "%s: restore_from went back",
		          s->label);
		before = task_restore_from(&task);
		while (times_us[oldest] < front_us - horizon_us)
			oldest++;
		cr_assert(before >= s->log.offsets[oldest] - 4 * block_records,
		          "%s at record %zu: a restart reads from %" PRId64
		          ", what matters begins at %" PRId64,
		          s->label, i, before, s->log.offsets[oldest]);
	}
	cr_assert(before > s->log.offsets[count / 4],
	          "%s: restore_from stands at %" PRId64 " of %" PRId64, s->label, before,
	          s->log.offsets[count - 1]);
	cr_assert(task.block_count < count / (size_t)block_records * 3 / 4,
	          "%s: %zu blocks are kept", s->label, task.block_count);
	outbox_free(&box);
	task_free(&task);
}

/* The loop deletes records of internal topics before it. */
static void expect_restore_from_never_goes_back(int which, uint64_t seed)
{
	struct outbox box = {0};
	struct scenario s;
	struct task task;
	int64_t before = 0;

	scenario_of(&s, which, seed);
	task_start(&task, &s.params, 0);
	for (size_t i = 0; i < s.log.bytes.count; i++) {
		struct input_record record = kit_log_record(&s.log, i);

		task_apply(&task, &record, &box);
		task_flush(&task, &box);
		task_committed(&task);
		outbox_clear(&box);
		cr_assert(task_restore_from(&task) >= before,
		          "%s, seed %" PRIu64 ": restore_from went back from %" PRId64
		          " to %" PRId64,
		          s.label, seed, before, task_restore_from(&task));
		before = task_restore_from(&task);
	}
	outbox_free(&box);
	task_free(&task);
	scenario_free(&s);
}

Test(task, restore_from_never_goes_back_if_every_record_is_committed)
{
	for (int which = 0; which < 3; which++)
		for (uint64_t seed = 1; seed <= 10; seed++)
			expect_restore_from_never_goes_back(which, seed);
}

Test(task, restore_from_moves_forward_over_14_days_in_bronze_and_bounds_the_replay)
{
	struct scenario s;
	size_t count = 20000;
	int64_t *times_us = xrealloc(NULL, count * sizeof(*times_us)), front_us = KIT_DAY0_US;
	struct rng rng = {17};

	scenario_bronze(&s, 1, 1, US_PER_MINUTE, 7 * US_PER_DAY);
	kit_log_free(&s.log);
	s.log = (struct kit_log){0};
	for (size_t i = 0; i < count; i++) {
		times_us[i] = kit_next_time(&rng, &front_us, 2 * US_PER_MINUTE);
		raw_event(&s.log, &rng, (int64_t)i, times_us[i]);
	}
	cr_assert(front_us > KIT_DAY0_US + 13 * US_PER_DAY);
	s.params.block_records = 64;
	expect_bounded_replay(
		&s, 7 * US_PER_DAY + 4 * US_PER_HOUR, times_us,
		64); /* blocks have events of up to 3 h ago; the clock lags a little */
	free(times_us);
	scenario_free(&s);
}

Test(task, restore_from_moves_forward_over_4_days_in_the_session_half_and_bounds_the_replay)
{
	struct scenario s;
	size_t count = 12000;
	int64_t *times_us;

	scenario_session(&s, 18, count, US_PER_MINUTE, 0, "1m:all 1h:category 1d:all");
	cr_assert_eq(s.pipe.event_count, count);
	times_us = xrealloc(NULL, (count + 1) * sizeof(*times_us));
	for (size_t i = 0; i < count; i++)
		times_us[i] = s.pipe.events[i].bronze.event.event_time_us;
	cr_assert(times_us[count - 1] > KIT_DAY0_US + 4 * US_PER_DAY);
	s.log.bytes.count = count; /* without the control at its end */
	s.params.block_records = 64;
	expect_bounded_replay(&s, US_PER_DAY + 4 * US_PER_HOUR, times_us, 64);
	free(times_us);
	scenario_free(&s);
}
