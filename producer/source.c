/* Files are merged by event time, or sorted. Only one plain file can be read from its middle. To
 * resume any other source, all of it is read again in the same order, and the earlier rows are
 * skipped. The answers of a shop cannot be read again. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/fnv.h"
#include "base/span.h"
#include "event/event.h"
#include "file_list.h"
#include "mapping.h"
#include "merge.h"
#include "service/monotime.h"

struct source {
	char segment[SEGMENT_NAME_MAX];
	char name[101]; /* of the input, the first part of segment */
	uint64_t hash;  /* of all that decides the rows and their order */
	int64_t limit, rows;
	bool ended;
	struct selection *selection; /* NULL: all rows */
	/* files */
	struct file_list list;
	struct merge *merge; /* NULL: no row was read yet */
	struct external_sort *sort;
	bool sorted; /* all rows are in sort, and it gives them */
	/* generator */
	struct generator *generator;
	struct generator_config generated;
	int64_t events;
	/* a shop */
	struct fakestore *fakestore;
};

static void name_segment(struct source *source)
{
	uint64_t hash = fnv1a(source->hash, &source->limit, sizeof(source->limit));

	if (source->selection && !selection_is_all(&source->selection->config)) {
		selection_segment(&source->selection->config, source->name, hash, source->segment,
		                  sizeof(source->segment));
		return;
	}
	snprintf(source->segment, sizeof(source->segment), "%s-%012llx", source->name,
	         (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
}

void source_hash_text(struct source *source, const char *text)
{
	source->hash = fnv1a(source->hash, text, strlen(text) + 1);
	name_segment(source);
}

static struct source *source_alloc(int64_t limit, struct err *err)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		err_set(err, ERR_FATAL, "out of memory");
	else
		source->limit = limit;
	return source;
}

/* The base name of the input, or of its first file if it is not one path. */
static void name_input(struct source *source, const char *input)
{
	char *real = realpath(input, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;
	const char *name = slash && slash[1] ? slash + 1 : source->list.files[0].name;

	snprintf(source->name, sizeof(source->name), "%.100s", name);
	for (char *p = source->name; *p; p++)
		if (*p == '/' || *p == ' ')
			*p = '_'; /* the name is part of the name of the state file */
	free(real);
}

/* The format decides what the rows are. */
static void hash_format(struct source *source, const struct row_format *format)
{
	const char delimiter[2] = {format->delimiter, '\0'};
	char mapping[20];

	if (delimiter[0])
		source_hash_text(source, delimiter);
	if (format->encoding[0])
		source_hash_text(source, format->encoding);
	if (format->columns[0])
		source_hash_text(source, format->columns);
	if (!format->mapping)
		return;
	snprintf(mapping, sizeof(mapping), "%016llx",
	         (unsigned long long)mapping_hash(format->mapping));
	source_hash_text(source, mapping);
}

static void hash_files(struct source *source)
{
	source->hash = file_list_hash(&source->list);
	name_segment(source);
	if (source->list.count > 1)
		source_hash_text(source, "merged by time");
	hash_format(source, source->list.format);
}

struct source *source_files_open(const char *input, const struct row_format *format, int64_t limit,
                                 struct err *err)
{
	struct source *source = source_alloc(limit, err);

	if (!source)
		return NULL;
	source->list.format = format;
	if (!file_list_read(&source->list, input, err)) {
		source_free(source);
		return NULL;
	}
	name_input(source, input);
	hash_files(source);
	return source;
}

static uint64_t config_hash(const struct generator_config *c)
{
	const int64_t numbers[] = {c->events,
	                           (int64_t)c->seed,
	                           c->start_us,
	                           c->duration_us,
	                           c->duplicates_ppm,
	                           c->malformed_ppm,
	                           c->late_ppm,
	                           c->disorder_us,
	                           c->missing_sessions_ppm,
	                           c->checkouts | (int64_t)c->shape << 1};

	return fnv1a(FNV1A_START, numbers, sizeof(numbers));
}

struct source *source_synthetic_new(const struct generator_config *config, int64_t limit,
                                    struct err *err)
{
	struct source *source = source_alloc(limit, err);

	if (!source)
		return NULL;
	source->events = config->events;
	source->generated = *config;
	source->generator = generator_new(config);
	if (!source->generator) {
		err_set(err, ERR_FATAL, "out of memory");
		source_free(source);
		return NULL;
	}
	snprintf(source->name, sizeof(source->name), "synthetic");
	source->hash = config_hash(config);
	name_segment(source);
	return source;
}

struct source *source_fakestore_new(const struct fakestore_config *config, int64_t limit,
                                    struct err *err)
{
	struct source *source = source_alloc(limit, err);
	int64_t began_us = wallclock_us();

	if (!source)
		return NULL;
	source->fakestore = fakestore_new(config, err);
	if (!source->fakestore) {
		source_free(source);
		return NULL;
	}
	snprintf(source->name, sizeof(source->name), "fakestore");
	source->hash = fnv1a(FNV1A_START, config->url, strlen(config->url));
	source->hash = fnv1a(source->hash, &began_us, sizeof(began_us));
	name_segment(source);
	return source;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	fakestore_free(source->fakestore);
	external_sort_free(source->sort);
	merge_free(source->merge);
	file_list_fini(&source->list);
	generator_free(source->generator);
	free(source);
}

const char *source_segment(const struct source *source)
{
	return source->segment;
}

bool source_select(struct source *source, struct selection *selection, struct err *err)
{
	const struct selection_config *config = &selection->config;

	source->selection = selection;
	selection->config.by_name = !source->generator && !source->fakestore;
	if ((!source_can_resume(source) || source->fakestore) &&
	    (config->passes > 1 || config->shift != SHIFT_NONE || config->may_be_empty))
		return err_set(err, ERR_INPUT,
		               "EVERY, LOOP and SHIFT_TO_NOW read the input more than once, and a "
		               "stream can be read once only; expected files");
	if (source->generator || source->fakestore) {
		name_segment(source);
		return true;
	}
	selection_keep_files(config, &source->list);
	hash_files(source);
	return source->list.count > 0 ||
	       err_set(err, ERR_INPUT,
	               "every file name of INPUT has a month, and MONTH has none of these "
	               "months; expected another MONTH or INPUT");
}

/* ---- files */

static bool open_files(struct source *source, struct err *err)
{
	if (!source->merge)
		source->merge = merge_new(&source->list, source->list.format,
		                          source->sort ? MERGE_FILE_BY_FILE : MERGE_BY_TIME, err);
	return source->merge != NULL;
}

bool source_sort(struct source *source, const char *folder, size_t memory_bytes, struct err *err)
{
	source->sort = external_sort_new(folder, memory_bytes, err);
	source_hash_text(source, "sorted by time");
	return source->sort != NULL;
}

/* All rows were added. */
static bool finish_sort(struct source *source, struct err *err)
{
	merge_free(source->merge);
	source->merge = NULL;
	source->sorted = external_sort_finish(source->sort, err);
	return source->sorted;
}

bool source_prepare(struct source *source, int64_t rows, bool *ready, struct err *err)
{
	struct row row;

	*ready = !source->sort || source->sorted;
	if (*ready)
		return true;
	if (!open_files(source, err))
		return false;
	for (int64_t i = 0; i < rows; i++) {
		switch (merge_next(source->merge, &row, err)) {
		case MERGE_ROW: break;
		case MERGE_END: *ready = finish_sort(source, err); return *ready;
		case MERGE_FAILED: return err_prefix(err, "nothing was sent");
		}
		if (!external_sort_add(source->sort, &row, err))
			return false;
	}
	return true;
}

static enum source_result next_of_sort(struct source *source, struct row *row, struct err *err)
{
	bool ready = false;

	while (!ready)
		if (!source_prepare(source, INT64_MAX, &ready, err))
			return SOURCE_FAILED;
	switch (external_sort_next(source->sort, row, err)) {
	case EXTERNAL_SORT_ROW:
		row->source_file = source->list.files[row->position.file].name;
		return SOURCE_ROW;
	case EXTERNAL_SORT_END: return SOURCE_END;
	case EXTERNAL_SORT_FAILED: break;
	}
	return SOURCE_FAILED;
}

static enum source_result next_of_files(struct source *source, struct row *row, struct err *err)
{
	if (source->sort)
		return next_of_sort(source, row, err);
	if (!open_files(source, err))
		return SOURCE_FAILED;
	switch (merge_next(source->merge, row, err)) {
	case MERGE_ROW: return SOURCE_ROW;
	case MERGE_END: return SOURCE_END;
	case MERGE_FAILED: break;
	}
	return SOURCE_FAILED;
}

/* ---- generator */

static void split_generated(struct row *row, struct span line)
{
	struct span fields[ROW_COLUMNS_MAX];
	struct csv_record record;
	char copy[1024];
	size_t used;

	line.len = line.len < sizeof(copy) ? line.len : sizeof(copy);
	memcpy(copy, line.at, line.len);
	row_split(row, &row_columns_standard,
	          csv_next(copy, line.len, true, fields, ROW_COLUMNS_MAX, &record, &used), &record,
	          fields);
	/* The copy ends with this function, so the fields are set to the line itself: it has no
	 * quotes. */
	for (size_t i = 0; i < EVENT_FIELD_COUNT && !row->error[0]; i++)
		row->fields[i].at = line.at + (row->fields[i].at - copy);
	row->raw = line;
}

static enum source_result next_of_generator(struct source *source, struct row *row, struct err *err)
{
	struct generated_row made;

	switch (generator_next(source->generator, &made)) {
	case GENERATOR_ROW: break;
	case GENERATOR_END: return SOURCE_END;
	case GENERATOR_NO_MEMORY: err_set(err, ERR_FATAL, "out of memory"); return SOURCE_FAILED;
	}
	if (made.well_formed) {
		row_clear(row);
		memcpy(row->fields, made.fields, sizeof(row->fields));
		row->raw = made.line;
		row->event_time_us = made.event_time_us;
	} else {
		split_generated(row, made.line);
	}
	row->source_file = source->segment;
	row->position = (struct row_position){0, source->rows + 1, 0};
	return SOURCE_ROW;
}

static enum source_result next_of_fakestore(struct source *source, struct row *row, struct err *err)
{
	switch (fakestore_next(source->fakestore, row, err)) {
	case FAKESTORE_ROW: break;
	case FAKESTORE_END: return SOURCE_END;
	case FAKESTORE_FAILED: return SOURCE_FAILED;
	}
	row->position = (struct row_position){0, source->rows + 1, 0};
	return SOURCE_ROW;
}

bool source_is_live(const struct source *source)
{
	return source->fakestore != NULL;
}

/* ---- all sources */

/* Back to the first row of the input. */
static bool rewind_input(struct source *source, struct err *err)
{
	if (source->sorted)
		return external_sort_rewind(source->sort, err);
	merge_free(source->merge);
	source->merge = NULL;
	if (!source->generator)
		return true;
	generator_free(source->generator);
	source->generator = generator_new(&source->generated);
	return source->generator || err_set(err, ERR_FATAL, "out of memory");
}

bool source_restart(struct source *source, bool scanning, struct err *err)
{
	selection_restart(source->selection, scanning);
	source->ended = false;
	source->rows = 0;
	return rewind_input(source, err);
}

static enum source_result next_of_input(struct source *source, struct row *row, struct err *err)
{
	return source->generator   ? next_of_generator(source, row, err)
	       : source->fakestore ? next_of_fakestore(source, row, err)
	                           : next_of_files(source, row, err);
}

/* The next row that is selected, of this pass or the next one. */
static enum source_result next_selected(struct source *source, struct row *row, struct err *err)
{
	enum source_result result = next_of_input(source, row, err);

	while (source->selection) {
		if (result == SOURCE_FAILED ||
		    (result == SOURCE_ROW && selection_take(source->selection, row)))
			return result;
		if (result == SOURCE_END && !selection_next_pass(source->selection, wallclock_us()))
			return result;
		if (result == SOURCE_END && !rewind_input(source, err))
			return SOURCE_FAILED;
		result = next_of_input(source, row, err);
	}
	return result;
}

/* Without a row, the run would look like success. */
static bool may_be_empty(const struct source *source)
{
	return source->generator || (source->selection && source->selection->config.may_be_empty);
}

static bool is_at_limit(const struct source *source)
{
	return source->limit > 0 && source->rows == source->limit;
}

enum source_result source_next(struct source *source, struct row *row, struct err *err)
{
	enum source_result result;

	if (source->ended || is_at_limit(source))
		return SOURCE_END;
	result = next_selected(source, row, err);
	if (result == SOURCE_END && source->rows == 0 && !may_be_empty(source)) {
		err_set(err, ERR_INPUT, "%s: the input has no row to send", source->name);
		result = SOURCE_FAILED;
	}
	source->ended = result == SOURCE_END;
	if (result == SOURCE_ROW)
		source->rows++;
	return result;
}

bool source_waits(struct source *source)
{
	if (is_at_limit(source))
		return false;
	if (source->fakestore)
		return !source->ended && fakestore_waits(source->fakestore);
	return source->merge && !source->sort && merge_waits(source->merge);
}

bool source_can_resume(const struct source *source)
{
	for (size_t i = 0; i < source->list.count; i++)
		if (strcmp(source->list.files[i].path, "-") == 0)
			return false;
	return true;
}

bool source_resume(struct source *source, const struct row_position *position, int64_t rows,
                   int64_t *skip, struct err *err)
{
	*skip = rows;
	/* A selection counts rows from the beginning. */
	if (source->generator ||
	    (source->selection && !selection_is_all(&source->selection->config)))
		return true;
	if (position->file < 0 || (size_t)position->file >= source->list.count)
		return err_set(err, ERR_OPERATOR,
		               "the state file continues in file %d, but the input has %zu files; "
		               "--resume=false sends the input from its beginning",
		               (int)position->file + 1, source->list.count);
	if (source->sort)
		return true;
	if (!open_files(source, err))
		return false;
	if (merge_seek(source->merge, position)) {
		*skip = 0;
		source->rows = rows;
	}
	return true;
}

int64_t source_progress(const struct source *source, int64_t *total)
{
	if (source->fakestore) {
		*total = 0;
		return 0;
	}
	if (source->generator) {
		*total = source->events;
		return generator_made(source->generator);
	}
	*total = source->list.bytes;
	if (source->sorted) {
		struct external_sort_numbers numbers = external_sort_numbers(source->sort);

		return numbers.rows == 0 ? *total
		                         : (int64_t)((double)*total * (double)numbers.given /
		                                     (double)numbers.rows);
	}
	return source->merge ? merge_bytes(source->merge) : 0;
}

struct external_sort_numbers source_sort_numbers(const struct source *source)
{
	return source->sort ? external_sort_numbers(source->sort)
	                    : (struct external_sort_numbers){0};
}

size_t source_file_count(const struct source *source, size_t *ignored)
{
	*ignored = source->list.ignored;
	return source->list.count;
}

size_t source_empty_files(const struct source *source)
{
	size_t empty = 0;

	for (size_t i = 0; i < source->list.count; i++)
		empty += source->list.files[i].empty;
	return empty;
}
