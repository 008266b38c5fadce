/* PostgreSQL's binary COPY format, as bytes (manual: COPY, "Binary Format"). Pure.
 *
 *   file:  "PGCOPY\n\377\r\n\0" | flags i32 = 0 | extension length i32 = 0 | rows ... | i16 = -1
 *   row:   field count i16 | per field: length i32 (-1: null) | bytes, big-endian
 *
 * Each writer gets a pointer to enough room and returns the pointer after its last byte. The sizes
 * below say how much room each needs. Nothing is allocated here. Texts must have passed
 * copy_text_fault. */
#ifndef FUNNEL_COPY_BINARY_H
#define FUNNEL_COPY_BINARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "event/reason.h"

#define COPY_HEADER_BYTES  19
#define COPY_TRAILER_BYTES 2
extern const char copy_header[COPY_HEADER_BYTES];
extern const char copy_trailer[COPY_TRAILER_BYTES];

/* Bytes of any field except text, bytea, jsonb and arrays; its length word included. */
#define COPY_FIELD_MAX 32

#define COPY_EPOCH_DAYS 10957 /* 2000-01-01 minus 1970-01-01 */

char *copy_row_begin(char *at, int field_count); /* 2 bytes */
char *copy_null(char *at);
char *copy_bool(char *at, bool value);
char *copy_char(char *at, char value); /* the type "char", one byte */
char *copy_int2(char *at, int16_t value);
char *copy_int4(char *at, int32_t value);
char *copy_int8(char *at, int64_t value);
char *copy_uuid(char *at, const uint8_t id[16]);
char *copy_timestamptz(char *at, int64_t time_us); /* since 1970-01-01 UTC */
char *copy_date(char *at, int64_t day);            /* days since 1970-01-01 */
char *copy_cents(char *at, int64_t cents);         /* numeric with two decimals */
/* 4 bytes and those of the span; a span with at == NULL is written as null. */
char *copy_text(char *at, struct span text);
char *copy_bytea(char *at, struct span bytes);
/* 5 bytes and those of the span: jsonb begins with a version byte of 1. */
char *copy_jsonb(char *at, struct span json);

/* An array of one dimension: begin, `count` elements, end. An element is written like a field of
 * its type, also if it is null. begin takes COPY_ARRAY_BYTES. */
#define COPY_ARRAY_BYTES 24
enum copy_element { /* the OID of the type (pg_type.dat) */
	            COPY_INT8 = 20,
	            COPY_INT2 = 21,
	            COPY_INT4 = 23,
	            COPY_TEXT = 25,
	            COPY_TIMESTAMPTZ = 1184,
	            COPY_NUMERIC = 1700,
	            COPY_UUID = 2950,
};
char *copy_array_begin(char *at, enum copy_element type, uint32_t count);
/* begin: where the array begins; end: after its last element. Returns end. */
char *copy_array_end(char *begin, char *end, bool has_null);
/* text[] without nulls: COPY_ARRAY_BYTES, and for each element 4 bytes and those of its span. */
char *copy_text_array(char *at, const struct span *texts, int count);

/* Why PostgreSQL would reject a text in UTF8: REASON_NUL_CHARACTER or REASON_INVALID_UTF8.
 * REASON_NONE: it accepts the text. */
enum reason copy_text_fault(struct span text);

#endif
