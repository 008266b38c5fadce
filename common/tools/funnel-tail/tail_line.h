/* Builds one line of a screen: texts, padding and bars within a number of columns. Pure.
 *
 * A text is cut at the limit. A character that a terminal would take as a command, and a byte that
 * is not UTF-8, become ?. Without unicode every character beyond ASCII becomes ?, and bars are made
 * of #. */
#ifndef FUNNEL_TAIL_LINE_H
#define FUNNEL_TAIL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"

enum tail_style {
	TAIL_NORMAL,
	TAIL_BOLD,
	TAIL_DIM,
	TAIL_GOOD,  /* green */
	TAIL_WATCH, /* yellow */
	TAIL_BAD,   /* red */
};

struct tail_line {
	struct buffer *out;
	int column, limit; /* next column, and the first one that does not belong to the line */
	bool colour, unicode;
};

void tail_line_put(struct tail_line *line, enum tail_style style, const char *text);
/* At most `columns` columns. A longer text begins with an ellipsis, because the end of a category
 * says more than its beginning. */
void tail_line_name(struct tail_line *line, enum tail_style style, struct span text, int columns);
/* Blanks up to a column. */
void tail_line_pad(struct tail_line *line, int column);
/* The text ends before the column. */
void tail_line_right(struct tail_line *line, enum tail_style style, const char *text, int column);
/* A bar of value/max of `columns` columns, at least a mark if value is not 0. Does not pad. */
void tail_line_bar(struct tail_line *line, enum tail_style style, int64_t value, int64_t max,
                   int columns);
/* One column for each value, from 0 to the largest value. Nothing without unicode. */
void tail_line_spark(struct tail_line *line, const int64_t *values, int count);
/* A label and its value, after a gap; nothing if the line has no room for both. */
void tail_line_label(struct tail_line *line, const char *label, const char *value);
void tail_line_end(struct tail_line *line);

/* The columns that a text takes. */
int tail_columns(struct span text);

#endif
