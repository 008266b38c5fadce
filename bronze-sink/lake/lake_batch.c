#include "lake_batch.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "lake_file.h"
#include "lake_parquet.h"
#include "lake_tables.h"
#include "service/fault.h"

#define METADATA_MAX 20

/* The metadata of the files of one batch. */
struct metadata {
	const char *at[METADATA_MAX]; /* pairs of key and value, then NULL */
	size_t count;
	char partition[16], first[24], next[24];
	char *rows, *files;
};

/* ---- metadata */

static void add(struct metadata *metadata, const char *key, const char *value)
{
	metadata->at[metadata->count++] = key;
	metadata->at[metadata->count++] = value;
	metadata->at[metadata->count] = NULL;
}

static char *dump(json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	if (!text)
		memory_exhausted();
	json_decref(json);
	return text;
}

static char *rows_json(const int64_t rows[LAKE_TABLE_COUNT])
{
	json_t *json = json_object();

	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (rows[t] > 0)
			json_object_set_new(json, lake_table_def((enum lake_table)t)->name,
			                    json_integer(rows[t]));
	return dump(json);
}

static char *files_json(const struct lake_file *files, size_t count)
{
	json_t *json = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(json, json_string(files[i].path));
	return dump(json);
}

static void metadata_make(struct metadata *metadata, const struct lake_commit *batch,
                          enum topic_id kind)
{
	*metadata = (struct metadata){0};
	snprintf(metadata->partition, sizeof(metadata->partition), "%" PRId32, batch->to.partition);
	snprintf(metadata->first, sizeof(metadata->first), "%" PRId64, batch->first);
	snprintf(metadata->next, sizeof(metadata->next), "%" PRId64, batch->to.next);
	metadata->rows = rows_json(batch->rows);
	metadata->files = files_json(batch->files, batch->file_count);
	add(metadata, "funnel.topic", batch->to.topic);
	add(metadata, "funnel.partition", metadata->partition);
	add(metadata, "funnel.first", metadata->first);
	add(metadata, "funnel.next", metadata->next);
	add(metadata, "funnel.rows", metadata->rows);
	add(metadata, "funnel.files", metadata->files);
	if (kind == TOPIC_BRONZE_EVENTS) {
		add(metadata, "funnel.clock", batch->to.clock);
		add(metadata, "funnel.segment", batch->to.segment);
	}
}

static void metadata_fini(struct metadata *metadata)
{
	free(metadata->rows);
	free(metadata->files);
}

/* ---- files */

static bool store_file(struct lake_writer *writer, const struct lake_day *day,
                       const struct metadata *metadata, struct lake_file *file, struct err *err)
{
	const char *pairs[METADATA_MAX + 2] = {"funnel.table", lake_table_def(day->table)->name};
	char local[LAKE_PATH_MAX];
	bool ok;

	memcpy(pairs + 2, metadata->at, sizeof(metadata->at));
	lake_storage_scratch(writer->storage, local, sizeof(local));
	ok = lake_parquet_write(writer->duck, day, local, pairs, file, err);
	FAULT_POINT("after_write");
	if (ok && !lake_storage_put(writer->storage, local, file->path, err)) {
		if (err->class == ERR_FATAL) /* fsync: the rows are read and written again */
			err->class = ERR_RETRY;
		ok = false;
	}
	FAULT_POINT("after_put");
	if (!ok)
		unlink(local);
	return ok;
}

/* days: those of this batch. */
static bool store_batch(struct lake_writer *writer, const struct lake_task *task,
                        const struct lake_day *days, struct lake_commit *batch,
                        struct lake_file *files, struct err *err)
{
	struct metadata metadata;
	bool ok = true;

	metadata_make(&metadata, batch, task->kind);
	for (size_t i = 0; ok && i < batch->file_count; i++)
		ok = store_file(writer, &days[i], &metadata, &files[i], err);
	metadata_fini(&metadata);
	return ok;
}

static char *path_of(const struct lake_day *day, const struct lake_commit *batch)
{
	char *path = xrealloc(NULL, LAKE_RELATIVE_MAX);

	lake_path_format(day->table, day->day, batch->to.topic, batch->to.partition, batch->first,
	                 path);
	return path;
}

/* ---- batches */

static struct lake_position position_of(const struct lake_task *task)
{
	struct lake_position at = task->from;

	at.next = task->partition->position;
	at.last = task->last;
	memcpy(at.segment, task->stream.segment, sizeof(at.segment));
	*at.clock = '\0';
	if (task->kind == TOPIC_BRONZE_EVENTS)
		clock_format(&task->stream.clock, at.clock);
	return at;
}

static bool store_task(struct lake_writer *writer, const struct lake_task *task,
                       const struct lake_day *days, size_t day_count, struct lake_batches *batches,
                       struct err *err)
{
	struct lake_commit *batch = &batches->at[batches->count++];
	struct lake_file *files = &batches->files[batches->file_count];

	*batch = (struct lake_commit){.from = task->from,
	                              .to = position_of(task),
	                              .first = task->from.next < 0 ? task->partition->low
	                                                           : task->from.next,
	                              .files = files,
	                              .file_count = day_count};
	memcpy(batch->rows, task->rows, sizeof(batch->rows));
	for (size_t i = 0; i < day_count; i++)
		files[i] = (struct lake_file){.table = days[i].table,
		                              .path = path_of(&days[i], batch)};
	batches->file_count += day_count;
	return store_batch(writer, task, days, batch, files, err);
}

bool lake_batches_store(struct lake_writer *writer, struct lake_batches *batches, struct err *err)
{
	struct lake_days days;
	size_t day = 0;
	bool ok = true;

	*batches = (struct lake_batches){0};
	if (!lake_days_list(writer->sheets, &days, err))
		return false;
	batches->at = xrealloc(NULL, (writer->task_count + 1) * sizeof(*batches->at));
	batches->files = xrealloc(NULL, (days.count + 1) * sizeof(*batches->files));
	for (size_t i = 0; ok && i < writer->task_count; i++) {
		const struct lake_task *task = &writer->tasks[i];
		size_t first = day;

		while (day < days.count && days.at[day].batch == (int32_t)i)
			day++;
		if (task->partition->position != task->from.next)
			ok = store_task(writer, task, days.at + first, day - first, batches, err);
	}
	free(days.at);
	if (!ok)
		lake_batches_free(batches);
	return ok;
}

void lake_batches_free(struct lake_batches *batches)
{
	for (size_t i = 0; i < batches->file_count; i++) {
		free(batches->files[i].path);
		free(batches->files[i].statistics);
	}
	free(batches->files);
	free(batches->at);
	*batches = (struct lake_batches){0};
}
