/* A partial is an absolute value. It replaces the former contribution of its source to the total.
 * The total is then summed again, because nothing can be subtracted from a sum that stops at
 * INT64_MAX.
 *
 * Final totals. Each source sends its watermark in progress records. A progress record comes after
 * the partials of the same transaction, so a watermark never arrives before the partials that it
 * covers. The combined watermark is the lowest watermark of the sources that are not idle. If all
 * are idle, it is the highest. A total becomes final when the combined watermark passes the
 * window's end + grace. A partial of an idle source makes the source active. A partial for a final
 * total makes the total not final again, with a newer revision.
 *
 * Only complete windows are emitted. A window is complete if every source counts its rollup and
 * began to do so at or before the start of the window (rollup_sources.h). Totals of other windows
 * are suppressed. If such a total was emitted before, that row stays as it is and never becomes
 * final.
 *
 * Limit: a source partition that never has data has no watermark. It keeps all totals in memory,
 * and keeps added rollups suppressed. The producer avoids this: it sends its `begin` to all
 * partitions, which gives each of them a clock. */
#include "merge_fold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/interner.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"
#include "base/u64_map.h"
#include "event/event.h"
#include "event/reason.h"
#include "open_windows.h"
#include "rollup_sources.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "wire/record_keys.h"
#include "wire/records_aggregate.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "wire/schemas.h"
#include "wire/topics.h"

#define DISCARD_RECORDS 8192 /* a restore discards changes each time it has applied this many */
#define WINDOW_BUCKETS  4096 /* a power of two */

struct source {
	int64_t watermark_us; /* INT64_MIN: none received */
	bool idle;
};

#define NO_CONTRIBUTION UINT32_MAX

struct contribution {
	uint32_t next; /* of the same total; or NO_CONTRIBUTION */
	int32_t source;
	struct measures measures;
};

struct total {
	struct measures measures;
	int64_t revision;
	uint32_t from; /* index of the newest contribution in the window */
	uint32_t group;
	bool final, changed;
	bool suppressed; /* its last change was not emitted: the window was not complete */
};

struct merge_window {
	struct merge_window *next; /* in its bucket */
	struct window bounds;
	uint32_t rollup; /* id in rollup_ids */
	uint32_t total_count, total_capacity, not_final_count;
	struct u64_map total_of_group;
	struct total *totals;
	struct contribution *contributions; /* of all totals */
	uint32_t contribution_count, contribution_capacity;
};

struct changed_total {
	struct merge_window *window;
	uint32_t total; /* index in the window */
};

struct merge_fold {
	const struct merge_fold_config *config;
	struct source sources[MERGE_SOURCES_MAX];
	struct rollup_sources rollup_sources;
	struct interner rollup_ids, groups;
	int64_t keep_from_us;
	struct merge_window **windows;
	uint32_t window_count, window_capacity;
	/* The same windows by bounds and rollup: a backlog has thousands of them. */
	struct merge_window *buckets[WINDOW_BUCKETS];
	struct changed_total *changed;
	uint32_t changed_count, changed_capacity;
	uint32_t undiscarded_records; /* applied by a restore since the last discard_changes */
	struct buffer value;
};

static void *fold_new(const void *config, int32_t partition)
{
	struct merge_fold *fold = xrealloc(NULL, sizeof(*fold));

	(void)partition;
	*fold = (struct merge_fold){.config = config, .keep_from_us = INT64_MIN};
	for (int32_t i = 0; i < MERGE_SOURCES_MAX; i++)
		fold->sources[i] = (struct source){INT64_MIN, false};
	rollup_sources_init(&fold->rollup_sources, fold->config->source_count);
	return fold;
}

static struct merge_window **bucket_of(struct merge_fold *fold, uint32_t rollup,
                                       struct window bounds)
{
	return &fold->buckets[mix64((uint64_t)bounds.start_us ^
	                            mix64((uint64_t)bounds.end_us + rollup)) &
	                      (WINDOW_BUCKETS - 1)];
}

static void merge_window_free(struct merge_window *window)
{
	free(window->totals);
	free(window->contributions);
	u64_map_free(&window->total_of_group);
	free(window);
}

static void fold_free(void *state)
{
	struct merge_fold *fold = state;

	for (uint32_t i = 0; i < fold->window_count; i++)
		merge_window_free(fold->windows[i]);
	free(fold->windows);
	free(fold->changed);
	interner_free(&fold->rollup_ids);
	interner_free(&fold->groups);
	buffer_free(&fold->value);
	free(fold);
}

/* ---- time */

/* The lowest watermark of all sources, idle or not. INT64_MIN if a source has none. */
static int64_t lowest_watermark(const struct merge_fold *fold)
{
	int64_t lowest_us = INT64_MAX;

	for (int32_t i = 0; i < fold->config->source_count; i++)
		if (fold->sources[i].watermark_us < lowest_us)
			lowest_us = fold->sources[i].watermark_us;
	return lowest_us;
}

/* INT64_MIN if a source that is not idle has no watermark. */
static int64_t combined_watermark(const struct merge_fold *fold)
{
	int64_t lowest_us = INT64_MAX, highest_us = INT64_MIN;

	for (int32_t i = 0; i < fold->config->source_count; i++) {
		const struct source *source = &fold->sources[i];

		if (!source->idle && source->watermark_us < lowest_us)
			lowest_us = source->watermark_us;
		if (source->watermark_us > highest_us)
			highest_us = source->watermark_us;
	}
	return lowest_us == INT64_MAX ? highest_us : lowest_us;
}

static int64_t fold_horizon(const void *state)
{
	const struct merge_fold *fold = state;
	int64_t lowest_us = lowest_watermark(fold);

	return lowest_us == INT64_MIN ? INT64_MIN : lowest_us - fold->config->grace_us + 1;
}

/* Whether a watermark has passed the end + grace of a window. */
static bool is_passed(const struct merge_fold *fold, int64_t window_end_us, int64_t watermark_us)
{
	return watermark_us != INT64_MIN && window_end_us + fold->config->grace_us <= watermark_us;
}

static bool is_complete(const struct merge_fold *fold, const struct merge_window *window)
{
	return rollup_sources_complete(&fold->rollup_sources, window->rollup,
	                               window->bounds.start_us);
}

/* ---- records */

static void mark_changed(struct merge_fold *fold, struct merge_window *window, uint32_t number)
{
	if (window->totals[number].changed)
		return;
	window->totals[number].changed = true;
	GROW(fold->changed, fold->changed_count, fold->changed_capacity);
	fold->changed[fold->changed_count++] = (struct changed_total){window, number};
}

static void finalise(struct merge_fold *fold)
{
	int64_t combined_us = combined_watermark(fold);

	for (uint32_t i = 0; i < fold->window_count; i++) {
		struct merge_window *window = fold->windows[i];

		if (!window->not_final_count ||
		    !is_passed(fold, window->bounds.end_us, combined_us) ||
		    !is_complete(fold, window))
			continue;
		for (uint32_t t = 0; t < window->total_count; t++) {
			if (window->totals[t].final)
				continue;
			window->totals[t].final = true;
			mark_changed(fold, window, t);
		}
		window->not_final_count = 0;
	}
}

static struct merge_window *find_window(struct merge_fold *fold, const struct partial *partial)
{
	uint32_t rollup = rollup_id(&fold->rollup_ids, partial->rollup);
	struct window bounds = {partial->window_start_us, partial->window_end_us};
	struct merge_window **bucket = bucket_of(fold, rollup, bounds), *window;

	for (window = *bucket; window; window = window->next)
		if (window->rollup == rollup && window->bounds.start_us == bounds.start_us &&
		    window->bounds.end_us == bounds.end_us)
			return window;
	window = xrealloc(NULL, sizeof(*window));
	*window = (struct merge_window){.next = *bucket, .bounds = bounds, .rollup = rollup};
	GROW(fold->windows, fold->window_count, fold->window_capacity);
	fold->windows[fold->window_count++] = window;
	return *bucket = window;
}

static struct contribution *contribution_of(struct merge_window *window, struct total *total,
                                            int32_t source)
{
	uint32_t number = total->from;

	while (number != NO_CONTRIBUTION && window->contributions[number].source != source)
		number = window->contributions[number].next;
	if (number == NO_CONTRIBUTION) {
		GROW(window->contributions, window->contribution_count,
		     window->contribution_capacity);
		number = window->contribution_count++;
		window->contributions[number] =
			(struct contribution){.next = total->from, .source = source};
		total->from = number;
	}
	return &window->contributions[number];
}

static void add_partial(struct merge_fold *fold, const struct partial *partial, int64_t offset)
{
	struct merge_window *window = find_window(fold, partial);
	uint32_t group = interner_put(&fold->groups, partial->group_value, partial->window_end_us,
	                              fold->keep_from_us);
	bool added;
	uint32_t number = u64_map_put(&window->total_of_group, group, window->total_count, &added);
	struct total *total;

	if (added) {
		GROW(window->totals, window->total_count, window->total_capacity);
		window->totals[window->total_count++] =
			(struct total){.from = NO_CONTRIBUTION, .group = group, .final = true};
	}
	total = &window->totals[number];
	contribution_of(window, total, partial->source_partition)->measures = partial->measures;
	total->measures = (struct measures){0};
	for (uint32_t i = total->from; i != NO_CONTRIBUTION; i = window->contributions[i].next)
		measures_add(&total->measures, &window->contributions[i].measures);
	total->revision = offset;
	window->not_final_count += total->final;
	total->final = false;
	mark_changed(fold, window, number);
}

/* Emits the suppressed totals of windows that an announcement has made complete. */
static void emit_completed(struct merge_fold *fold)
{
	for (uint32_t i = 0; i < fold->window_count; i++) {
		struct merge_window *window = fold->windows[i];

		for (uint32_t t = 0; t < window->total_count; t++)
			if (window->totals[t].suppressed && is_complete(fold, window))
				mark_changed(fold, window, t);
	}
	finalise(fold);
}

static enum reason take_announcement(struct merge_fold *fold, const struct input_record *record,
                                     const char **why)
{
	int64_t source;

	*why = "invalid header source_partition";
	if (!number_parse_span(record_header(record, "source_partition"),
	                       fold->config->source_count - 1, &source))
		return REASON_INVALID_CONTROL;
	*why = "invalid header since";
	if (!rollup_sources_announce(&fold->rollup_sources, &fold->rollup_ids, (int32_t)source,
	                             record_header(record, "since")))
		return REASON_INVALID_CONTROL;
	emit_completed(fold);
	return REASON_NONE;
}

static void unlink_window(struct merge_fold *fold, const struct merge_window *window)
{
	struct merge_window **at = bucket_of(fold, window->rollup, window->bounds);

	while (*at != window)
		at = &(*at)->next;
	*at = window->next;
}

static void drop_passed(struct merge_fold *fold)
{
	int64_t lowest_us = lowest_watermark(fold);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fold->window_count; i++) {
		struct merge_window *window = fold->windows[i];

		if (!is_passed(fold, window->bounds.end_us, lowest_us)) {
			fold->windows[kept++] = window;
			continue;
		}
		unlink_window(fold, window);
		merge_window_free(window);
	}
	fold->window_count = kept;
	fold->keep_from_us =
		lowest_us == INT64_MIN ? INT64_MIN : lowest_us - fold->config->grace_us;
}

static void discard_changes(struct merge_fold *fold)
{
	for (uint32_t i = 0; i < fold->changed_count; i++) {
		struct total *total = &fold->changed[i].window->totals[fold->changed[i].total];

		total->changed = false;
		total->suppressed = !is_complete(fold, fold->changed[i].window);
	}
	fold->changed_count = 0;
	drop_passed(fold);
	fold->undiscarded_records = 0;
}

static int64_t fold_apply(void *state, const struct input_record *record, struct counts *counts,
                          struct outbox *out)
{
	struct merge_fold *fold = state;
	enum reason reason = record->refused;
	const char *why = record->detail;
	struct partial partial;

	if (!out && ++fold->undiscarded_records >= DISCARD_RECORDS)
		discard_changes(fold);
	if (reason == REASON_NONE && !record->value.at &&
	    span_is(record_header(record, "control"), CONTROL_ROLLUPS)) {
		reason = take_announcement(fold, record, &why);
		if (reason == REASON_NONE)
			return FOLD_NOTHING;
	}
	if (reason == REASON_NONE && !record->value.at)
		reason = REASON_NULL_VALUE;
	if (reason == REASON_NONE && !partial_decode(record->body, &partial, &why))
		reason = REASON_MALFORMED_AVRO;
	if (reason == REASON_NONE && (partial.source_partition < 0 ||
	                              partial.source_partition >= fold->config->source_count)) {
		reason = REASON_WRONG_PARTITION;
		why = "source_partition is not a partition of bronze_events";
	}
	if (reason == REASON_NONE && partial.rollup.len == 0) {
		fold->sources[partial.source_partition] =
			(struct source){partial.watermark_us, partial.idle};
		finalise(fold);
		return FOLD_NOTHING;
	}
	if (reason == REASON_NONE && is_passed(fold, partial.window_end_us, lowest_watermark(fold)))
		reason = REASON_LATE_PARTIAL;
	if (reason != REASON_NONE) {
		output_dead_letter(out, fold->config->outputs, record, reason, why, false, counts);
		return FOLD_NOTHING;
	}
	fold->sources[partial.source_partition].idle = false;
	add_partial(fold, &partial, record->offset);
	return partial.window_end_us;
}

/* ---- output */

static void emit_total(struct merge_fold *fold, const struct changed_total *changed,
                       struct outbox *out)
{
	const struct merge_window *window = changed->window;
	struct total *total = &changed->window->totals[changed->total];
	struct aggregate aggregate = {
		.rollup = interner_text(&fold->rollup_ids, window->rollup),
		.group_value = interner_text(&fold->groups, total->group),
		.window_start_us = window->bounds.start_us,
		.window_end_us = window->bounds.end_us,
		.measures = total->measures,
		.revision = total->revision,
		.final = total->final,
	};
	char key[RECORD_KEY_MAX];
	struct span key_span = {key,
	                        aggregate_key(aggregate.rollup, aggregate.window_start_us,
	                                      aggregate.window_end_us, aggregate.group_value, key)};

	fold->value.len = 0;
	aggregate_encode(&fold->value, fold->config->outputs->schema_id[SCHEMA_AGGREGATE],
	                 &aggregate);
	output_keyed(out, fold->config->outputs, TOPIC_AGGREGATED_EVENTS, key_span, key_span,
	             (struct span){fold->value.at, fold->value.len});
}

static void fold_flush(void *state, struct outbox *out)
{
	struct merge_fold *fold = state;

	for (uint32_t i = 0; i < fold->changed_count; i++) {
		struct total *total = &fold->changed[i].window->totals[fold->changed[i].total];

		total->changed = false;
		total->suppressed = !is_complete(fold, fold->changed[i].window);
		if (!total->suppressed)
			emit_total(fold, &fold->changed[i], out);
	}
	fold->changed_count = 0;
	drop_passed(fold);
}

/* The state does not say whether earlier commits emitted a total whose window is not complete now.
 * So such a total counts as suppressed. To emit it a second time is harmless. */
static void fold_restored(void *state)
{
	struct merge_fold *fold = state;

	discard_changes(fold);
	for (uint32_t i = 0; i < fold->window_count; i++)
		for (uint32_t t = 0; t < fold->windows[i]->total_count; t++)
			fold->windows[i]->totals[t].suppressed =
				!is_complete(fold, fold->windows[i]);
}

/* ---- snapshot and restore
 *
 * The snapshot has, for each source, its watermark (hexadecimal, '-' if it has none) and '!' if it
 * is idle, else '.'. A comma stands between sources. The text of rollup_sources.h follows. */

static size_t fold_snapshot(const void *state, char out[FOLD_SNAPSHOT_MAX])
{
	const struct merge_fold *fold = state;
	size_t len = 0;

	for (int32_t i = 0; i < fold->config->source_count; i++) {
		const struct source *source = &fold->sources[i];

		if (source->watermark_us == INT64_MIN)
			len += (size_t)snprintf(out + len, FOLD_SNAPSHOT_MAX - len, "%s-%c",
			                        i ? "," : "", source->idle ? '!' : '.');
		else
			len += (size_t)snprintf(out + len, FOLD_SNAPSHOT_MAX - len,
			                        "%s%" PRIx64 "%c", i ? "," : "",
			                        (uint64_t)source->watermark_us,
			                        source->idle ? '!' : '.');
	}
	return rollup_sources_format(&fold->rollup_sources, &fold->rollup_ids, out, len,
	                             FOLD_SNAPSHOT_MAX);
}

/* A source takes 15 bytes: 13 digits, its flag and a comma. A rollup is |name@start=set, and its
 * start has 10 digits. A set has one digit for 4 sources. */
bool merge_fold_fits(int32_t source_count, const struct rollup_list *rollups, struct err *err)
{
	size_t set_len = ((size_t)source_count + 3) / 4, list_len = 0, len;

	for (int i = 0; i < rollups->count; i++)
		list_len += strlen(rollups->at[i].name) + 13 + set_len;
	len = (size_t)source_count * 15 + 1 + set_len + 2 * list_len;
	if (len + 1 < FOLD_SNAPSHOT_MAX)
		return true;
	return err_set(err, ERR_OPERATOR,
	               "ROLLUPS has %d rollups and bronze_events has %" PRId32
	               " partitions: while such a list changes, restore metadata would need up to "
	               "%zu bytes, and has room for %d; name fewer rollups, or process into a set "
	               "with fewer partitions (another TOPIC_PREFIX)",
	               rollups->count, source_count, len, FOLD_SNAPSHOT_MAX - 2);
}

static bool source_parse(const char **at, struct source *source)
{
	size_t digits = strspn(*at, "0123456789abcdef");
	const char *end = *at + digits;

	if (digits > 16 || (digits == 0 && *end++ != '-'))
		return false;
	source->watermark_us = digits ? (int64_t)strtoull(*at, NULL, 16) : INT64_MIN;
	if ((*end != '!' && *end != '.') || !watermark_is_possible(source->watermark_us))
		return false;
	source->idle = *end == '!';
	*at = end + 1;
	return true;
}

static bool fold_restore_snapshot(void *state, struct span snapshot, struct err *err)
{
	struct merge_fold *fold = state;
	const char *at = snapshot.at, *end = snapshot.at + snapshot.len;
	int32_t count = 0;

	while (count < fold->config->source_count && at < end &&
	       source_parse(&at, &fold->sources[count])) {
		count++;
		at += count < fold->config->source_count && *at == ',';
	}
	if (count == fold->config->source_count &&
	    rollup_sources_parse(&fold->rollup_sources, &fold->rollup_ids, at, end))
		return true;
	return err_set(err, ERR_OPERATOR,
	               "restore metadata '%.*s' is not that of %" PRId32
	               " source partitions: the number of partitions of bronze_events is fixed for "
	               "the life of a set; process into a fresh set (another TOPIC_PREFIX)",
	               (int)(snapshot.len < 40 ? snapshot.len : 40), snapshot.at,
	               fold->config->source_count);
}

/* ---- dump */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fold_measure(const void *state, struct fold_measures *out)
{
	const struct merge_fold *fold = state;

	*out = (struct fold_measures){.clock_us = INT64_MIN,
	                              .watermark_us = combined_watermark(fold),
	                              .bytes = sizeof(*fold) + interner_bytes(&fold->groups) +
	                                       interner_bytes(&fold->rollup_ids)};
	for (uint32_t i = 0; i < fold->window_count; i++) {
		const struct merge_window *window = fold->windows[i];

		out->entries += window->total_count;
		out->bytes += sizeof(*window) + window->total_capacity * sizeof(*window->totals) +
		              window->contribution_capacity * sizeof(*window->contributions) +
		              u64_map_bytes(&window->total_of_group);
	}
}

static void fold_dump(const void *state, struct buffer *out)
{
	const struct merge_fold *fold = state;
	char snapshot[FOLD_SNAPSHOT_MAX], line[EVENT_TEXT_MAX + 640], values[400];
	size_t len = fold_snapshot(fold, snapshot), count = 0;
	char **lines = NULL;
	uint32_t capacity = 0;

	buffer_append(out, snapshot, len);
	buffer_append(out, "\n", 1);
	for (uint32_t i = 0; i < fold->window_count; i++) {
		const struct merge_window *window = fold->windows[i];

		for (uint32_t t = 0; t < window->total_count; t++) {
			struct span rollup = interner_text(&fold->rollup_ids, window->rollup),
				    group = interner_text(&fold->groups, window->totals[t].group);

			measures_format(&window->totals[t].measures, values, sizeof(values));
			snprintf(line, sizeof(line),
			         "total %.*s %" PRId64 " %" PRId64 " %.*s %s @%" PRId64 "%s\n",
			         (int)rollup.len, rollup.at, window->bounds.start_us,
			         window->bounds.end_us, (int)group.len, group.at, values,
			         window->totals[t].revision,
			         window->totals[t].final ? " final" : "");
			GROW(lines, count, capacity);
			lines[count++] = strdup(line);
		}
	}
	if (count)
		qsort(lines, count, sizeof(*lines), by_text);
	for (size_t i = 0; i < count; i++) {
		buffer_append(out, lines[i], strlen(lines[i]));
		free(lines[i]);
	}
	free(lines);
}

const struct fold_ops merge_fold_ops = {
	.name = "funnel-aggregator (merge half)",
	.new = fold_new,
	.free = fold_free,
	.apply = fold_apply,
	.flush = fold_flush,
	.restored = fold_restored,
	.horizon = fold_horizon,
	.snapshot = fold_snapshot,
	.restore_snapshot = fold_restore_snapshot,
	.measure = fold_measure,
	.dump = fold_dump,
};
