/* One event, typed and valid, and the ways in which it is read and identified.
 *
 * A parser accepts or refuses with a reason; it never repairs. Spans of a parsed
 * event borrow from the input, or from the parser's scratch memory. */
#ifndef FUNNEL_EVENT_H
#define FUNNEL_EVENT_H

#include <stdint.h>

#include "err.h"
#include "reason.h"
#include "span.h"

enum event_type { /* the numbers are those of the Avro enum: append only */
	EVENT_VIEW,
	EVENT_CART,
	EVENT_REMOVE_FROM_CART,
	EVENT_CHECKOUT,
	EVENT_PURCHASE,
	EVENT_TYPE_COUNT
};

#define EVENT_TEXT_MAX 512            /* bytes of one text field */
#define EVENT_VALUE_MAX (1024 * 1024) /* bytes of one raw value */
#define EVENT_ID_BYTES 16
#define SESSION_KEY_MAX EVENT_TEXT_MAX /* user_session, or "user:<user_id>" */

struct event {
	int64_t event_time_us; /* microseconds since 1970-01-01 UTC */
	int64_t product_id;
	int64_t user_id;
	int64_t category_id;       /* 0: none */
	int64_t price_cents;       /* -1: none */
	struct span category_code; /* at == NULL: none; never empty */
	struct span brand;         /* the same */
	struct span user_session;  /* the same */
	enum event_type type;
};

/* Where an event came from. */
struct lineage {
	struct span source_file; /* at == NULL: unknown */
	int64_t source_row;      /* 1 = first row after the header; 0: unknown */
	int64_t raw_offset;
	int64_t raw_time_ms; /* the raw record's own time */
	int32_t raw_partition;
};

struct bronze_event {
	uint8_t event_id[EVENT_ID_BYTES];
	struct event event;
	struct lineage lineage;
};

/* Reads one JSON value. The fast scanner takes the common flat shape and hands
 * everything else to the library parser; both always give the same verdict and
 * the same event. scratch holds decoded texts: valid until the next call with it.
 * detail (may be NULL) gets a short text without payload beyond 64 bytes. */
struct event_parser;
struct event_parser *event_parser_new(void);
void event_parser_free(struct event_parser *parser);
enum reason event_parse_json(struct event_parser *parser, struct span value, struct event *event, char *detail, size_t detail_cap);
/* The library path alone, for the tests that compare the two. */
enum reason event_parse_json_library(struct event_parser *parser, struct span value, struct event *event, char *detail, size_t detail_cap);
/* The fast path alone: true when it took the value (then *reason and *event are set). */
bool event_parse_json_fast(struct span value, struct event *event, enum reason *reason);

/* Writes the raw topic's JSON object (nine fields, values as the source had them)
 * from the nine source texts; a number-like text stays a number literal, an empty
 * one becomes null. Returns the length, or 0 when cap is too small. */
#define EVENT_FIELD_COUNT 9
extern const char *const event_field_names[EVENT_FIELD_COUNT]; /* in the source's column order */
size_t event_write_json(const struct span fields[EVENT_FIELD_COUNT], char *out, size_t cap);

const char *event_type_name(enum event_type type);
bool event_type_parse(struct span text, enum event_type *type);

/* md5 of "user_session|user_id|product_id|event_type|event_time", as in the contract. */
void event_id_content(const struct event *event, uint8_t id[EVENT_ID_BYTES]);
/* md5 of "source_file|source_row". */
void event_id_source(const struct lineage *lineage, uint8_t id[EVENT_ID_BYTES]);
/* 36 characters and a terminator, and back. */
void event_id_format(const uint8_t id[EVENT_ID_BYTES], char text[37]);
bool event_id_parse(struct span text, uint8_t id[EVENT_ID_BYTES]);

/* The session an event belongs to: user_session, or "user:<user_id>" written into
 * buffer. This is also the message key of raw and bronze. */
struct span event_session_key(const struct event *event, char buffer[32]);

/* Level 1 to 4 of a dotted code; at == NULL where there is none. */
struct span event_category_level(struct span category_code, int level);

#endif
