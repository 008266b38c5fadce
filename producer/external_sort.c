/* Packed rows fill a block of memory from its front. Their times and offsets fill it from its back.
 * When the two meet, the block is sorted and appended to the temporary file as one sorted run. At
 * the end the runs are merged; the same memory is divided into one buffer for each run. If all rows
 * fit into the block, there is no file.
 *
 *   record: int64 time to sort by | uint32 length of the row | packed row, in this machine's order
 *
 * One pass over the runs is enough: with the default memory of 256 MiB, the buffers of 1 TiB of
 * rows have 64 KiB each. Rejected: splitting the text of a row again after the sort, because the
 * form of the source decides how; sort(1), because it does not know records that span lines.
 *
 * Limits: the file is about 1.5 times as large as the input without compression. A row that is
 * larger than the buffer of its run makes that buffer larger. */
#include "external_sort.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/memory.h"
#include "event/event_json_write.h"
#include "packed_row.h"

#define RECORD_HEAD 12
#define OUT_BYTES   262144
#define BUFFER_MIN  4096
#define BUFFER_MAX  (4 << 20)

/* Of one row in the block. */
struct entry {
	int64_t time_us;
	uint64_t at; /* offset in the block; rows that were added earlier have lower offsets */
};

/* A sorted part of the temporary file. */
struct run {
	int64_t begin, end; /* offsets in the file */
	int64_t read;       /* up to here, it was read into the buffer */
	char *buffer;
	size_t cap, at, len; /* the unread bytes of the buffer are at..len */
};

struct external_sort {
	const char *folder;
	int fd; /* -1: no file yet */
	char *block;
	size_t memory_bytes, front, count;
	bool sorted;          /* the rows in the block came in order */
	int64_t last_time_us; /* of the rows without a time that come next */
	struct external_sort_numbers numbers;
	struct run *runs;
	size_t run_count, run_capacity;
	struct heap waiting; /* the runs except the current one, by the time of their next row */
	struct run *current;
	char *out;
	size_t out_len;
	struct row_extra extras[ROW_COLUMNS_MAX];
};

struct external_sort *external_sort_new(const char *folder, size_t memory_bytes, struct err *err)
{
	struct external_sort *sort = calloc(1, sizeof(*sort));

	memory_bytes -= memory_bytes % sizeof(struct entry);
	if (sort) {
		sort->fd = -1;
		sort->block = malloc(memory_bytes);
	}
	if (!sort || !sort->block) {
		err_set(err, ERR_FATAL, "out of memory: SORT_MEMORY needs %zu bytes", memory_bytes);
		external_sort_free(sort);
		return NULL;
	}
	sort->folder = folder;
	sort->memory_bytes = memory_bytes;
	sort->last_time_us = INT64_MIN;
	sort->sorted = true;
	return sort;
}

void external_sort_free(struct external_sort *sort)
{
	if (!sort)
		return;
	if (sort->fd >= 0)
		close(sort->fd);
	for (size_t i = 0; i < sort->run_count; i++)
		free(sort->runs[i].buffer);
	free(sort->runs);
	heap_free(&sort->waiting);
	free(sort->block);
	free(sort->out);
	free(sort);
}

/* ---- the temporary file */

static bool file_failed(const struct external_sort *sort, const char *what, struct err *err)
{
	return err_set(
		err, ERR_OPERATOR,
		"cannot %s the temporary file for ORDER=time in SORT_DIR=%s: %s; it had %lld "
		"bytes, and needs about 1.5 times the size of the input without compression; free "
		"space, or set SORT_DIR to a folder with more space",
		what, sort->folder, strerror(errno), (long long)sort->numbers.temporary_bytes);
}

static bool open_file(struct external_sort *sort, struct err *err)
{
	char path[PATH_MAX];

	if (sort->fd >= 0)
		return true;
	if ((size_t)snprintf(path, sizeof(path), "%s/producer-sort-XXXXXX", sort->folder) >=
	    sizeof(path))
		return err_set(err, ERR_INPUT, "SORT_DIR: the path is longer than %d bytes",
		               PATH_MAX - 32);
	if (mkdir(sort->folder, 0777) != 0 && errno != EEXIST)
		return file_failed(sort, "create", err);
	sort->fd = mkstemp(path);
	if (sort->fd < 0 || unlink(path) != 0 || fcntl(sort->fd, F_SETFD, FD_CLOEXEC) != 0)
		return file_failed(sort, "create", err);
	sort->out = xrealloc(NULL, OUT_BYTES);
	return true;
}

static bool write_all(struct external_sort *sort, const char *at, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t put = write(sort->fd, at, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return file_failed(sort, "write", err);
		at += put;
		len -= (size_t)put;
		sort->numbers.temporary_bytes += put;
	}
	return true;
}

static bool flush_out(struct external_sort *sort, struct err *err)
{
	size_t len = sort->out_len;

	sort->out_len = 0;
	return write_all(sort, sort->out, len, err);
}

static bool put_record(struct external_sort *sort, const char *at, size_t len, struct err *err)
{
	if (sort->out_len + len > OUT_BYTES && !flush_out(sort, err))
		return false;
	if (len > OUT_BYTES)
		return write_all(sort, at, len, err);
	memcpy(sort->out + sort->out_len, at, len);
	sort->out_len += len;
	return true;
}

/* ---- adding rows */

/* The entries at the back of the block, the newest first. */
static struct entry *entries_of(const struct external_sort *sort)
{
	return (struct entry *)(void *)(sort->block + sort->memory_bytes) - sort->count;
}

static int by_time(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->time_us != b->time_us)
		return a->time_us < b->time_us ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static size_t record_len(const char *record)
{
	uint32_t len;

	memcpy(&len, record + sizeof(int64_t), sizeof(len));
	return RECORD_HEAD + len;
}

/* Appends the rows in the block to the file, in order. */
static bool write_block(struct external_sort *sort, struct err *err)
{
	const struct entry *entries = entries_of(sort);

	if (sort->sorted)
		return write_all(sort, sort->block, sort->front, err);
	qsort(entries_of(sort), sort->count, sizeof(struct entry), by_time);
	for (size_t i = 0; i < sort->count; i++) {
		const char *record = sort->block + entries[i].at;

		if (!put_record(sort, record, record_len(record), err))
			return false;
	}
	return flush_out(sort, err);
}

/* The rows in the block become a run, and the block is empty. */
static bool write_run(struct external_sort *sort, struct err *err)
{
	int64_t begin = sort->numbers.temporary_bytes;

	if (sort->count == 0)
		return true;
	if (!open_file(sort, err) || !write_block(sort, err))
		return false;
	GROW(sort->runs, sort->run_count, sort->run_capacity);
	sort->runs[sort->run_count++] =
		(struct run){.begin = begin, .end = sort->numbers.temporary_bytes};
	sort->numbers.runs++;
	sort->front = sort->count = 0;
	sort->sorted = true;
	return true;
}

/* qsort needs memory for as many entries again. */
static bool fits(const struct external_sort *sort, size_t bytes)
{
	size_t entries = 2 * (sort->count + 1) * sizeof(struct entry);

	return sort->front + bytes + entries <= sort->memory_bytes;
}

bool external_sort_add(struct external_sort *sort, const struct row *row, struct err *err)
{
	size_t most = RECORD_HEAD + packed_row_max(row);
	int64_t time_us =
		row->event_time_us == ROW_TIME_NONE ? sort->last_time_us : row->event_time_us;
	char *record;
	uint32_t len;

	if (!fits(sort, most) && !write_run(sort, err))
		return false;
	if (!fits(sort, most))
		return err_set(err, ERR_INPUT,
		               "a row needs %zu bytes, more than SORT_MEMORY has; set SORT_MEMORY "
		               "to a larger value",
		               most);
	record = sort->block + sort->front;
	len = (uint32_t)packed_row_write(row, record + RECORD_HEAD);
	memcpy(record, &time_us, sizeof(time_us));
	memcpy(record + sizeof(time_us), &len, sizeof(len));
	sort->sorted = sort->sorted && (sort->count == 0 || time_us >= sort->last_time_us);
	sort->last_time_us = time_us;
	sort->count++;
	*entries_of(sort) = (struct entry){time_us, sort->front};
	sort->front += RECORD_HEAD + len;
	sort->numbers.rows++;
	return true;
}

/* ---- giving rows */

static bool fill(struct external_sort *sort, struct run *run, struct err *err)
{
	int64_t left = run->end - run->read;

	memmove(run->buffer, run->buffer + run->at, run->len - run->at);
	run->len -= run->at;
	run->at = 0;
	while (left > 0 && run->len < run->cap) {
		size_t room = run->cap - run->len;
		ssize_t got = pread(sort->fd, run->buffer + run->len,
		                    (int64_t)room < left ? room : (size_t)left, run->read);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return file_failed(sort, "read", err);
		run->len += (size_t)got;
		run->read += got;
		left -= got;
	}
	return true;
}

/* Reads until the buffer has `bytes` bytes. */
static bool has(struct external_sort *sort, struct run *run, size_t bytes, struct err *err)
{
	if (run->len - run->at >= bytes)
		return true;
	if (run->cap < bytes) {
		run->buffer = xrealloc(run->buffer, bytes);
		run->cap = bytes;
	}
	return fill(sort, run, err);
}

/* The next record of the run. *record is NULL if there is none. */
static bool next_record(struct external_sort *sort, struct run *run, const char **record,
                        struct err *err)
{
	*record = NULL;
	if (run->at == run->len && run->read == run->end)
		return true;
	if (!has(sort, run, RECORD_HEAD, err) ||
	    !has(sort, run, record_len(run->buffer + run->at), err))
		return false;
	*record = run->buffer + run->at;
	return true;
}

static int64_t record_time(const char *record)
{
	int64_t time_us;

	memcpy(&time_us, record, sizeof(time_us));
	return time_us;
}

static void wait_for_turn(struct external_sort *sort, const struct run *run, int64_t time_us)
{
	uint32_t number = (uint32_t)(run - sort->runs);

	heap_push_ordered(&sort->waiting, time_us, number, number);
}

static bool begin_runs(struct external_sort *sort, struct err *err)
{
	size_t cap = sort->run_count > 0 ? sort->memory_bytes / sort->run_count : 0;

	cap = cap < BUFFER_MIN ? BUFFER_MIN : cap > BUFFER_MAX ? BUFFER_MAX : cap;
	sort->waiting.count = 0;
	sort->current = NULL;
	for (size_t i = 0; i < sort->run_count; i++) {
		struct run *run = &sort->runs[i];
		const char *record;

		if (!run->buffer) {
			run->buffer = xrealloc(NULL, cap);
			run->cap = cap;
		}
		run->read = run->begin;
		run->at = run->len = 0;
		if (!next_record(sort, run, &record, err))
			return false;
		wait_for_turn(sort, run, record_time(record));
	}
	return true;
}

bool external_sort_finish(struct external_sort *sort, struct err *err)
{
	if (sort->run_count == 0) {
		if (!sort->sorted)
			qsort(entries_of(sort), sort->count, sizeof(struct entry), by_time);
		return true;
	}
	if (!write_run(sort, err))
		return false;
	free(sort->block);
	free(sort->out);
	sort->block = sort->out = NULL;
	return begin_runs(sort, err);
}

bool external_sort_rewind(struct external_sort *sort, struct err *err)
{
	sort->numbers.given = 0;
	return sort->run_count == 0 || begin_runs(sort, err);
}

static enum external_sort_result next_of_memory(struct external_sort *sort, struct row *row)
{
	size_t i = (size_t)sort->numbers.given;

	if (i == sort->count)
		return EXTERNAL_SORT_END;
	/* entries of rows that came in order are still the newest first */
	if (sort->sorted)
		i = sort->count - 1 - i;
	packed_row_read(sort->block + entries_of(sort)[i].at + RECORD_HEAD, sort->extras, row);
	return EXTERNAL_SORT_ROW;
}

static bool is_first(const struct external_sort *sort, const struct run *run, int64_t time_us)
{
	const struct heap_entry *other = sort->waiting.entries;

	return sort->waiting.count == 0 || time_us < other->time_us ||
	       (time_us == other->time_us && (uint32_t)(run - sort->runs) < other->value);
}

static enum external_sort_result next_of_runs(struct external_sort *sort, struct row *row,
                                              struct err *err)
{
	const char *record;

	for (;;) {
		struct run *run = sort->current;

		if (!run && sort->waiting.count == 0)
			return EXTERNAL_SORT_END;
		if (!run)
			run = sort->current = &sort->runs[heap_pop(&sort->waiting).value];
		if (!next_record(sort, run, &record, err))
			return EXTERNAL_SORT_FAILED;
		if (record && is_first(sort, run, record_time(record)))
			break;
		if (record)
			wait_for_turn(sort, run, record_time(record));
		sort->current = NULL;
	}
	packed_row_read(record + RECORD_HEAD, sort->extras, row);
	sort->current->at += record_len(record);
	return EXTERNAL_SORT_ROW;
}

enum external_sort_result external_sort_next(struct external_sort *sort, struct row *row,
                                             struct err *err)
{
	enum external_sort_result result =
		sort->run_count > 0 ? next_of_runs(sort, row, err) : next_of_memory(sort, row);

	sort->numbers.given += result == EXTERNAL_SORT_ROW;
	return result;
}

struct external_sort_numbers external_sort_numbers(const struct external_sort *sort)
{
	return sort->numbers;
}
