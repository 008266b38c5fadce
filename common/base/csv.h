/* One line of CSV (RFC 4180: quoted fields, doubled quotes, CR LF or LF) to fields.
 * A quoted field may hold line breaks; then a record spans several lines. */
#ifndef FUNNEL_CSV_H
#define FUNNEL_CSV_H

#include "base/span.h"

enum csv_result {
	CSV_RECORD,    /* a whole record was taken: *used bytes with its line end */
	CSV_NEED_MORE, /* no line end yet: give more bytes, or say that the input has ended */
	CSV_END,       /* nothing left */
	CSV_MALFORMED, /* a record was taken, but its quoting is broken: see raw */
};

struct csv_record {
	struct span raw;    /* the record's bytes without its line end */
	size_t field_count; /* may exceed the capacity; then only the first are set */
};

/* Splits the first record of input into at most field_cap fields. Unquoted fields borrow
 * from input; quoted ones are unquoted in place (input is changed). at_end: no more bytes
 * will come, so a last record without line end counts. */
enum csv_result csv_next(char *input, size_t length, bool at_end, struct span *fields,
                          size_t field_cap, struct csv_record *record, size_t *used);

#endif
