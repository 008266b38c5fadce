/* Files are read one after the other, as one stream of rows. The generator cannot start in the
 * middle: to resume, it generates the earlier rows again and they are skipped. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/span.h"
#include "csv_reader.h"
#include "event/event.h"
#include "file_list.h"
#include "fnv.h"
#include "service/monotime.h"

struct source {
	char segment[SEGMENT_NAME_MAX];
	int64_t limit, rows;
	bool ended;
	struct selection *selection; /* NULL: all rows */
	/* files */
	struct file_list list;
	size_t file;               /* index of the file that reader reads */
	struct csv_reader *reader; /* NULL: not opened yet */
	int64_t bytes_before;      /* bytes of the files before it */
	/* generator */
	struct generator *generator;
	struct generator_config generated;
	int64_t events;
};

static void name_segment(struct source *source, const char *name, uint64_t hash)
{
	hash = fnv1a(hash, &source->limit, sizeof(source->limit));
	snprintf(source->segment, sizeof(source->segment), "%.100s-%012llx", name,
	         (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
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

void source_input_name(const char *path, char out[SEGMENT_NAME_MAX])
{
	char *real = realpath(path, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;

	snprintf(out, SEGMENT_NAME_MAX, "%.100s", slash && slash[1] ? slash + 1 : "input");
	free(real);
}

struct source *source_files_new(const char *path, int64_t limit, struct err *err)
{
	struct source *source = source_alloc(limit, err);
	char name[SEGMENT_NAME_MAX];

	if (!source)
		return NULL;
	if (!file_list_read(&source->list, path, err)) {
		source_free(source);
		return NULL;
	}
	source_input_name(path, name);
	name_segment(source, name, file_list_hash(&source->list));
	return source;
}

static uint64_t config_hash(const struct generator_config *c)
{
	const int64_t numbers[] = {c->events,      (int64_t)c->seed,  c->start_us,
	                           c->duration_us, c->duplicates_ppm, c->malformed_ppm,
	                           c->late_ppm,    c->disorder_us,    c->missing_sessions_ppm,
	                           c->checkouts};

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
	name_segment(source, "synthetic", config_hash(config));
	return source;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	csv_reader_free(source->reader);
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
	uint64_t hash = fnv1a(FNV1A_START, source->segment, strlen(source->segment));
	char name[SEGMENT_NAME_MAX];

	source->selection = selection;
	selection->config.by_name = source->generator == NULL;
	if (selection_is_all(&selection->config))
		return true;
	if (!source->generator) {
		selection_keep_files(&selection->config, &source->list);
		hash = file_list_hash(&source->list);
	}
	hash = fnv1a(hash, &source->limit, sizeof(source->limit));
	snprintf(name, sizeof(name), "%s", source->segment);
	*strrchr(name, '-') = '\0';
	selection_segment(&selection->config, name, hash, source->segment, sizeof(source->segment));
	return source->generator || source->list.count > 0 ||
	       err_set(err, ERR_INPUT,
	               "no file of INPUT has a month of MONTH in its name, and every name has a "
	               "month; expected another MONTH or INPUT");
}

static bool open_file(struct source *source, struct err *err)
{
	if (!source->reader)
		source->reader = csv_reader_new(source->list.files[source->file].path, err);
	return source->reader != NULL;
}

static enum source_result next_of_files(struct source *source, struct row *row, struct err *err)
{
	while (source->file < source->list.count) {
		if (!open_file(source, err))
			return SOURCE_FAILED;
		switch (csv_reader_next(source->reader, row, err)) {
		case CSV_READER_ROW:
			row->source_file = source->list.files[source->file].name;
			row->position.file = (int32_t)source->file;
			return SOURCE_ROW;
		case CSV_READER_END: break;
		case CSV_READER_CUT:
		case CSV_READER_FAILED: return SOURCE_FAILED;
		}
		csv_reader_free(source->reader);
		source->reader = NULL;
		source->bytes_before += source->list.files[source->file++].bytes;
	}
	return SOURCE_END;
}

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
		memcpy(row->fields, made.fields, sizeof(row->fields));
		row->raw = made.line;
		row->error[0] = '\0';
		row->event_time_us = made.event_time_us;
	} else {
		split_generated(row, made.line);
	}
	row->source_file = source->segment;
	row->position = (struct row_position){0, source->rows + 1, 0};
	return SOURCE_ROW;
}

/* Back to the first row of the input. */
static bool rewind_input(struct source *source, struct err *err)
{
	csv_reader_free(source->reader);
	source->reader = NULL;
	source->file = 0;
	source->bytes_before = 0;
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
	return source->generator ? next_of_generator(source, row, err)
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

enum source_result source_next(struct source *source, struct row *row, struct err *err)
{
	enum source_result result;

	if (source->ended || (source->limit > 0 && source->rows == source->limit))
		return SOURCE_END;
	result = next_selected(source, row, err);
	source->ended = result == SOURCE_END;
	if (result == SOURCE_ROW)
		source->rows++;
	return result;
}

bool source_resume(struct source *source, const struct row_position *position, int64_t rows,
                   int64_t *skip, struct err *err)
{
	*skip = rows;
	/* The selection counts rows from the beginning. */
	if (source->generator ||
	    (source->selection && !selection_is_all(&source->selection->config)))
		return true;
	if (position->file < 0 || (size_t)position->file >= source->list.count)
		return err_set(err, ERR_OPERATOR,
		               "the state file continues in file %d, but the input has %zu files; "
		               "--resume=false sends the input from its beginning",
		               (int)position->file + 1, source->list.count);
	while (source->file < (size_t)position->file)
		source->bytes_before += source->list.files[source->file++].bytes;
	if (!open_file(source, err))
		return false;
	*skip = csv_reader_seek(source->reader, position) ? 0 : position->row;
	source->rows = rows - *skip;
	return true;
}

int64_t source_progress(const struct source *source, int64_t *total)
{
	if (source->generator) {
		*total = source->events;
		return generator_made(source->generator);
	}
	*total = source->list.bytes;
	return source->bytes_before + (source->reader ? csv_reader_bytes(source->reader) : 0);
}

size_t source_file_count(const struct source *source, size_t *ignored)
{
	*ignored = source->list.ignored;
	return source->list.count;
}
