/* Most lines have no quote: memchr finds their end, and they are cut at their delimiters. A line
 * with a quote takes two passes. The first finds the end of the record and checks the quoting. It
 * changes no byte, so the caller can call again after CSV_NEED_MORE, and a malformed record keeps
 * its bytes. The second pass removes the quotes in place.
 *
 * A record is malformed if an unquoted field has a quote, or if a closing quote is not followed by
 * a delimiter or a line end. Such a record ends at the next line break after the fault. If a quote
 * is still open at the end of the input, only its first line is malformed. So one stray quote never
 * swallows the rows after it. A caller with a full buffer passes at_end to get the same. A CR
 * without LF does not end a record, and several CRs before LF are one line end.
 *
 * Limit: after CSV_NEED_MORE the scan starts again. */
#include "base/csv.h"

static struct span without_cr(const char *at, size_t len)
{
	while (len > 0 && at[len - 1] == '\r')
		len--;
	return (struct span){at, len};
}

static inline void add_field(struct span field, struct span *fields, size_t field_cap,
                             size_t *count)
{
	if (*count < field_cap)
		fields[*count] = field;
	(*count)++;
}

static size_t split_plain(struct span line, char delimiter, struct span *fields, size_t field_cap)
{
	const char *start = line.at, *end = line.at + line.len, *next;
	size_t count = 0;

	for (; (next = memchr(start, delimiter, (size_t)(end - start))); start = next + 1)
		add_field((struct span){start, (size_t)(next - start)}, fields, field_cap, &count);
	add_field((struct span){start, (size_t)(end - start)}, fields, field_cap, &count);
	return count;
}

enum scan { SCAN_FIELD_START, SCAN_UNQUOTED, SCAN_QUOTED, SCAN_QUOTE_SEEN, SCAN_BROKEN };

static enum scan scan_next(enum scan state, char delimiter, const char *p, const char *end)
{
	switch (state) {
	case SCAN_FIELD_START:
		if (*p == '"')
			return SCAN_QUOTED;
		return *p == delimiter ? SCAN_FIELD_START : SCAN_UNQUOTED;
	case SCAN_UNQUOTED:
		if (*p == '"')
			return SCAN_BROKEN;
		return *p == delimiter ? SCAN_FIELD_START : SCAN_UNQUOTED;
	case SCAN_QUOTED: return *p == '"' ? SCAN_QUOTE_SEEN : SCAN_QUOTED;
	case SCAN_QUOTE_SEEN:
		if (*p == '"')
			return SCAN_QUOTED;
		if (*p == '\r' && (p + 1 == end || p[1] == '\n' || p[1] == '\r'))
			return SCAN_QUOTE_SEEN; /* a CR of the line end */
		return *p == delimiter ? SCAN_FIELD_START : SCAN_BROKEN;
	case SCAN_BROKEN: return SCAN_BROKEN;
	}
	return SCAN_BROKEN;
}

/* Finds the end of the record at input. *end_state: the state at its end. False: no end was
 * found. */
static bool scan_record(const char *input, size_t length, char delimiter, size_t *record_len,
                        enum scan *end_state)
{
	const char *end = input + length, *p = input;
	enum scan state = SCAN_FIELD_START;

	for (; p < end; p++) {
		if (*p == '\n' && state != SCAN_QUOTED)
			break;
		state = scan_next(state, delimiter, p, end);
	}
	*record_len = (size_t)(p - input);
	*end_state = state;
	return p < end;
}

/* Takes one field of a well-formed record and the delimiter after it. False: it was the last. */
static bool take_field(char **at, char *end, char delimiter, struct span *field)
{
	char *p = *at, *to;

	if (p == end || *p != '"') {
		char *next = memchr(p, delimiter, (size_t)(end - p));

		*field = (struct span){p, (size_t)((next ? next : end) - p)};
		*at = next ? next + 1 : end;
		return next != NULL;
	}
	field->at = to = ++p;
	for (; *p != '"' || (p + 1 < end && p[1] == '"'); p++) {
		if (*p == '"')
			p++;
		*to++ = *p;
	}
	field->len = (size_t)(to - field->at);
	*at = p + 1 < end ? p + 2 : end;
	return p + 1 < end;
}

static enum csv_result next_quoted(char delimiter, char *input, size_t length,
                                   size_t first_line_len, bool at_end, struct span *fields,
                                   size_t field_cap, struct csv_record *record, size_t *used)
{
	size_t record_len;
	enum scan state;
	bool ended = scan_record(input, length, delimiter, &record_len, &state), more = true;
	char *at = input, *end;

	if (!ended && !at_end)
		return CSV_NEED_MORE;
	if (state == SCAN_QUOTED)
		record_len = first_line_len, ended = first_line_len < length, state = SCAN_BROKEN;
	*used = record_len + (ended ? 1 : 0);
	record->raw = without_cr(input, record_len);
	record->field_count = 0;
	if (state == SCAN_BROKEN)
		return CSV_MALFORMED;
	end = input + record->raw.len;
	while (more) {
		struct span field;

		more = take_field(&at, end, delimiter, &field);
		add_field(field, fields, field_cap, &record->field_count);
	}
	return CSV_RECORD;
}

enum csv_result csv_next_delimited(char delimiter, char *input, size_t length, bool at_end,
                                   struct span *fields, size_t field_cap, struct csv_record *record,
                                   size_t *used)
{
	const char *line_end;
	size_t line_len;

	*used = 0;
	*record = (struct csv_record){.raw = SPAN_NULL};
	if (length == 0)
		return at_end ? CSV_END : CSV_NEED_MORE;
	line_end = memchr(input, '\n', length);
	if (!line_end && !at_end)
		return CSV_NEED_MORE;
	line_len = line_end ? (size_t)(line_end - input) : length;
	if (memchr(input, '"', line_len))
		return next_quoted(delimiter, input, length, line_len, at_end, fields, field_cap,
		                   record, used);
	*used = line_len + (line_end ? 1 : 0);
	record->raw = without_cr(input, line_len);
	record->field_count = split_plain(record->raw, delimiter, fields, field_cap);
	return CSV_RECORD;
}

enum csv_result csv_next(char *input, size_t length, bool at_end, struct span *fields,
                         size_t field_cap, struct csv_record *record, size_t *used)
{
	return csv_next_delimited(',', input, length, at_end, fields, field_cap, record, used);
}
