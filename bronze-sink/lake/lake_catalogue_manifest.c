/* A manifest:
 *
 *   {"topic": "ecommerce_bronze_events", "partition": 0, "next": 500,
 *    "last": "499,1575072000000,0123456789abcdef", "segment": "2019-Oct.csv", "clock": "1,2,3,4,1",
 *    "batches": [{"first": 0, "next": 500, "clock": ..., "segment": ..., "rows": {"bronze": 499},
 *                 "files": [{"path": "bronze/...", "rows": 499, "bytes": 12345}]}]}
 *
 * Each commit reads it, adds a batch and replaces it. Limit: it grows by a line per batch, so a
 * commit takes longer with the number of batches. */
#include "lake_catalogue_manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "service/fault.h"
#include "stream/start_offset.h"

static void path_of(const struct lake_position *at, char out[LAKE_RELATIVE_MAX])
{
	snprintf(out, LAKE_RELATIVE_MAX, "_manifests/%s-%" PRId32 ".json", at->topic,
	         at->partition);
}

bool lake_manifest_open(struct lake_storage *storage, struct err *err)
{
	if (lake_storage_is_folder(storage))
		return true;
	return err_set(err, ERR_OPERATOR,
	               "LAKE_URL is the bucket %s, and POSTGRES_DSN is empty: a lake in a bucket "
	               "needs PostgreSQL; set POSTGRES_DSN, or use a folder",
	               lake_storage_root(storage));
}

static bool invalid(const char *path, const char *why, struct err *err)
{
	return err_set(err, ERR_OPERATOR,
	               "%s: invalid manifest: %s; restore the file from a backup", path, why);
}

/* *manifest: NULL, there is none. */
static bool load(struct lake_storage *storage, const struct lake_position *at, json_t **manifest,
                 struct err *err)
{
	char path[LAKE_RELATIVE_MAX], local[4096];
	bool is_copy = false, missing = false;
	json_error_t why;

	*manifest = NULL;
	path_of(at, path);
	if (!lake_storage_get(storage, path, local, sizeof(local), &is_copy, &missing, err))
		return false;
	if (missing)
		return true;
	*manifest = json_load_file(local, JSON_REJECT_DUPLICATES, &why);
	return *manifest || invalid(path, why.text, err);
}

static bool take_text(const json_t *manifest, const char *key, char *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(manifest, key));

	if (!text || strlen(text) >= cap)
		return false;
	snprintf(out, cap, "%s", text);
	return true;
}

/* Fills the position from a manifest that was loaded. */
static bool take(const json_t *manifest, struct lake_position *at, struct err *err)
{
	const json_t *next = json_object_get(manifest, "next");
	char path[LAKE_RELATIVE_MAX], last[RECORD_MARK_TEXT_MAX];

	path_of(at, path);
	if (!json_is_integer(next) || json_integer_value(next) < 0)
		return invalid(path, "expected a number in next", err);
	at->next = json_integer_value(next);
	if (!take_text(manifest, "segment", at->segment, sizeof(at->segment)) ||
	    !take_text(manifest, "clock", at->clock, sizeof(at->clock)) ||
	    !take_text(manifest, "last", last, sizeof(last)))
		return invalid(path, "expected texts in segment, clock and last", err);
	at->last = RECORD_MARK_NONE;
	return !*last || record_mark_parse(last, &at->last) ||
	       invalid(path, "expected <offset>,<time>,<hash> in last", err);
}

static bool read_one(struct lake_storage *storage, struct lake_position *at, struct err *err)
{
	json_t *manifest;
	bool ok;

	at->next = OFFSET_NONE;
	at->last = RECORD_MARK_NONE;
	at->segment[0] = at->clock[0] = '\0';
	if (!load(storage, at, &manifest, err))
		return false;
	ok = !manifest || take(manifest, at, err);
	json_decref(manifest);
	return ok;
}

bool lake_manifest_read(struct lake_storage *storage, struct lake_position *at, size_t count,
                        struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (!read_one(storage, &at[i], err))
			return false;
	return true;
}

/* ---- commit */

static json_t *files_of(const struct lake_commit *batch)
{
	json_t *files = json_array();

	for (size_t i = 0; i < batch->file_count; i++)
		json_array_append_new(files,
		                      json_pack("{s:s,s:I,s:I}", "path", batch->files[i].path,
		                                "rows", (json_int_t)batch->files[i].rows, "bytes",
		                                (json_int_t)batch->files[i].bytes));
	return files;
}

static json_t *rows_of(const struct lake_commit *batch)
{
	json_t *rows = json_object();

	for (int t = 0; t < LAKE_TABLE_COUNT; t++)
		if (batch->rows[t] > 0)
			json_object_set_new(rows, lake_table_def((enum lake_table)t)->name,
			                    json_integer(batch->rows[t]));
	return rows;
}

static void change(json_t *manifest, const struct lake_commit *batch)
{
	const struct lake_position *to = &batch->to;
	char last[RECORD_MARK_TEXT_MAX] = "";

	if (to->last.offset >= 0)
		record_mark_format(&to->last, last);
	json_object_set_new(manifest, "next", json_integer(to->next));
	json_object_set_new(manifest, "last", json_string(last));
	json_object_set_new(manifest, "segment", json_string(to->segment));
	json_object_set_new(manifest, "clock", json_string(to->clock));
	json_array_append_new(json_object_get(manifest, "batches"),
	                      json_pack("{s:I,s:I,s:s,s:s,s:o,s:o}", "first",
	                                (json_int_t)batch->first, "next", (json_int_t)to->next,
	                                "clock", to->clock, "segment", to->segment, "rows",
	                                rows_of(batch), "files", files_of(batch)));
}

static bool replace(struct lake_storage *storage, const json_t *manifest,
                    const struct lake_commit *batch, struct err *err)
{
	char path[LAKE_RELATIVE_MAX], *text = json_dumps(manifest, JSON_INDENT(1) | JSON_SORT_KEYS);
	bool ok;

	if (!text)
		memory_exhausted();
	path_of(&batch->to, path);
	ok = lake_storage_replace(storage, path, text, strlen(text), err);
	free(text);
	return ok;
}

/* Whether the newest batch of the manifest is this one. */
static bool is_stored(const json_t *manifest, const struct lake_commit *batch)
{
	const json_t *batches = json_object_get(manifest, "batches"),
		     *newest = json_array_get(batches, json_array_size(batches) - 1);

	return newest && json_integer_value(json_object_get(newest, "first")) == batch->first &&
	       json_integer_value(json_object_get(newest, "next")) == batch->to.next;
}

/* is_new: the manifest is not stored yet. */
static bool commit_one(struct lake_storage *storage, json_t *manifest, bool is_new,
                       const struct lake_commit *batch, struct err *err)
{
	struct lake_position stored = batch->from;

	stored.next = OFFSET_NONE;
	if (!is_new && !take(manifest, &stored, err))
		return false;
	if (is_stored(manifest, batch))
		return true;
	if (stored.next != batch->from.next)
		return err_set(err, ERR_CONFLICT,
		               "%s/%" PRId32 ": another lake writer has moved the position from "
		               "%" PRId64 " to %" PRId64,
		               batch->to.topic, batch->to.partition, batch->from.next, stored.next);
	if (!json_is_array(json_object_get(manifest, "batches")))
		return invalid(batch->to.topic, "expected an array in batches", err);
	change(manifest, batch);
	FAULT_POINT("before_commit");
	return replace(storage, manifest, batch, err);
}

bool lake_manifest_commit(struct lake_storage *storage, const struct lake_commit *batches,
                          size_t count, struct err *err)
{
	bool ok = true;

	for (size_t i = 0; ok && i < count; i++) {
		const struct lake_position *to = &batches[i].to;
		json_t *manifest;
		bool is_new;

		if (!load(storage, to, &manifest, err))
			return false;
		is_new = !manifest;
		if (is_new)
			manifest = json_pack("{s:s,s:i,s:[]}", "topic", to->topic, "partition",
			                     (int)to->partition, "batches");
		ok = commit_one(storage, manifest, is_new, &batches[i], err);
		json_decref(manifest);
		FAULT_POINT("after_commit");
	}
	return ok;
}
