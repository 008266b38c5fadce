/* A partial is absolute: it takes the place of its source's old contribution, and the total is summed anew, since
 * from a capped sum nothing can be taken out. Sources tell how far they are by progress records; those come after
 * the partials of the same transaction, so a watermark never overtakes what it speaks for.
 *
 * The mark is the lowest watermark of the sources that are not idle; if all are, the furthest
 * one. A partial of an idle source wakes it. After a final mark, a partial makes the total not final again, with a newer
 * revision.
 *
 * Only whole windows are shown: a total of a window that some source has not counted from its start (rollup_sources.h) is withheld, and
 * what was shown of it before stays as it is, never final.
 *
 * Limit: a source partition that never has data keeps every total in memory, and an added rollup from being shown. The producer
 * sends its begin to all partitions, which gives each a clock. */
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
#include "panes.h"
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

#define QUIET_FLUSH_RECORDS 8192
#define PANE_BUCKETS        4096 /* a power of two */

struct source {
	int64_t watermark_us; /* INT64_MIN: none yet */
	bool idle;
};

struct contribution {
	int32_t source;
	struct measures measures;
};

struct total {
	struct measures measures;
	int64_t revision;
	struct contribution *from;
	uint32_t from_count, from_capacity;
	uint32_t group;
	bool final, changed;
	bool withheld; /* its last change was not shown */
};

struct merge_pane {
	struct merge_pane *next; /* in its bucket */
	struct window window;
	uint32_t rollup;                                  /* number in rollup_names */
	uint32_t total_count, total_capacity, open_count; /* open: not final */
	struct u64_map total_of_group;
	struct total *totals;
};

struct changed_total {
	struct merge_pane *pane;
	uint32_t total;
};

struct merge_fold {
	const struct merge_fold_config *config;
	struct source sources[MERGE_SOURCES_MAX];
	struct rollup_sources counting;
	struct interner rollup_names, groups;
	int64_t keep_from_us;
	struct merge_pane **panes;
	uint32_t pane_count, pane_capacity;
	struct merge_pane *buckets
		[PANE_BUCKETS]; /* the same panes by window and rollup: a backlog has thousands open */
	struct changed_total *changed;
	uint32_t changed_count, changed_capacity;
	uint32_t quiet_records;
	struct buffer value;
};

static void *fold_new(const void *config, int32_t partition)
{
	struct merge_fold *fold = xrealloc(NULL, sizeof(*fold));

	(void)partition;
	*fold = (struct merge_fold){.config = config, .keep_from_us = INT64_MIN};
	for (int32_t i = 0; i < MERGE_SOURCES_MAX; i++)
		fold->sources[i] = (struct source){INT64_MIN, false};
	rollup_sources_init(&fold->counting, fold->config->source_count);
	return fold;
}

static struct merge_pane **bucket_of(struct merge_fold *fold, uint32_t rollup, struct window window)
{
	return &fold->buckets[mix64((uint64_t)window.start_us ^
	                            mix64((uint64_t)window.end_us + rollup)) &
	                      (PANE_BUCKETS - 1)];
}

static void merge_pane_free(struct merge_pane *pane)
{
	for (uint32_t i = 0; i < pane->total_count; i++)
		free(pane->totals[i].from);
	free(pane->totals);
	u64_map_free(&pane->total_of_group);
	free(pane);
}

static void fold_free(void *state)
{
	struct merge_fold *fold = state;

	for (uint32_t i = 0; i < fold->pane_count; i++)
		merge_pane_free(fold->panes[i]);
	free(fold->panes);
	free(fold->changed);
	interner_free(&fold->rollup_names);
	interner_free(&fold->groups);
	buffer_free(&fold->value);
	free(fold);
}

/* ---- time */

/* The watermark that all sources have passed, idle or not. */
static int64_t passed_by_all(const struct merge_fold *fold)
{
	int64_t lowest_us = INT64_MAX;

	for (int32_t i = 0; i < fold->config->source_count; i++)
		if (fold->sources[i].watermark_us < lowest_us)
			lowest_us = fold->sources[i].watermark_us;
	return lowest_us;
}

static int64_t mark(const struct merge_fold *fold)
{
	int64_t lowest_us = INT64_MAX, furthest_us = INT64_MIN;

	for (int32_t i = 0; i < fold->config->source_count; i++) {
		const struct source *source = &fold->sources[i];

		if (!source->idle && source->watermark_us < lowest_us)
			lowest_us = source->watermark_us;
		if (source->watermark_us > furthest_us)
			furthest_us = source->watermark_us;
	}
	return lowest_us == INT64_MAX ? furthest_us : lowest_us;
}

static int64_t fold_horizon(const void *state)
{
	const struct merge_fold *fold = state;
	int64_t passed_us = passed_by_all(fold);

	return passed_us == INT64_MIN ? INT64_MIN : passed_us - fold->config->grace_us + 1;
}

static bool is_over(const struct merge_fold *fold, int64_t window_end_us, int64_t watermark_us)
{
	return watermark_us != INT64_MIN && window_end_us + fold->config->grace_us <= watermark_us;
}

static bool is_whole(const struct merge_fold *fold, const struct merge_pane *pane)
{
	return rollup_sources_whole(&fold->counting, pane->rollup, pane->window.start_us);
}

/* ---- records */

static void mark_changed(struct merge_fold *fold, struct merge_pane *pane, uint32_t number)
{
	if (pane->totals[number].changed)
		return;
	pane->totals[number].changed = true;
	GROW(fold->changed, fold->changed_count, fold->changed_capacity);
	fold->changed[fold->changed_count++] = (struct changed_total){pane, number};
}

static void finalise(struct merge_fold *fold)
{
	int64_t mark_us = mark(fold);

	for (uint32_t i = 0; i < fold->pane_count; i++) {
		struct merge_pane *pane = fold->panes[i];

		if (!pane->open_count || !is_over(fold, pane->window.end_us, mark_us) ||
		    !is_whole(fold, pane))
			continue;
		for (uint32_t t = 0; t < pane->total_count; t++) {
			if (pane->totals[t].final)
				continue;
			pane->totals[t].final = true;
			mark_changed(fold, pane, t);
		}
		pane->open_count = 0;
	}
}

static struct merge_pane *find_pane(struct merge_fold *fold, const struct partial *partial)
{
	uint32_t rollup = rollup_number(&fold->rollup_names, partial->rollup);
	struct window window = {partial->window_start_us, partial->window_end_us};
	struct merge_pane **bucket = bucket_of(fold, rollup, window), *pane;

	for (pane = *bucket; pane; pane = pane->next)
		if (pane->rollup == rollup && pane->window.start_us == window.start_us &&
		    pane->window.end_us == window.end_us)
			return pane;
	pane = xrealloc(NULL, sizeof(*pane));
	*pane = (struct merge_pane){.next = *bucket, .window = window, .rollup = rollup};
	GROW(fold->panes, fold->pane_count, fold->pane_capacity);
	fold->panes[fold->pane_count++] = pane;
	return *bucket = pane;
}

static struct contribution *contribution_of(struct total *total, int32_t source)
{
	for (uint32_t i = 0; i < total->from_count; i++)
		if (total->from[i].source == source)
			return &total->from[i];
	if (total->from_count == total->from_capacity) {
		total->from_capacity = total->from_capacity ? total->from_capacity * 2 : 2;
		total->from = xrealloc(total->from, total->from_capacity * sizeof(*total->from));
	}
	total->from[total->from_count] = (struct contribution){.source = source};
	return &total->from[total->from_count++];
}

static void add_partial(struct merge_fold *fold, const struct partial *partial, int64_t offset)
{
	struct merge_pane *pane = find_pane(fold, partial);
	uint32_t group = interner_put(&fold->groups, partial->group_value, partial->window_end_us,
	                              fold->keep_from_us);
	bool added;
	uint32_t number = u64_map_put(&pane->total_of_group, group, pane->total_count, &added);
	struct total *total;

	if (added) {
		GROW(pane->totals, pane->total_count, pane->total_capacity);
		pane->totals[pane->total_count++] = (struct total){.group = group, .final = true};
	}
	total = &pane->totals[number];
	contribution_of(total, partial->source_partition)->measures = partial->measures;
	total->measures = (struct measures){0};
	for (uint32_t i = 0; i < total->from_count; i++)
		measures_add(&total->measures, &total->from[i].measures);
	total->revision = offset;
	pane->open_count += total->final;
	total->final = false;
	mark_changed(fold, pane, number);
}

/* What becomes whole by what a source tells is shown now. */
static void show_withheld(struct merge_fold *fold)
{
	for (uint32_t i = 0; i < fold->pane_count; i++) {
		struct merge_pane *pane = fold->panes[i];

		for (uint32_t t = 0; t < pane->total_count; t++)
			if (pane->totals[t].withheld && is_whole(fold, pane))
				mark_changed(fold, pane, t);
	}
	finalise(fold);
}

static enum reason adopt_rollups(struct merge_fold *fold, const struct input_record *record,
                                 const char **why)
{
	int64_t source;

	*why = "source_partition";
	if (!number_parse_span(record_header(record, "source_partition"),
	                       fold->config->source_count - 1, &source))
		return REASON_INVALID_CONTROL;
	*why = "since";
	if (!rollup_sources_tell(&fold->counting, &fold->rollup_names, (int32_t)source,
	                         record_header(record, "since")))
		return REASON_INVALID_CONTROL;
	show_withheld(fold);
	return REASON_NONE;
}

static void unlink_pane(struct merge_fold *fold, const struct merge_pane *pane)
{
	struct merge_pane **at = bucket_of(fold, pane->rollup, pane->window);

	while (*at != pane)
		at = &(*at)->next;
	*at = pane->next;
}

static void drop_passed(struct merge_fold *fold)
{
	int64_t passed_us = passed_by_all(fold);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fold->pane_count; i++) {
		struct merge_pane *pane = fold->panes[i];

		if (!is_over(fold, pane->window.end_us, passed_us)) {
			fold->panes[kept++] = pane;
			continue;
		}
		unlink_pane(fold, pane);
		merge_pane_free(pane);
	}
	fold->pane_count = kept;
	fold->keep_from_us =
		passed_us == INT64_MIN ? INT64_MIN : passed_us - fold->config->grace_us;
}

static void discard_changes(struct merge_fold *fold)
{
	for (uint32_t i = 0; i < fold->changed_count; i++) {
		struct total *total = &fold->changed[i].pane->totals[fold->changed[i].total];

		total->changed = false;
		total->withheld = !is_whole(fold, fold->changed[i].pane);
	}
	fold->changed_count = 0;
	drop_passed(fold);
	fold->quiet_records = 0;
}

static int64_t fold_apply(void *state, const struct input_record *record, struct counts *counts,
                          struct outbox *out)
{
	struct merge_fold *fold = state;
	enum reason reason = record->refused;
	const char *why = record->detail;
	struct partial partial;

	if (!out && ++fold->quiet_records >= QUIET_FLUSH_RECORDS)
		discard_changes(fold);
	if (reason == REASON_NONE && !record->value.at &&
	    span_is(record_header(record, "control"), CONTROL_ROLLUPS)) {
		reason = adopt_rollups(fold, record, &why);
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
		why = "source_partition is not one of bronze's";
	}
	if (reason == REASON_NONE && partial.rollup.len == 0) {
		fold->sources[partial.source_partition] =
			(struct source){partial.watermark_us, partial.idle};
		finalise(fold);
		return FOLD_NOTHING;
	}
	if (reason == REASON_NONE && is_over(fold, partial.window_end_us, passed_by_all(fold)))
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
	const struct merge_pane *pane = changed->pane;
	struct total *total = &changed->pane->totals[changed->total];
	struct aggregate aggregate = {
		.rollup = interner_text(&fold->rollup_names, pane->rollup),
		.group_value = interner_text(&fold->groups, total->group),
		.window_start_us = pane->window.start_us,
		.window_end_us = pane->window.end_us,
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
		struct total *total = &fold->changed[i].pane->totals[fold->changed[i].total];

		total->changed = false;
		total->withheld = !is_whole(fold, fold->changed[i].pane);
		if (!total->withheld)
			emit_total(fold, &fold->changed[i], out);
	}
	fold->changed_count = 0;
	drop_passed(fold);
}

/* What the commits before have shown of windows that were whole then and are not now cannot be known: to show it again, should they
 * become whole, does no harm. */
static void fold_restored(void *state)
{
	struct merge_fold *fold = state;

	discard_changes(fold);
	for (uint32_t i = 0; i < fold->pane_count; i++)
		for (uint32_t t = 0; t < fold->panes[i]->total_count; t++)
			fold->panes[i]->totals[t].withheld = !is_whole(fold, fold->panes[i]);
}

/* ---- rebuild: every source's watermark and idle flag, hexadecimal or '-' for none, then '!' for idle or '.'; then what rollup_sources
 * has to say */

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
	return rollup_sources_format(&fold->counting, &fold->rollup_names, out, len,
	                             FOLD_SNAPSHOT_MAX);
}

/* A source is 13 digits, its flag and a comma; a rollup is |name@start=set with a start of 10 digits; a set has a digit for four
 * sources. */
bool merge_fold_fits(int32_t source_count, const struct rollup_list *rollups, struct err *err)
{
	size_t set_len = ((size_t)source_count + 3) / 4, list_len = 0, len;

	for (int i = 0; i < rollups->count; i++)
		list_len += strlen(rollups->at[i].name) + 13 + set_len;
	len = (size_t)source_count * 15 + 1 + set_len + 2 * list_len;
	return len + 1 < FOLD_SNAPSHOT_MAX ||
	       err_set(err, ERR_OPERATOR,
	               "ROLLUPS names %d rollups and bronze_events has %" PRId32
	               " partitions: while such a list changes, restore metadata takes up "
	               "to %zu bytes, and at most %d are kept; name fewer rollups, or process into a set with fewer partitions (another TOPIC_PREFIX)",
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

static bool fold_restore_snapshot(void *state, struct span header, struct err *err)
{
	struct merge_fold *fold = state;
	const char *at = header.at, *end = header.at + header.len;
	int32_t count = 0;

	while (count < fold->config->source_count && at < end &&
	       source_parse(&at, &fold->sources[count])) {
		count++;
		at += count < fold->config->source_count && *at == ',';
	}
	return (count == fold->config->source_count &&
	        rollup_sources_parse(&fold->counting, &fold->rollup_names, at, end)) ||
	       err_set(err, ERR_OPERATOR,
	               "restore metadata ('%.*s') does not name %" PRId32
	               " source partitions: the partition count of bronze is fixed for the life of the set (another TOPIC_PREFIX for a new one)",
	               (int)(header.len < 40 ? header.len : 40), header.at,
	               fold->config->source_count);
}

/* ---- dump */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fold_dump(const void *state, struct buffer *out)
{
	const struct merge_fold *fold = state;
	char header[FOLD_SNAPSHOT_MAX], line[EVENT_TEXT_MAX + 512], values[300];
	size_t len = fold_snapshot(fold, header), count = 0;
	char **lines = NULL;
	uint32_t capacity = 0;

	buffer_append(out, header, len);
	buffer_append(out, "\n", 1);
	for (uint32_t i = 0; i < fold->pane_count; i++) {
		const struct merge_pane *pane = fold->panes[i];

		for (uint32_t t = 0; t < pane->total_count; t++) {
			struct span rollup = interner_text(&fold->rollup_names, pane->rollup),
				    group = interner_text(&fold->groups, pane->totals[t].group);

			measures_format(&pane->totals[t].measures, values, sizeof(values));
			snprintf(line, sizeof(line),
			         "total %.*s %" PRId64 " %" PRId64 " %.*s %s @%" PRId64 "%s\n",
			         (int)rollup.len, rollup.at, pane->window.start_us,
			         pane->window.end_us, (int)group.len, group.at, values,
			         pane->totals[t].revision, pane->totals[t].final ? " final" : "");
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
	.dump = fold_dump,
};
