/* JSON lines are cut at line ends, so a broken object costs its own line. In an array, or if the
 * first object is longer than its line, objects are cut by their braces. Objects are decoded in a
 * copy, because the row's own bytes have to stay. */
#include "json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "byte_reader.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_json_write.h"
#include "event/event_values.h"
#include "json_object.h"

struct json_reader {
	struct byte_window *window; /* borrowed */
	struct column_names names;
	bool by_braces;
	int64_t arrays; /* that are open */
	struct row_extra extras[ROW_COLUMNS_MAX];
	struct json_object object;
	char copy[CSV_LINE_MAX];
};

/* The record separator begins each object of a JSON text sequence (RFC 7464). */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\x1e';
}

/* Whether the byte may stand between objects. */
static bool is_separator(char c)
{
	return is_blank(c) || c == ',' || c == '[' || c == ']';
}

/* Skips blanks and a byte order mark. False: the text has ended. */
static bool skip_to_content(struct byte_window *window)
{
	byte_window_want(window, 3);
	if (window->end - window->at >= 3 && memcmp(byte_window_at(window), "\xef\xbb\xbf", 3) == 0)
		window->at += 3;
	for (;; window->at++) {
		byte_window_want(window, 1);
		if (window->at == window->end)
			return false;
		if (!is_blank(*byte_window_at(window)))
			return true;
	}
}

bool json_reader_recognises(struct byte_window *window)
{
	size_t i = 0;

	byte_window_want(window, 3);
	if (window->end - window->at >= 3 && memcmp(byte_window_at(window), "\xef\xbb\xbf", 3) == 0)
		i = 3;
	for (; byte_window_want(window, i + 1), window->at + i < window->end; i++) {
		char c = byte_window_at(window)[i];

		if (!is_blank(c) || i == CSV_LINE_MAX)
			return c == '{' || c == '[';
	}
	return false;
}

/* ---- one object as a row */

static bool add_extra(struct json_reader *reader, struct row *row, const struct json_member *member)
{
	for (size_t i = 0; i < row->extra_count; i++)
		if (span_equal(reader->extras[i].name, member->name))
			return false;
	reader->extras[row->extra_count++] =
		(struct row_extra){member->name,
	                           member->kind == JSON_MISSING ? SPAN_NULL : member->value,
	                           member->kind != JSON_NUMBER};
	return true;
}

/* An extra with the exact name of one of ours would be a second value of that field. */
static bool is_ours(struct span name)
{
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++)
		if (span_is(name, event_field_names[i]))
			return true;
	return false;
}

static const char *set_members(struct json_reader *reader, struct row *row)
{
	bool seen[EVENT_FIELD_COUNT] = {false};

	for (size_t i = 0; i < reader->object.count; i++) {
		const struct json_member *member = &reader->object.members[i];
		size_t field = columns_field_of(member->name, &reader->names);

		if (field == EVENT_FIELD_COUNT) {
			if (is_ours(member->name))
				continue; /* the mapping takes this field from another member */
			if (!add_extra(reader, row, member))
				return "a name occurs twice";
			continue;
		}
		if (seen[field])
			return "a field occurs twice";
		if (member->kind == JSON_NESTED)
			return "a field is neither a text nor a number";
		seen[field] = true;
		if (member->kind != JSON_MISSING)
			row->fields[field] = member->value;
		if (field == FIELD_PRICE)
			row->price_is_number = member->kind == JSON_NUMBER;
	}
	return NULL;
}

static void read_object(struct json_reader *reader, size_t len, struct row *row)
{
	const char *why;

	row_clear(row);
	row->raw = (struct span){byte_window_at(reader->window), len};
	memset(row->fields, 0, sizeof(row->fields));
	memcpy(reader->copy, row->raw.at, len);
	why = json_object_read(&reader->object, reader->copy, len);
	if (!why)
		why = set_members(reader, row);
	if (why) {
		snprintf(row->error, sizeof(row->error), "%s", why);
		row->extra_count = 0;
		return;
	}
	row->extras = reader->extras;
	if (!event_time_read(row->fields[FIELD_EVENT_TIME], &row->event_time_us))
		row->event_time_us = ROW_TIME_NONE;
}

/* ---- opening */

/* The length of the blanks and commas at the front of the text. */
static size_t separators_at(const char *at, size_t len)
{
	size_t i = 0;

	while (i < len && (is_blank(at[i]) || at[i] == ','))
		i++;
	return i;
}

/* Whether the first line has one complete object. */
static bool is_one_per_line(struct byte_window *window)
{
	const char *line;
	size_t len, object;

	if (*byte_window_at(window) == '[' || !byte_window_line(window, &len))
		return false;
	line = byte_window_at(window);
	object = json_object_length((struct span){line, len});
	return (object > 0 && object + separators_at(line + object, len - object) == len) ||
	       len >= CSV_LINE_MAX;
}

/* The length of the next object after `from` bytes, which begins *skip bytes later. 0: no object
 * ends within the limit of a line. Reads no more than that needs, because a pipe may not have more
 * yet. */
static size_t next_object(struct byte_window *window, size_t from, size_t *skip)
{
	for (;;) {
		size_t have = window->end - window->at, len;
		const char *start;

		have = have < CSV_LINE_MAX ? have : CSV_LINE_MAX;
		start = memchr(byte_window_at(window) + from, '{', have - from);
		*skip = start ? (size_t)(start - byte_window_at(window)) - from : 0;
		len = start ? json_object_length((struct span){start, have - from - *skip}) : 0;
		if (len > 0 || have == CSV_LINE_MAX || window->ended != BYTES_GIVEN)
			return len;
		byte_window_fill(window);
	}
}

/* Refuses an array of values that are not objects. */
static bool check_elements(struct byte_window *window, struct err *err)
{
	char found[2] = "?", c;
	size_t i = 0;

	for (;; i++) {
		byte_window_want(window, i + 1);
		if (window->at + i >= window->end || i == CSV_LINE_MAX)
			return true;
		c = byte_window_at(window)[i];
		if (!is_separator(c))
			break;
	}
	if (c >= ' ' && c <= '~')
		found[0] = c;
	return c == '{' ||
	       err_set(err, ERR_INPUT,
	               "the JSON has no events: found \"%s\" at byte %lld; expected objects "
	               "such as {\"event_time\": ..., \"event_type\": ...}, one per line or in an "
	               "array",
	               found, (long long)byte_window_offset(window) + (long long)i + 1);
}

static bool has_a_name(const struct json_reader *reader)
{
	for (size_t i = 0; i < reader->object.count; i++)
		if (columns_field_of(reader->object.members[i].name, &reader->names) <
		    EVENT_FIELD_COUNT)
			return true;
	return false;
}

/* Refuses objects that are not events at all. The first one with members decides. */
static bool check_names(struct json_reader *reader, struct err *err)
{
	struct byte_window *window = reader->window;
	size_t from = 0, skip, len;

	reader->object.count = 0;
	while (reader->object.count == 0) {
		len = next_object(window, from, &skip);
		if (len == 0)
			return true;
		memcpy(reader->copy, byte_window_at(window) + from + skip, len);
		if (json_object_read(&reader->object, reader->copy, len))
			return true;
		from += skip + len;
	}
	return has_a_name(reader) ||
	       err_set(err, ERR_INPUT,
	               "the first JSON object has none of the nine names (event_time, "
	               "event_type, ...). If they have other names, set them with MAPPING, "
	               "such as user_id=UserID");
}

struct json_reader *json_reader_new(struct byte_window *window, const struct column_names *names,
                                    struct err *err)
{
	struct json_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		err_set(err, ERR_FATAL, "out of memory");
		return NULL;
	}
	reader->window = window;
	reader->names = *names;
	if (skip_to_content(window) &&
	    (!check_elements(window, err) || !check_names(reader, err))) {
		free(reader);
		return NULL;
	}
	reader->by_braces = window->at < window->end && !is_one_per_line(window);
	if (reader->by_braces && *byte_window_at(window) == '[') {
		reader->arrays = 1; /* also after a seek */
		window->at++;
	}
	return reader;
}

void json_reader_free(struct json_reader *reader)
{
	free(reader);
}

/* ---- rows */

/* Reads the object of a line. If more objects follow it, as where two files were joined, it is the
 * row, and they are the next rows. Returns the length of the row. */
static size_t read_line(struct json_reader *reader, size_t len, struct row *row)
{
	const char *line = byte_window_at(reader->window);
	size_t text = len, object, rest;

	while (text > 0 && is_blank(line[text - 1]))
		text--;
	read_object(reader, text, row);
	if (!row->error[0])
		return len;
	object = json_object_length((struct span){line, text});
	rest = object + separators_at(line + object, text - object);
	if (object == 0 || object == text || (rest < text && line[rest] != '{'))
		return len;
	read_object(reader, object, row);
	return rest < text ? object : len;
}

/* Skips what stands before an object on its line. */
static void skip_separators(struct byte_window *window, size_t *len)
{
	size_t skip = separators_at(byte_window_at(window), *len);

	if (skip == *len || byte_window_at(window)[skip] != '{')
		return;
	window->at += skip;
	*len -= skip;
}

static bool next_of_lines(struct json_reader *reader, struct row *row)
{
	struct byte_window *window = reader->window;
	bool line_end;
	size_t len;

	if (!byte_window_row_line(window, &len))
		return false;
	skip_separators(window, &len);
	line_end = byte_window_at(window)[len - 1] == '\n';
	if (byte_window_too_long(window, &len)) {
		row_too_long(row, (struct span){byte_window_at(window), len});
	} else {
		size_t line = len;

		len = read_line(reader, line, row);
		if (len == line && !line_end && window->ended == BYTES_CUT)
			row_cut_off(row);
	}
	window->at += len;
	return true;
}

/* Skips what may stand between objects. False: the text has ended. */
static bool skip_to_object(struct json_reader *reader)
{
	struct byte_window *window = reader->window;

	for (;; window->at++) {
		char c;

		byte_window_want(window, 1);
		if (window->at == window->end)
			return false;
		c = *byte_window_at(window);
		if (!is_separator(c))
			return true;
		if (c == '[' || (c == ']' && reader->arrays > 0))
			reader->arrays += c == '[' ? 1 : -1;
	}
}

/* A line that is not an object may have the end of the array. */
static bool next_broken_line(struct json_reader *reader, struct row *row)
{
	if (!next_of_lines(reader, row))
		return false;
	if (reader->window->skipping || (row->raw.len > 0 && row->raw.at[row->raw.len - 1] == ']'))
		reader->arrays = 0;
	return true;
}

static bool next_by_braces(struct json_reader *reader, struct row *row)
{
	struct byte_window *window = reader->window;
	size_t len = 0, skip;

	if (window->skipping || !skip_to_object(reader))
		return window->at < window->end && next_broken_line(reader, row);
	if (*byte_window_at(window) == '{')
		len = next_object(window, 0, &skip);
	if (len == 0 || skip > 0)
		return next_broken_line(reader, row);
	read_object(reader, len, row);
	window->at += len;
	return true;
}

/* Whether the reader stands, after a seek, between two objects of a line. */
static bool is_between_objects(const struct json_reader *reader)
{
	const struct byte_window *window = reader->window;
	size_t next;

	if (window->at != 1 || window->bytes[0] != '}')
		return false;
	next = 1 + separators_at(window->bytes + 1, window->end - 1);
	return reader->by_braces || (next < window->end && window->bytes[next] == '{');
}

/* A copy that was interrupted between two objects would look like the end. */
static bool ends_early(struct json_reader *reader)
{
	struct byte_window *window = reader->window;

	if (reader->arrays == 0 || window->ended != BYTES_END)
		return false;
	window->ended = BYTES_CUT;
	return err_set(&window->end_err, ERR_OPERATOR,
	               "%s: the JSON array ends early: its last ] is missing. Replace the file and "
	               "run the producer again",
	               byte_reader_path(window->reader));
}

bool json_reader_next(struct json_reader *reader, struct row *row)
{
	if (reader->window->skipping && is_between_objects(reader))
		reader->window->skipping = false;
	if (!reader->by_braces)
		return next_of_lines(reader, row);
	return next_by_braces(reader, row) || ends_early(reader);
}
