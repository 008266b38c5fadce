/* Each footer is read once. The list of batches is small: one entry for each batch and file.
 *
 * Compacted files have the rows of many batches, in another order. So a window may open the same
 * compacted file again; statistics of the row groups keep that cheap only in files of the writer.
 *
 * Limit: the newest batch of a partition may be complete without having been registered. It is
 * used: its rows are records that Kafka had committed. */
#include "rebuild_files.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/timetext.h"
#include "service/health.h"
#include "service/log.h"
#include "service/stop.h"

static char *copy_text(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(xrealloc(NULL, size), text, size);
}

static void add_text(struct buffer *sql, const char *text)
{
	buffer_append(sql, text, strlen(text));
}

static void drop_copy(struct rebuild_file *file)
{
	if (file->local && file->is_copy)
		unlink(file->local);
	free(file->local);
	file->local = NULL;
}

void rebuild_files_free(struct rebuild_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		drop_copy(&files->at[i]);
		free(files->at[i].path);
	}
	for (size_t i = 0; i < files->member_count; i++)
		free(files->members[i]);
	for (size_t i = 0; i < files->replaced_count; i++)
		free(files->replaced[i]);
	free(files->at);
	free(files->batches);
	free(files->members);
	free(files->member_batches);
	free(files->replaced);
	*files = (struct rebuild_files){0};
}

/* ---- footers */

/* The texts of one footer; NULL: the footer does not have the key. */
struct footer {
	char *topic, *partition, *first, *next, *files, *batches, *replaces;
};

static char **footer_field(struct footer *footer, const char *key)
{
	const struct {
		const char *key;
		char **field;
	} fields[] = {
		{"funnel.topic", &footer->topic},       {"funnel.partition", &footer->partition},
		{"funnel.first", &footer->first},       {"funnel.next", &footer->next},
		{"funnel.files", &footer->files},       {"funnel.batches", &footer->batches},
		{"funnel.replaces", &footer->replaces},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcmp(fields[i].key, key) == 0)
			return fields[i].field;
	return NULL;
}

static void footer_free(struct footer *footer)
{
	free(footer->topic);
	free(footer->partition);
	free(footer->first);
	free(footer->next);
	free(footer->files);
	free(footer->batches);
	free(footer->replaces);
}

static void footer_take(struct footer *footer, duckdb_result *result, idx_t row)
{
	char *key = duck_text(result, 0, row), *value = duck_text(result, 1, row);
	char **field = key ? footer_field(footer, key) : NULL;

	if (field && value) {
		free(*field);
		*field = copy_text(value);
	}
	duckdb_free(key);
	duckdb_free(value);
}

static bool footer_read(struct footer *footer, struct duck *duck, const char *local,
                        struct err *err)
{
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	add_text(&sql, "SELECT decode(key), decode(value) FROM parquet_kv_metadata(");
	duck_quote(&sql, local);
	buffer_append(&sql, ")", sizeof(")"));
	ok = duck_query(duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok)
		return false;
	for (idx_t row = 0; row < duckdb_row_count(&result); row++)
		footer_take(footer, &result, row);
	duckdb_destroy_result(&result);
	return true;
}

/* ---- batches */

/* False: not a topic of the set that we rebuild from. */
static bool topic_of_name(const char *prefix, const char *name, enum topic_id *topic)
{
	static const enum topic_id topics[] = {TOPIC_BRONZE_EVENTS, TOPIC_DEAD_LETTER, TOPIC_COUNTS,
	                                       TOPIC_LATE_EVENTS};
	size_t len = strlen(prefix);

	if (strncmp(name, prefix, len) != 0)
		return false;
	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++) {
		if (strcmp(name + len, topic_of(topics[i])->suffix) != 0)
			continue;
		*topic = topics[i];
		return true;
	}
	return false;
}

static void add_batch(struct rebuild_files *files, const struct rebuild_batch *batch)
{
	GROW(files->batches, files->batch_count, files->batch_capacity);
	files->batches[files->batch_count++] = *batch;
}

static void add_members(struct rebuild_files *files, const struct rebuild_batch *batch,
                        const json_t *paths)
{
	size_t index;
	json_t *path;

	json_array_foreach(paths, index, path)
	{
		if (!json_is_string(path))
			continue;
		if (files->member_count == files->member_capacity) {
			size_t capacity = files->member_capacity ? files->member_capacity * 2 : 64;

			files->members =
				xrealloc(files->members, capacity * sizeof(*files->members));
			files->member_batches = xrealloc(files->member_batches,
			                                 capacity * sizeof(*files->member_batches));
			files->member_capacity = capacity;
		}
		files->member_batches[files->member_count] = *batch;
		files->members[files->member_count++] = copy_text(json_string_value(path));
	}
}

static void add_replaced(struct rebuild_files *files, const json_t *paths)
{
	size_t index;
	json_t *path;

	json_array_foreach(paths, index, path)
	{
		if (!json_is_string(path))
			continue;
		GROW(files->replaced, files->replaced_count, files->replaced_capacity);
		files->replaced[files->replaced_count++] = copy_text(json_string_value(path));
	}
}

static bool bad_footer(const char *path, const char *why, struct err *err)
{
	return err_set(err, ERR_OPERATOR,
	               "%s in the lake has a footer without %s: it was not written by `lake`, or "
	               "it is damaged; move it out of the lake",
	               path, why);
}

/* A file of the writer. *ours: its topic belongs to the set. */
static bool take_plain(struct rebuild_files *files, const struct footer *footer, const char *prefix,
                       size_t file, bool *ours, struct err *err)
{
	struct rebuild_batch batch = {.file = file};
	int64_t partition;
	json_t *paths;

	if (!footer->topic || !footer->partition || !footer->first || !footer->next ||
	    !number_parse_span(span_of(footer->partition), INT32_MAX, &partition) ||
	    !number_parse_span(span_of(footer->first), INT64_MAX, &batch.first) ||
	    !number_parse_span(span_of(footer->next), INT64_MAX, &batch.next))
		return bad_footer(files->at[file].path,
		                  "funnel.topic, funnel.partition, funnel.first and funnel.next",
		                  err);
	*ours = topic_of_name(prefix, footer->topic, &batch.topic);
	if (!*ours)
		return true;
	batch.partition = (int32_t)partition;
	add_batch(files, &batch);
	paths = footer->files ? json_loads(footer->files, 0, NULL) : NULL;
	add_members(files, &batch, paths);
	json_decref(paths);
	return true;
}

static bool take_batch(struct rebuild_files *files, const json_t *item, const char *prefix,
                       size_t file, bool *ours)
{
	const char *topic = json_string_value(json_array_get(item, 0));
	struct rebuild_batch batch = {
		.partition = (int32_t)json_integer_value(json_array_get(item, 1)),
		.first = json_integer_value(json_array_get(item, 2)),
		.next = json_integer_value(json_array_get(item, 3)),
		.file = file,
	};

	if (!topic || json_array_size(item) < 4 || batch.next <= batch.first)
		return false;
	if (!topic_of_name(prefix, topic, &batch.topic))
		return true;
	*ours = true;
	add_batch(files, &batch);
	return true;
}

static bool take_compacted(struct rebuild_files *files, const struct footer *footer,
                           const char *prefix, size_t file, bool *ours, struct err *err)
{
	json_t *batches = footer->batches ? json_loads(footer->batches, 0, NULL) : NULL;
	json_t *replaces = footer->replaces ? json_loads(footer->replaces, 0, NULL) : NULL;
	bool ok = json_array_size(batches) > 0;
	size_t index;
	json_t *item;

	json_array_foreach(batches, index, item) ok =
		ok && take_batch(files, item, prefix, file, ours);
	add_replaced(files, replaces);
	json_decref(batches);
	json_decref(replaces);
	return ok || bad_footer(files->at[file].path, "a valid funnel.batches", err);
}

static bool read_file(struct rebuild_files *files, struct lake_storage *storage, struct duck *duck,
                      const char *prefix, const struct lake_entry *entry, struct err *err)
{
	char local[4096];
	struct lake_path path;
	struct footer footer = {0};
	struct rebuild_file file = {0};
	bool missing = false, ours = false, ok;

	if (!lake_path_parse(entry->path, &path) || path.table >= LAKE_TABLE_COUNT)
		return true; /* `lake verify` reports it */
	if (!lake_storage_get(storage, entry->path, local, sizeof(local), &file.is_copy, &missing,
	                      err))
		return false;
	if (missing)
		return true; /* compaction has removed it since the listing */
	file.path = copy_text(entry->path);
	file.table = path.table;
	file.day = path.day;
	GROW(files->at, files->count, files->capacity);
	files->at[files->count++] = file;
	ok = footer_read(&footer, duck, local, err) &&
	     (path.topic.at ? take_plain(files, &footer, prefix, files->count - 1, &ours, err)
	                    : take_compacted(files, &footer, prefix, files->count - 1, &ours, err));
	footer_free(&footer);
	if (file.is_copy)
		unlink(local);
	if (ok && !ours)
		free(files->at[--files->count].path);
	return ok || err_prefix(err, "%s", entry->path);
}

/* ---- what counts */

static int by_place(const void *a, const void *b)
{
	const struct rebuild_batch *x = a, *y = b;

	if (x->topic != y->topic)
		return x->topic < y->topic ? -1 : 1;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->next > y->next) - (x->next < y->next);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int path_and_file(const void *path, const void *file)
{
	return strcmp(path, ((const struct rebuild_file *)file)->path);
}

static bool is_replaced(const struct rebuild_files *files, const char *path)
{
	return files->replaced_count && bsearch(&path, files->replaced, files->replaced_count,
	                                        sizeof(*files->replaced), by_text);
}

/* The files that were replaced are not used, and neither are their batches: the compacted file has
 * its own. */
static void leave_out_replaced(struct rebuild_files *files)
{
	size_t kept = 0;

	if (files->replaced_count)
		qsort(files->replaced, files->replaced_count, sizeof(*files->replaced), by_text);
	for (size_t i = 0; i < files->count; i++)
		files->at[i].replaced = is_replaced(files, files->at[i].path);
	for (size_t i = 0; i < files->batch_count; i++)
		if (!files->at[files->batches[i].file].replaced)
			files->batches[kept++] = files->batches[i];
	files->batch_count = kept;
	if (kept)
		qsort(files->batches, kept, sizeof(*files->batches), by_place);
}

static int64_t oldest_day(const struct rebuild_files *files, enum lake_table table)
{
	int64_t day = INT64_MAX;

	for (size_t i = 0; i < files->count; i++)
		if (files->at[i].table == table && files->at[i].day < day)
			day = files->at[i].day;
	return day;
}

static bool is_last(const struct rebuild_files *files, const struct rebuild_batch *batch)
{
	return batch->next >= rebuild_files_end(files, batch->topic, batch->partition);
}

static void leave_out_batch(struct rebuild_files *files, const struct rebuild_batch *batch)
{
	size_t kept = 0;

	for (size_t i = 0; i < files->batch_count; i++)
		if (by_place(&files->batches[i], batch) != 0)
			files->batches[kept++] = files->batches[i];
	files->batch_count = kept;
}

/* A file that a footer names is there, or was replaced, or `lake expire` has removed its day, or
 * its batch is the last one and was never registered. */
static bool check_member(struct rebuild_files *files, const char *path,
                         const struct rebuild_batch *batch, int64_t *expired, struct err *err)
{
	struct lake_path parsed;

	if ((files->count &&
	     bsearch(path, files->at, files->count, sizeof(*files->at), path_and_file)) ||
	    is_replaced(files, path))
		return true;
	if (lake_path_parse(path, &parsed) && parsed.day < oldest_day(files, parsed.table)) {
		++*expired;
		return true;
	}
	if (is_last(files, batch)) {
		log_warn("incomplete_batch_left_out", log_str("missing", path),
		         log_int("first", batch->first), log_int("next", batch->next));
		leave_out_batch(files, batch);
		return true;
	}
	return err_set(err, ERR_OPERATOR,
	               "the lake lacks the file %s, which has records of its batch [%" PRId64
	               ", %" PRId64 "): run `lake verify`, and restore the file from a backup",
	               path, batch->first, batch->next);
}

static bool check_members(struct rebuild_files *files, struct err *err)
{
	int64_t expired = 0;

	for (size_t i = 0; i < files->member_count; i++)
		if (!files->at[files->member_batches[i].file].replaced &&
		    !check_member(files, files->members[i], &files->member_batches[i], &expired,
		                  err))
			return false;
	if (expired)
		log_warn(
			"expired_days", log_int("files", expired),
			log_str("detail",
		                "the oldest days are not in the lake any more, so they will not be "
		                "in the result"));
	return true;
}

static bool is_same_partition(const struct rebuild_batch *a, const struct rebuild_batch *b)
{
	return a->topic == b->topic && a->partition == b->partition;
}

/* Within a partition, batches do not overlap. A batch without rows has no files, so there may be
 * offsets between two batches. Whether rows are missing there, only the counts can say. */
static bool check_overlaps(const struct rebuild_files *files, const char *prefix, struct err *err)
{
	for (size_t i = 1; i < files->batch_count; i++) {
		const struct rebuild_batch *before = &files->batches[i - 1],
					   *batch = &files->batches[i];

		if (!is_same_partition(before, batch) || batch->first >= before->next ||
		    by_place(before, batch) == 0)
			continue;
		return err_set(err, ERR_OPERATOR,
		               "two batches of %s%s/%" PRId32 " overlap: [%" PRId64 ", %" PRId64
		               ") in %s and [%" PRId64 ", %" PRId64 ") in %s: run `lake verify`",
		               prefix, topic_of(batch->topic)->suffix, batch->partition,
		               before->first, before->next, files->at[before->file].path,
		               batch->first, batch->next, files->at[batch->file].path);
	}
	return true;
}

static bool read_all(struct rebuild_files *files, struct lake_storage *storage, struct duck *duck,
                     const char *prefix, const struct lake_listing *listing, struct err *err)
{
	for (size_t i = 0; i < listing->count; i++) {
		if (service_stopping())
			return err_set(err, ERR_RETRY, "stopped by a signal");
		health_alive();
		if (!read_file(files, storage, duck, prefix, &listing->at[i], err))
			return false;
	}
	return true;
}

bool rebuild_files_read(struct rebuild_files *files, struct lake_storage *storage,
                        struct duck *duck, const char *prefix, struct err *err)
{
	struct lake_listing listing = {0};
	bool ok = lake_storage_list(storage, "", &listing, err) &&
	          read_all(files, storage, duck, prefix, &listing, err);

	if (ok && !files->batch_count)
		ok = err_set(
			err, ERR_OPERATOR,
			"%s has no files of the topics %s*, but %zu others: check LAKE_URL and "
			"SOURCE_PREFIX",
			lake_storage_root(storage), prefix, listing.count);
	lake_listing_free(&listing);
	if (!ok)
		return false;
	leave_out_replaced(files);
	return check_members(files, err) && check_overlaps(files, prefix, err);
}

/* ---- windows */

int32_t rebuild_files_partitions(const struct rebuild_files *files)
{
	int32_t count = 0;

	for (size_t i = 0; i < files->batch_count; i++)
		if (files->batches[i].partition >= count)
			count = files->batches[i].partition + 1;
	return count;
}

int64_t rebuild_files_end(const struct rebuild_files *files, enum topic_id topic, int32_t partition)
{
	int64_t end = 0;

	for (size_t i = 0; i < files->batch_count; i++)
		if (files->batches[i].topic == topic && files->batches[i].partition == partition &&
		    files->batches[i].next > end)
			end = files->batches[i].next;
	return end;
}

bool rebuild_files_window(const struct rebuild_files *files, enum topic_id topic, int32_t partition,
                          int64_t from, int64_t records, struct rebuild_window *window)
{
	*window = (struct rebuild_window){topic, partition, -1, -1};
	for (size_t i = 0; i < files->batch_count; i++) {
		const struct rebuild_batch *batch = &files->batches[i];

		if (batch->topic != topic || batch->partition != partition || batch->next <= from)
			continue;
		if (window->from < 0)
			window->from = batch->first > from ? batch->first : from;
		else if (batch->next - window->from > records)
			break;
		window->to = batch->next;
	}
	if (window->to - window->from > 2 * records)
		window->to = window->from + records;
	return window->from >= 0;
}

static bool batch_in(const struct rebuild_batch *batch, const struct rebuild_window *window)
{
	return batch->topic == window->topic && batch->partition == window->partition &&
	       batch->first < window->to && batch->next > window->from;
}

static bool fetch(struct rebuild_file *file, struct lake_storage *storage, struct err *err)
{
	char local[4096];

	if (file->local)
		return true;
	if (!lake_storage_get(storage, file->path, local, sizeof(local), &file->is_copy, NULL, err))
		return false;
	file->local = copy_text(local);
	return true;
}

bool rebuild_files_list(struct rebuild_files *files, struct lake_storage *storage,
                        const struct rebuild_window *window, enum lake_table table,
                        struct buffer *sql, size_t *count, struct err *err)
{
	bool *listed = xzalloc(files->count + 1, sizeof(*listed));
	bool ok = true;

	*count = 0;
	add_text(sql, "[");
	for (size_t i = 0; ok && i < files->batch_count; i++) {
		struct rebuild_file *file = &files->at[files->batches[i].file];

		if (file->table != table || listed[files->batches[i].file] ||
		    !batch_in(&files->batches[i], window))
			continue;
		listed[files->batches[i].file] = true;
		ok = fetch(file, storage, err);
		if (!ok)
			break;
		if ((*count)++)
			add_text(sql, ",");
		duck_quote(sql, file->local);
	}
	add_text(sql, "]");
	free(listed);
	return ok;
}

void rebuild_files_release(struct rebuild_files *files, enum topic_id topic, int32_t partition,
                           int64_t from)
{
	const struct rebuild_window rest = {topic, partition, from, INT64_MAX};
	bool *needed = xzalloc(files->count + 1, sizeof(*needed));

	for (size_t i = 0; i < files->batch_count; i++)
		needed[files->batches[i].file] |= batch_in(&files->batches[i], &rest);
	for (size_t i = 0; i < files->count; i++)
		if (!needed[i])
			drop_copy(&files->at[i]);
	free(needed);
}
