/* The files that `lake rebuild` reads: the batches in them, whether they are complete, and which
 * files a range of offsets needs.
 *
 * The catalogue is not asked, because PostgreSQL may be lost. The footers say everything: a file
 * that a compacted file replaces is left out, and so is the newest batch of a partition if it has
 * not all of its files, because its writer has ended before it was registered. */
#ifndef FUNNEL_REBUILD_FILES_H
#define FUNNEL_REBUILD_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "duck.h"
#include "lake_storage.h"
#include "lake_tables.h"
#include "wire/topics.h"

struct rebuild_file {
	char *path; /* relative to the lake */
	enum lake_table table;
	int64_t day;
	bool replaced; /* a compacted file has its rows */
	char *local;   /* where it can be read; NULL: not fetched */
	bool is_copy;
};

/* The records [first, next) of one partition, in one file. */
struct rebuild_batch {
	enum topic_id topic;
	int32_t partition;
	int64_t first, next;
	size_t file;
};

/* Zero-initialised: valid and empty. */
struct rebuild_files {
	struct rebuild_file *at; /* sorted by path */
	size_t count, capacity;
	struct rebuild_batch *batches; /* sorted by topic, partition, first */
	size_t batch_count, batch_capacity;
	char **members; /* paths that the footers name as files of a batch, with the batch */
	struct rebuild_batch *member_batches;
	size_t member_count, member_capacity;
	char **replaced; /* paths that compacted files replace */
	size_t replaced_count, replaced_capacity;
};
void rebuild_files_free(struct rebuild_files *files);

/* Reads the footers of all files of the topics <prefix>*. ERR_OPERATOR: the lake is empty, has
 * only other topics, lacks a file of a batch, or has batches that overlap; the message says what
 * to do. */
MUST_USE bool rebuild_files_read(struct rebuild_files *files, struct lake_storage *storage,
                                 struct duck *duck, const char *prefix, struct err *err);

/* The lowest number of partitions that the files fit to. */
int32_t rebuild_files_partitions(const struct rebuild_files *files);
/* The end of a partition's records in the lake, exclusive; 0: it has none. */
int64_t rebuild_files_end(const struct rebuild_files *files, enum topic_id topic,
                          int32_t partition);

/* A range of offsets that is read at once. */
struct rebuild_window {
	enum topic_id topic;
	int32_t partition;
	int64_t from, to;
};
/* Finds the next window at or after `from`: complete batches with about `records` offsets, or a
 * part of a larger batch. False: there are no more records. */
bool rebuild_files_window(const struct rebuild_files *files, enum topic_id topic, int32_t partition,
                          int64_t from, int64_t records, struct rebuild_window *window);

/* Fetches the files of one table that have records of the window, and appends their local paths to
 * sql as a list: ['a','b']. *count: their number. */
MUST_USE bool rebuild_files_list(struct rebuild_files *files, struct lake_storage *storage,
                                 const struct rebuild_window *window, enum lake_table table,
                                 struct buffer *sql, size_t *count, struct err *err);
/* Removes the copies that no window of this partition from `from` on needs. */
void rebuild_files_release(struct rebuild_files *files, enum topic_id topic, int32_t partition,
                           int64_t from);

#endif
