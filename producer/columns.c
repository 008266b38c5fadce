/* A field that occurs twice is refused, because no rule can choose the right column. Further
 * columns with the same name, or with a name of ours, get a number: x, x_2, x_3. */
#include "columns.h"

#include <stdio.h>
#include <strings.h>

#include "base/csv.h"
#include "event/event_fields.h"
#include "event/event_values.h"

static const char delimiters[] = {',', ';', '\t', '|'};
static const enum event_field_index needed[] = {FIELD_EVENT_TIME, FIELD_EVENT_TYPE,
                                                FIELD_PRODUCT_ID, FIELD_USER_ID};

/* ---- names */

/* The name without blanks and one pair of quotes around it. */
static struct span bare(struct span name)
{
	name = span_trim(name);
	if (name.len >= 2 && (name.at[0] == '"' || name.at[0] == '\'') &&
	    name.at[name.len - 1] == name.at[0])
		name = span_trim((struct span){name.at + 1, name.len - 2});
	return name;
}

static bool same_name(struct span name, const char *other)
{
	return name.len == strlen(other) && strncasecmp(name.at, other, name.len) == 0;
}

size_t columns_field_of(struct span name, const struct column_names *names)
{
	size_t field = 0;

	while (field < EVENT_FIELD_COUNT && !same_name(name, names->of[field]))
		field++;
	return field;
}

/* ---- splitting a header line */

struct header {
	char line[COLUMNS_NAMES_MAX];
	struct span names[ROW_COLUMNS_MAX];
	size_t count;
	bool spaced;
};

/* Splits at each delimiter, without regard to quotes. */
static size_t split_plain(struct span line, char delimiter, struct span *names)
{
	const char *start = line.at, *end = line.at + line.len, *next;
	size_t count = 0;

	do {
		next = memchr(start, delimiter, (size_t)(end - start));
		if (count < ROW_COLUMNS_MAX)
			names[count] = (struct span){start, (size_t)((next ? next : end) - start)};
		count++;
		start = next ? next + 1 : end;
	} while (next);
	return count;
}

static void split(struct header *header, struct span line, char delimiter)
{
	struct csv_record record;
	size_t used;

	memcpy(header->line, line.at, line.len);
	if (csv_next_delimited(delimiter, header->line, line.len, true, header->names,
	                       ROW_COLUMNS_MAX, &record, &used) == CSV_RECORD) {
		header->count = record.field_count;
	} else {
		memcpy(header->line, line.at, line.len);
		header->count = split_plain((struct span){header->line, line.len}, delimiter,
		                            header->names);
	}
	header->spaced = delimiter != '\t' && header->count > 1;
	for (size_t i = 0; i < header->count && i < ROW_COLUMNS_MAX; i++) {
		header->spaced =
			header->spaced &&
			(i == 0 || (header->names[i].len > 0 && header->names[i].at[0] == ' '));
		header->names[i] = bare(header->names[i]);
	}
}

static size_t fields_found(const struct header *header, const struct column_names *names)
{
	size_t found = 0;

	for (size_t i = 0; i < header->count && i < ROW_COLUMNS_MAX; i++)
		found += columns_field_of(header->names[i], names) < EVENT_FIELD_COUNT;
	return found;
}

/* The delimiter that finds most fields; of several, the one that makes most columns. */
static char find_delimiter(struct header *header, struct span line,
                           const struct column_names *names)
{
	size_t best_found = 0, best_count = 0;
	char best = ',';

	for (size_t i = 0; i < sizeof(delimiters); i++) {
		size_t found;

		split(header, line, delimiters[i]);
		found = fields_found(header, names);
		if (found < best_found || (found == best_found && header->count <= best_count))
			continue;
		best = delimiters[i];
		best_found = found;
		best_count = header->count;
	}
	return best;
}

/* ---- refusals, with what to do */

static void add(char *out, size_t cap, struct span text)
{
	size_t used = strlen(out);

	if (used + 1 < cap)
		snprintf(out + used, cap - used, "%.*s", (int)text.len, text.at);
}

static void list_names(const struct header *header, char *out, size_t cap)
{
	out[0] = '\0';
	for (size_t i = 0; i < header->count && i < ROW_COLUMNS_MAX; i++) {
		add(out, cap, i > 0 ? SPAN(", ") : SPAN(""));
		add(out, cap, header->names[i]);
	}
}

/* Letters and digits in lower case: UserID and user_id are alike. */
static size_t letters(struct span name, char out[64])
{
	size_t len = 0;

	for (size_t i = 0; i < name.len && len < 63; i++) {
		char c = name.at[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = c;
	}
	return len;
}

static bool alike(struct span name, const char *other)
{
	char a[64], b[64];
	size_t len = letters(name, a);

	return len > 0 && len == letters(span_of(other), b) && memcmp(a, b, len) == 0;
}

static void suggest(const struct header *header, size_t field, char *out, size_t cap)
{
	const char *ours = event_field_names[field];

	for (size_t i = 0; i < header->count && i < ROW_COLUMNS_MAX; i++) {
		if (!alike(header->names[i], ours))
			continue;
		add(out, cap, out[0] ? SPAN(",") : SPAN(""));
		add(out, cap, span_of(ours));
		add(out, cap, SPAN("="));
		add(out, cap, header->names[i]);
		return;
	}
}

/* Whether the line is a row and not a header: one of its columns has a time. */
static bool has_a_time(const struct header *header)
{
	int64_t time_us;

	for (size_t i = 0; i < header->count && i < ROW_COLUMNS_MAX; i++)
		if (event_time_read(header->names[i], &time_us))
			return true;
	return false;
}

static bool is_missing(const struct columns *columns, size_t field)
{
	return columns->fields.at[field] == ROW_COLUMN_NONE;
}

static bool check_needed(const struct columns *columns, const struct header *header,
                         const struct column_names *names, struct err *err)
{
	char missing[256] = "", has[300], near[128] = "";
	size_t count = 0;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		const char *name = names->of[needed[i]];

		if (!is_missing(columns, needed[i]))
			continue;
		add(missing, sizeof(missing), count++ > 0 ? SPAN(", ") : SPAN(""));
		add(missing, sizeof(missing), span_of(name));
		suggest(header, needed[i], near, sizeof(near));
	}
	if (count == 0)
		return true;
	list_names(header, has, sizeof(has));
	return err_set(
		err, ERR_INPUT,
		"column%s %s %s missing in the header line, which has: %s. Expected at "
		"least event_time, event_type, product_id and user_id. If columns have other "
		"names, set them with MAPPING, such as %s",
		count > 1 ? "s" : "", missing, count > 1 ? "are" : "is", has,
		near[0] ? near : "user_id=UserID");
}

static bool refuse_no_header(struct err *err)
{
	return err_set(err, ERR_INPUT,
	               "no header line: the first line looks like an event. Add a header line, or "
	               "name the columns: --columns event_time,event_type,product_id,category_id,"
	               "category_code,brand,price,user_id,user_session");
}

static bool refuse_other_texts(struct span header, struct err *err)
{
	bool utf16 = header.len >= 2 && (memcmp(header.at, "\xff\xfe", 2) == 0 ||
	                                 memcmp(header.at, "\xfe\xff", 2) == 0);

	if (utf16 || memchr(header.at, '\0', header.len))
		return err_set(err, ERR_INPUT,
		               "the text is UTF-16, and UTF-8 was expected. Read it with "
		               "--encoding utf-16, or convert it: iconv -f UTF-16 -t UTF-8 FILE "
		               ">NEW_FILE");
	if (memchr(header.at, '\r', header.len))
		return err_set(
			err, ERR_INPUT,
			"the lines end with a carriage return (CR) only, and a line feed was "
			"expected. Convert the file: tr '\\r' '\\n' <FILE >NEW_FILE");
	if (header.len == 0 || header.len > COLUMNS_NAMES_MAX)
		return err_set(err, ERR_INPUT, "the header line has %zu bytes; expected 1 to %d",
		               header.len, COLUMNS_NAMES_MAX);
	return true;
}

/* ---- columns */

static bool is_taken(const struct columns *columns, const char *name)
{
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		if (strcasecmp(name, event_field_names[i]) == 0)
			return true;
	for (size_t i = 0; i < columns->extra_count; i++)
		if (span_is(columns->extras[i].name, name))
			return true;
	return false;
}

static void add_extra(struct columns *columns, struct span name, size_t column, size_t *used)
{
	char *out = columns->names + *used;
	size_t cap = sizeof(columns->names) - *used;

	snprintf(out, cap, "%.*s", (int)name.len, name.at);
	for (unsigned n = 2; is_taken(columns, out); n++)
		snprintf(out, cap, "%.*s_%u", (int)name.len, name.at, n);
	*used += strlen(out) + 1;
	columns->extras[columns->extra_count].name = span_of(out);
	columns->extra_at[columns->extra_count++] = (uint8_t)column;
}

static bool assign(struct columns *columns, const struct header *header,
                   const struct column_names *names, struct err *err)
{
	size_t used = 0;

	memset(columns->fields.at, ROW_COLUMN_NONE, sizeof(columns->fields.at));
	columns->fields.count = header->count;
	columns->spaced = header->spaced;
	columns->extra_count = 0;
	for (size_t i = 0; i < header->count; i++) {
		size_t field = columns_field_of(header->names[i], names);

		if (field == EVENT_FIELD_COUNT)
			continue;
		if (!is_missing(columns, field))
			return err_set(err, ERR_INPUT,
			               "column %s occurs twice in the header line (columns %d and "
			               "%zu); rename or remove one of them",
			               names->of[field], columns->fields.at[field] + 1, i + 1);
		columns->fields.at[field] = (uint8_t)i;
	}
	for (size_t i = 0; i < header->count; i++)
		if (header->names[i].len > 0 &&
		    columns_field_of(header->names[i], names) == EVENT_FIELD_COUNT)
			add_extra(columns, header->names[i], i, &used);
	return true;
}

static struct span without_mark(struct span text)
{
	if (text.len >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0)
		text = (struct span){text.at + 3, text.len - 3};
	return text;
}

static bool read_header(struct columns *columns, struct header *header, struct span line,
                        const struct column_names *names, struct err *err)
{
	split(header, line, columns->fields.delimiter);
	if (header->count > ROW_COLUMNS_MAX)
		return err_set(err, ERR_INPUT,
		               "the header line has %zu columns; expected at most %d",
		               header->count, ROW_COLUMNS_MAX);
	if (fields_found(header, names) == 0 && has_a_time(header))
		return refuse_no_header(err);
	return assign(columns, header, names, err) && check_needed(columns, header, names, err);
}

bool columns_read(struct columns *columns, struct span line, char delimiter,
                  const struct column_names *names, struct err *err)
{
	struct header header;

	line = without_mark(line);
	if (!refuse_other_texts(line, err))
		return false;
	columns->fields.delimiter = delimiter ? delimiter : find_delimiter(&header, line, names);
	return read_header(columns, &header, line, names, err);
}

/* The delimiter that gives the row as many columns as there are names. */
static char delimiter_of_row(struct header *header, struct span row, size_t count)
{
	for (size_t i = 0; i < sizeof(delimiters); i++) {
		split(header, row, delimiters[i]);
		if (header->count == count)
			return delimiters[i];
	}
	return ',';
}

bool columns_read_given(struct columns *columns, struct span given, struct span first_line,
                        char delimiter, const struct column_names *names, struct err *err)
{
	struct header header;

	if (given.len > COLUMNS_NAMES_MAX)
		return err_set(err, ERR_INPUT, "COLUMNS has %zu bytes; expected 1 to %d", given.len,
		               COLUMNS_NAMES_MAX);
	first_line = without_mark(first_line);
	if (!refuse_other_texts(first_line, err))
		return false;
	columns->fields.delimiter = ',';
	if (!read_header(columns, &header, given, names, err))
		return err_prefix(err, "COLUMNS");
	columns->spaced = false;
	columns->fields.delimiter =
		delimiter ? delimiter
			  : delimiter_of_row(&header, first_line, columns->fields.count);
	return true;
}
