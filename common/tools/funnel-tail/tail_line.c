/* Widths follow Unicode's East Asian Width in ranges: 2 columns for what is wide nearly everywhere,
 * 0 for combining marks. Rejected: wcwidth(), which depends on the locale of the process.
 * Limits: a terminal with other widths shows such a line shifted, until the next one. */
#include "tail_line.h"

#include <string.h>

#include "base/utf8.h"

static const struct range {
	uint32_t first, last;
	int columns;
} ranges[] = {{0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},
              {0x202a, 0x202e, 0},   {0x2060, 0x206f, 0},   {0x2e80, 0xa4cf, 2},
              {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
              {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},
              {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2}, {0xe0000, 0xe0fff, 0}};

struct character {
	uint32_t code;
	size_t bytes; /* 0: the end */
	bool valid;
};

static struct character character_at(struct span text, size_t at)
{
	const unsigned char *p = (const unsigned char *)text.at + at;
	size_t bytes = at == text.len ? 0 : *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	struct character found = {0, bytes, true};

	if (bytes == 0)
		return found;
	if (at + bytes > text.len || !utf8_is_valid((struct span){text.at + at, bytes}))
		return (struct character){'?', 1, false};
	found.code = bytes == 1 ? *p : *p & (0x7fU >> bytes);
	for (size_t i = 1; i < bytes; i++)
		found.code = found.code << 6 | (p[i] & 0x3f);
	return found;
}

/* Controls, and the marks that reverse the direction of a text. */
static bool is_shown(struct character found)
{
	return found.valid && found.code >= 0x20 && (found.code < 0x7f || found.code > 0x9f) &&
	       !(found.code >= 0x202a && found.code <= 0x202e) &&
	       !(found.code >= 0x2066 && found.code <= 0x2069);
}

static int columns_of(struct character found)
{
	if (!is_shown(found))
		return 1; /* the question mark */
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (found.code >= ranges[i].first && found.code <= ranges[i].last)
			return ranges[i].columns;
	return 1;
}

int tail_columns(struct span text)
{
	struct character found;
	int columns = 0;

	for (size_t at = 0; (found = character_at(text, at)).bytes; at += found.bytes)
		columns += columns_of(found);
	return columns;
}

static void append(struct tail_line *line, const char *text)
{
	buffer_append(line->out, text, strlen(text));
}

static void style_begin(struct tail_line *line, enum tail_style style)
{
	static const char *const codes[] = {"",         "\033[1m",  "\033[2m",
	                                    "\033[32m", "\033[33m", "\033[31m"};

	if (line->colour)
		append(line, codes[style]);
}

static void style_end(struct tail_line *line, enum tail_style style)
{
	if (line->colour && style != TAIL_NORMAL)
		append(line, "\033[0m");
}

/* Puts what fits before the column `end`. */
static void put_until(struct tail_line *line, struct span text, int end)
{
	struct character found;

	for (size_t at = 0; (found = character_at(text, at)).bytes; at += found.bytes) {
		int columns = columns_of(found);

		if (line->column + columns > end)
			return;
		if (!is_shown(found) || (!line->unicode && found.bytes > 1))
			append(line, "?");
		else
			buffer_append(line->out, text.at + at, found.bytes);
		line->column += !line->unicode && found.bytes > 1 ? 1 : columns;
	}
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

void tail_line_put(struct tail_line *line, enum tail_style style, const char *text)
{
	if (line->column >= line->limit)
		return;
	style_begin(line, style);
	put_until(line, span_of(text), line->limit);
	style_end(line, style);
}

/* The end of a text that takes at most `columns` columns. */
static struct span end_of(struct span text, int columns)
{
	int over = tail_columns(text) - columns;
	struct character found;
	size_t at = 0;

	for (; over > 0 && (found = character_at(text, at)).bytes; at += found.bytes)
		over -= columns_of(found);
	return (struct span){text.at + at, text.len - at};
}

void tail_line_name(struct tail_line *line, enum tail_style style, struct span text, int columns)
{
	int end = smaller(line->column + columns, line->limit);

	if (line->column >= end)
		return;
	style_begin(line, style);
	if (line->column + tail_columns(text) > end) {
		append(line, line->unicode ? "…" : "~");
		line->column++;
		text = end_of(text, end - line->column);
	}
	put_until(line, text, end);
	style_end(line, style);
}

void tail_line_pad(struct tail_line *line, int column)
{
	for (column = smaller(column, line->limit); line->column < column; line->column++)
		append(line, " ");
}

void tail_line_right(struct tail_line *line, enum tail_style style, const char *text, int column)
{
	tail_line_pad(line, column - tail_columns(span_of(text)));
	tail_line_put(line, style, text);
}

/* The largest number of eighths of `columns` that value is of max. */
static int64_t eighths(int64_t value, int64_t max, int columns)
{
	int64_t count = (int64_t)((double)value / (double)max * columns * 8);

	return count > columns * 8 ? columns * 8 : count;
}

void tail_line_bar(struct tail_line *line, enum tail_style style, int64_t value, int64_t max,
                   int columns)
{
	static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	int64_t count;

	columns = smaller(columns, line->limit - line->column);
	if (value <= 0 || max <= 0 || columns <= 0)
		return;
	count = eighths(value, max, columns);
	if (count == 0)
		count = 1;
	style_begin(line, style);
	for (; count >= 8; count -= 8, line->column++)
		append(line, line->unicode ? "█" : "#");
	if (count > 0) {
		append(line, line->unicode ? parts[count] : count >= 4 ? "#" : ".");
		line->column++;
	}
	style_end(line, style);
}

void tail_line_spark(struct tail_line *line, const int64_t *values, int count)
{
	static const char *const steps[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	int64_t max = 1;

	if (!line->unicode)
		return;
	for (int i = 0; i < count; i++)
		max = values[i] > max ? values[i] : max;
	style_begin(line, TAIL_GOOD);
	for (int i = 0; i < count && line->column < line->limit; i++, line->column++)
		append(line, steps[(int)((double)values[i] / (double)max * 7)]);
	style_end(line, TAIL_GOOD);
}

void tail_line_end(struct tail_line *line)
{
	append(line, "\n");
	line->column = 0;
}

void tail_line_label(struct tail_line *line, const char *label, const char *value)
{
	int wanted = (int)(strlen(label) + strlen(value)) + (line->column ? 3 : 0) + 1;

	if (line->column + wanted > line->limit)
		return;
	if (line->column)
		tail_line_put(line, TAIL_NORMAL, "   ");
	tail_line_put(line, TAIL_DIM, label);
	tail_line_put(line, TAIL_NORMAL, " ");
	tail_line_put(line, TAIL_NORMAL, value);
}
