/* Days are counted in an array for the years 1 to 9999, 15 MB. The system gives memory only for the
 * pages of days that occur.
 *
 * Rejected: ending at the first row after TO, because the rows of an input may be in any order. */
#include "selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "base/memory.h"
#include "base/span.h"
#include "base/timetext.h"

#define JUMP_US      (12 * US_PER_HOUR)
#define LAST_JUMP_US (31 * US_PER_DAY) /* of a last row that no other confirms */
#define YEAR_1_US    INT64_C(-62135596800000000)
#define YEAR_2000_US INT64_C(946684800000000) /* events before it are refused */
#define YEAR_9999_US INT64_C(253402300799999999)
#define DAYS         ((YEAR_9999_US - YEAR_1_US) / US_PER_DAY + 1)

struct selection_config selection_all(void)
{
	return (struct selection_config){.from_us = SELECTION_OPEN,
	                                 .to_us = SELECTION_OPEN,
	                                 .passes = 1};
}

static bool selects_by_time(const struct selection_config *config)
{
	return config->months.count > 0 || config->from_us != SELECTION_OPEN ||
	       config->to_us != SELECTION_OPEN;
}

bool selection_is_all(const struct selection_config *config)
{
	return !selects_by_time(config) && config->rows_per_day == 0 && config->passes == 1 &&
	       config->shift == SHIFT_NONE;
}

static void begin_pass(struct selection *selection)
{
	free(selection->of_day);
	selection->of_day = NULL;
	if (selection->config.rows_per_day > 0)
		selection->of_day = xzalloc((size_t)DAYS, sizeof(*selection->of_day));
	selection->before = selects_by_time(&selection->config) ? LEFT_OUT_BY_TIME : SELECTED;
	selection->named = NULL;
}

void selection_restart(struct selection *selection, bool scanning)
{
	selection->scanning = scanning;
	selection->pass = 0;
	selection->range = (struct time_range){ROW_TIME_NONE, ROW_TIME_NONE, ROW_TIME_NONE, 0};
	selection->out_by_time = selection->out_by_day = 0;
	begin_pass(selection);
}

void selection_init(struct selection *selection, const struct selection_config *config)
{
	*selection = (struct selection){.config = *config};
	selection_restart(selection, false);
}

void selection_fini(struct selection *selection)
{
	free(selection->of_day);
	selection->of_day = NULL;
}

/* ---- the range of times */

static void range_add(struct time_range *range, int64_t time_us)
{
	range->times++;
	if (range->newest_us == ROW_TIME_NONE) {
		range->first_us = range->newest_us = time_us;
		return;
	}
	if (range->times == 2 && time_us < range->first_us)
		range->first_us = range->newest_us = time_us;
	if (time_us <= range->newest_us + JUMP_US) {
		range->newest_us = time_us > range->newest_us ? time_us : range->newest_us;
		range->pending_us = ROW_TIME_NONE;
	} else if (range->pending_us != ROW_TIME_NONE) {
		range->newest_us = time_us < range->pending_us ? time_us : range->pending_us;
		range->pending_us = ROW_TIME_NONE;
		if (time_us > range->newest_us + JUMP_US)
			range->pending_us = time_us;
		else if (time_us > range->newest_us)
			range->newest_us = time_us;
	} else {
		range->pending_us = time_us;
	}
}

/* At the end of the input. */
static int64_t range_newest(const struct time_range *range)
{
	return range->pending_us != ROW_TIME_NONE &&
	                       range->pending_us <= range->newest_us + LAST_JUMP_US
	               ? range->pending_us
	               : range->newest_us;
}

/* Whole days from the first day to the newest one, both included. */
static int64_t range_span(const struct time_range *range)
{
	return time_floor(range_newest(range), US_PER_DAY) + US_PER_DAY -
	       time_floor(range->first_us, US_PER_DAY);
}

/* By how much a pass is later than the first one, at most all years. */
static int64_t offset_of_pass(const struct selection *selection, int64_t pass)
{
	int64_t span_us = range_span(&selection->range);

	return pass > (YEAR_9999_US - YEAR_1_US) / span_us ? YEAR_9999_US - YEAR_1_US
	                                                   : pass * span_us;
}

/* ---- which rows */

/* Whether the name of the file has its month, so that all its rows belong to it. */
static bool has_named_month(struct selection *selection, const struct row *row)
{
	if (!selection->config.by_name)
		return false;
	if (selection->named != row->source_file) {
		selection->named = row->source_file;
		selection->is_named = month_of_name(row->source_file) != MONTH_NONE;
	}
	return selection->is_named;
}

static bool is_in_months(struct selection *selection, const struct row *row)
{
	const struct months *months = &selection->config.months;

	return months->count == 0 || has_named_month(selection, row) ||
	       months_have(months, month_of_time(row->event_time_us));
}

/* The result of a row without a readable time. */
static enum selection_result like_before(struct selection *selection, const struct row *row)
{
	const struct selection_config *config = &selection->config;

	if (selection->before == LEFT_OUT_BY_TIME && config->from_us == SELECTION_OPEN &&
	    config->to_us == SELECTION_OPEN && has_named_month(selection, row))
		return SELECTED;
	return selection->before;
}

static enum selection_result classify(struct selection *selection, const struct row *row)
{
	const struct selection_config *config = &selection->config;
	uint32_t *of_day;

	if (row->event_time_us == ROW_TIME_NONE)
		return like_before(selection, row);
	if ((config->from_us != SELECTION_OPEN && row->event_time_us < config->from_us) ||
	    (config->to_us != SELECTION_OPEN && row->event_time_us >= config->to_us) ||
	    !is_in_months(selection, row))
		return LEFT_OUT_BY_TIME;
	if (!selection->of_day || row->event_time_us < YEAR_1_US ||
	    row->event_time_us > YEAR_9999_US)
		return SELECTED;
	of_day = &selection->of_day[(row->event_time_us - YEAR_1_US) / US_PER_DAY];
	if (*of_day >= config->rows_per_day)
		return LEFT_OUT_BY_DAY;
	++*of_day;
	return SELECTED;
}

/* ---- the shift */

/* The line of a generated row begins with its time. */
static void shift_line(struct selection *selection, struct row *row)
{
	size_t time_len = row->fields[0].len, new_len = strlen(selection->time_text);

	if (row->raw.at != row->fields[0].at ||
	    row->raw.len - time_len + new_len > sizeof(selection->line))
		return;
	memcpy(selection->line, selection->time_text, new_len);
	memcpy(selection->line + new_len, row->raw.at + time_len, row->raw.len - time_len);
	row->raw = (struct span){selection->line, row->raw.len - time_len + new_len};
}

static void shift(struct selection *selection, struct row *row)
{
	int64_t shift_us = selection->shift_us;

	if (selection->pass > 0)
		shift_us += offset_of_pass(selection, selection->pass);
	if (shift_us == 0 || row->event_time_us == ROW_TIME_NONE || row->error[0] ||
	    row->event_time_us + shift_us < YEAR_1_US ||
	    row->event_time_us + shift_us > YEAR_9999_US)
		return;
	row->event_time_us += shift_us;
	time_format_plain(row->event_time_us, selection->time_text);
	strcat(selection->time_text, " UTC");
	shift_line(selection, row);
	row->fields[0] = span_of(selection->time_text);
}

bool selection_take(struct selection *selection, struct row *row)
{
	enum selection_result result = classify(selection, row);

	selection->before = result;
	selection->out_by_time += result == LEFT_OUT_BY_TIME;
	selection->out_by_day += result == LEFT_OUT_BY_DAY;
	if (result != SELECTED)
		return false;
	if (selection->pass == 0 && row->event_time_us != ROW_TIME_NONE)
		range_add(&selection->range, row->event_time_us);
	shift(selection, row);
	return true;
}

bool selection_next_pass(struct selection *selection, int64_t now_us)
{
	int64_t next = selection->pass + 1, newest_us;

	if (selection->scanning || next >= selection->config.passes || selection->range.times == 0)
		return false;
	newest_us = range_newest(&selection->range) + selection->shift_us +
	            offset_of_pass(selection, next);
	if (selection->config.shift != SHIFT_FIRST && newest_us > now_us)
		return false;
	selection->pass = next;
	begin_pass(selection);
	return true;
}

bool selection_needs_scan(const struct selection *selection)
{
	return selection->config.shift != SHIFT_NONE;
}

bool selection_has_scanned(const struct selection *selection)
{
	return selection->config.shift == SHIFT_FIRST && selection->range.times >= 2;
}

bool selection_set_shift(struct selection *selection, int64_t now_us, struct err *err)
{
	int64_t passes =
		selection->config.passes == SELECTION_FOREVER ? 1 : selection->config.passes;
	int64_t span_us, most;

	if (selection->range.times == 0)
		return true;
	if (selection->config.shift == SHIFT_FIRST) {
		selection->shift_us = time_floor(now_us - selection->range.first_us, US_PER_SECOND);
		return true;
	}
	span_us = range_span(&selection->range);
	most = (now_us - YEAR_2000_US) / span_us;
	if (passes > 1 && passes > most)
		return err_set(err, ERR_OPERATOR,
		               "LOOP=%lld passes of %lld days, of which the last ends now, begin "
		               "before the year 2000; expected LOOP of at most %lld",
		               (long long)passes, (long long)(span_us / US_PER_DAY),
		               (long long)(most > 1 ? most : 1));
	selection->shift_us =
		time_floor(now_us - range_newest(&selection->range) - (passes - 1) * span_us,
	                   US_PER_DAY);
	return true;
}

/* ---- files and names */

void selection_keep_files(const struct selection_config *config, struct file_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct input_file *file = &list->files[i];
		int32_t month = month_of_name(file->name);

		if (config->months.count == 0 || month == MONTH_NONE ||
		    months_have(&config->months, month)) {
			list->files[kept++] = *file;
			continue;
		}
		list->bytes -= file->bytes;
		free(file->path);
	}
	list->count = kept;
}

uint64_t selection_hash(const struct selection_config *config)
{
	const int64_t numbers[] = {config->from_us, config->to_us, config->rows_per_day,
	                           config->passes, (int64_t)config->shift};

	return fnv1a(FNV1A_START, numbers, sizeof(numbers));
}

void selection_segment(const struct selection_config *config, const char *name, uint64_t hash,
                       char *out, size_t cap)
{
	const struct months *months = &config->months;
	uint64_t selected = selection_hash(config);
	char first[16], last[16], text[40] = "";

	hash = fnv1a(hash, &selected, sizeof(selected));
	hash = fnv1a(hash, months->at, (size_t)months->count * sizeof(months->at[0]));
	if (months->count > 0) {
		month_format(months->at[0], first);
		month_format(months->at[months->count - 1], last);
		snprintf(text, sizeof(text), months->count == 1 ? "-%s" : "-%s..%s", first, last);
	}
	snprintf(out, cap, "%.90s%s-%012llx", name, text,
	         (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
}
