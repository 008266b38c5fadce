/* One file is the current one. The others are in a heap, by the time of their next row, or of their
 * first event if they are not open yet. The current file gives rows, without a copy, while each
 * comes before the first entry of the heap. So files that do not overlap cost one comparison per
 * row, and a single file costs none. A row that has to wait is queued.
 *
 * A row waits for other files only if the rows after it do not refute its time. If most of the next
 * rows of other users in its file are before the row, its time is refuted, and the row does not
 * wait. So a device whose clock is years ahead delays nothing. A row that is years back does not
 * wait either. It does not refute the rows before it, because one row is not most of them. The last
 * row of a file is not refuted: after a pause its time may be right. Rejected: a source clock
 * (source_clock.h) for each file. It looks at a thousand rows, and treats the last row of a file as
 * wrong.
 *
 * Limits: a file that overlaps with others is open, with its buffers, while they do. The limit of
 * open files is raised as far as the system allows. */
#include "merge.h"

#include <inttypes.h>
#include <stdlib.h>

#include <sys/resource.h>

#include "base/heap.h"
#include "base/memory.h"
#include "event/event_json_write.h"
#include "packed_queue.h"

#define WITNESSES  16   /* rows of other users that decide about a row */
#define LOOK_AHEAD 1000 /* rows that are searched for them */

struct part {
	struct row_reader *reader; /* NULL: not opened yet, or closed */
	struct packed_queue queue; /* the next rows, read ahead */
	struct err *failure;       /* after the queued rows */
	bool opened;
};

struct merge {
	const struct file_list *list;
	const struct row_format *format;
	enum merge_order order;
	struct part *parts;
	struct heap waiting;  /* all parts that have rows, except the current one */
	struct part *current; /* NULL: the first one of the heap is due */
	size_t open_files;
	int64_t bytes_closed; /* bytes of the files that were read to their end */
	struct err err;       /* of the last call of a reader */
	struct row_extra extras[ROW_COLUMNS_MAX];
};

struct merge *merge_new(const struct file_list *list, const struct row_format *format,
                        enum merge_order order, struct err *err)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (merge)
		merge->parts = calloc(list->count + 1, sizeof(*merge->parts));
	if (!merge || !merge->parts) {
		err_set(err, ERR_FATAL, "out of memory");
		merge_free(merge);
		return NULL;
	}
	merge->list = list;
	merge->format = format;
	merge->order = order;
	for (uint32_t i = 0; i < list->count; i++)
		heap_push_ordered(&merge->waiting, list->files[i].first_event_us, i, i);
	return merge;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	for (size_t i = 0; merge->parts && i < merge->list->count; i++) {
		row_reader_free(merge->parts[i].reader);
		packed_queue_free(&merge->parts[i].queue);
		free(merge->parts[i].failure);
	}
	free(merge->parts);
	heap_free(&merge->waiting);
	free(merge);
}

static size_t number_of(const struct merge *merge, const struct part *part)
{
	return (size_t)(part - merge->parts);
}

/* ---- opening and reading a file */

/* Raises the limit of open files if the next file needs it. */
static bool has_room(const struct merge *merge, struct err *err)
{
	rlim_t need = (rlim_t)merge->open_files + 1 + MERGE_OTHER_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
		return true;
	limit.rlim_cur = limit.rlim_max;
	if (merge->open_files == 0 ||
	    (limit.rlim_max >= need && setrlimit(RLIMIT_NOFILE, &limit) == 0))
		return true;
	return err_set(err, ERR_INPUT,
	               "more than %zu files of INPUT overlap in time, and this process may open "
	               "only %" PRIuMAX " files; set ORDER=time, which opens one file at a time, "
	               "or raise the limit (ulimit -n)",
	               merge->open_files, (uintmax_t)limit.rlim_max);
}

static bool open_part(struct merge *merge, struct part *part, struct err *err)
{
	const struct input_file *file = &merge->list->files[number_of(merge, part)];

	if (part->opened)
		return true;
	if (!has_room(merge, err))
		return false;
	part->reader = row_reader_new(file->path, merge->format, err);
	if (!part->reader)
		return false;
	part->opened = true;
	merge->open_files++;
	return true;
}

static void close_part(struct merge *merge, struct part *part)
{
	row_reader_free(part->reader);
	part->reader = NULL;
	merge->open_files--;
	merge->bytes_closed += merge->list->files[number_of(merge, part)].bytes;
}

/* Reads the next row of the file. False: there is none; the file is closed. */
static bool read_row(struct merge *merge, struct part *part, struct row *row)
{
	if (!part->reader)
		return false;
	switch (row_reader_next(part->reader, row, &merge->err)) {
	case ROW_READER_ROW:
		row->position.file = (int32_t)number_of(merge, part);
		row->source_file = merge->list->files[number_of(merge, part)].name;
		return true;
	case ROW_READER_END: break;
	case ROW_READER_CUT:
	case ROW_READER_FAILED:
		part->failure = xzalloc(1, sizeof(*part->failure));
		*part->failure = merge->err;
		break;
	}
	close_part(merge, part);
	return false;
}

/* ---- the position of a row */

/* The queued row number i; reads rows of the file up to it. NULL: the file has fewer rows. */
static const struct queued_row *look_at(struct merge *merge, struct part *part, uint32_t i)
{
	struct row row;

	while (part->queue.count <= i) {
		if (!read_row(merge, part, &row))
			return NULL;
		packed_queue_push(&part->queue, &row);
	}
	return packed_queue_at(&part->queue, i);
}

struct votes {
	uint32_t all, before; /* `before`: of the rows before the one in question */
};

static bool is_most(struct votes votes)
{
	return 2 * votes.before > votes.all;
}

/* Whether most of the next rows of other users are before the first queued row. If there are no
 * other users: of all rows. */
static bool is_refuted(struct merge *merge, struct part *part)
{
	const struct queued_row first = *packed_queue_at(&part->queue, 0), *next;
	struct votes others = {0, 0}, own = {0, 0};

	for (uint32_t i = 1; i <= LOOK_AHEAD && others.all < WITNESSES; i++) {
		struct votes *votes;

		next = look_at(merge, part, i);
		if (!next)
			break;
		if (next->time_us == ROW_TIME_NONE || next->user_id == ROW_USER_NONE)
			continue;
		votes = next->user_id == first.user_id ? &own : &others;
		votes->all++;
		votes->before += next->time_us < first.time_us;
	}
	return is_most(others.all > 0 ? others : own);
}

/* Whether a row of the current part comes before all rows of the others. */
static bool is_first(const struct merge *merge, const struct part *part, int64_t time_us)
{
	const struct heap_entry *other = merge->waiting.entries;

	return merge->waiting.count == 0 || time_us < other->time_us ||
	       (time_us == other->time_us && number_of(merge, part) < other->value) ||
	       time_us == ROW_TIME_NONE || merge->order == MERGE_FILE_BY_FILE;
}

/* Takes the next row of the part, or queues it and lets another part continue. */
static bool take_row(struct merge *merge, struct part *part, struct row *row)
{
	int64_t time_us;

	if (part->queue.count == 0) {
		if (is_first(merge, part, row->event_time_us))
			return true;
		packed_queue_push(&part->queue, row);
	}
	time_us = packed_queue_at(&part->queue, 0)->time_us;
	if (is_first(merge, part, time_us) || is_refuted(merge, part)) {
		packed_queue_pop(&part->queue, merge->extras, row);
		return true;
	}
	heap_push_ordered(&merge->waiting, time_us, number_of(merge, part),
	                  (uint32_t)number_of(merge, part));
	merge->current = NULL;
	return false;
}

enum merge_result merge_next(struct merge *merge, struct row *row, struct err *err)
{
	for (;;) {
		struct part *part = merge->current;

		if (!part && merge->waiting.count == 0)
			return MERGE_END;
		if (!part)
			part = merge->current = &merge->parts[heap_pop(&merge->waiting).value];
		if (!open_part(merge, part, err))
			return MERGE_FAILED;
		if (part->queue.count > 0 || read_row(merge, part, row)) {
			if (take_row(merge, part, row))
				return MERGE_ROW;
			continue;
		}
		if (part->failure) {
			if (err)
				*err = *part->failure;
			return MERGE_FAILED;
		}
		packed_queue_free(&part->queue);
		merge->current = NULL;
	}
}

bool merge_seek(struct merge *merge, const struct row_position *position)
{
	struct part *part = merge->parts;

	if (merge->list->count != 1 || !open_part(merge, part, NULL))
		return false;
	return row_reader_seek(part->reader, position);
}

int64_t merge_bytes(const struct merge *merge)
{
	int64_t bytes = merge->bytes_closed;
	size_t left = merge->open_files;

	for (size_t i = 0; left > 0; i++)
		if (merge->parts[i].reader) {
			bytes += row_reader_bytes(merge->parts[i].reader);
			left--;
		}
	return bytes;
}

bool merge_waits(struct merge *merge)
{
	const struct part *part = merge->list->count == 1 ? merge->parts : NULL;

	return part && part->reader && row_reader_waits(part->reader);
}
