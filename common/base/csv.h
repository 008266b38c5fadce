/* Splits CSV (RFC 4180: quoted fields, doubled quotes, CR LF or LF) into records and fields. A
 * quoted field may contain line breaks, so a record may have several lines. */
#ifndef FUNNEL_CSV_H
#define FUNNEL_CSV_H

#include "base/span.h"

enum csv_result {
	CSV_RECORD,    /* a complete record of *used bytes, line end included */
	CSV_NEED_MORE, /* no line end found: pass more bytes, or at_end */
	CSV_END,       /* the input has ended */
	CSV_MALFORMED, /* a record with wrong quoting: raw has its bytes */
};

struct csv_record {
	struct span raw;    /* the record's bytes without its line end */
	size_t field_count; /* may be greater than field_cap; then only the first are set */
};

/* Splits the first record of input into at most field_cap fields, which borrow from input. Quotes
 * are removed in place, so input changes. at_end: no more bytes follow, so a last record without a
 * line end is complete. */
enum csv_result csv_next(char *input, size_t length, bool at_end, struct span *fields,
                         size_t field_cap, struct csv_record *record, size_t *used);
/* The same with another delimiter than a comma. */
enum csv_result csv_next_delimited(char delimiter, char *input, size_t length, bool at_end,
                                   struct span *fields, size_t field_cap, struct csv_record *record,
                                   size_t *used);

#endif
