/* The records that travel between the services, and their Avro encodings.
 *
 * Encoders and decoders are written by hand for speed, for exactly the schemas in
 * schemas/ (a test proves them byte-equal to the Avro library). Bytes written under
 * another version of a schema go through avro_resolver.h first. Each encoder appends
 * framing (magic 0, schema id) and body; each decoder takes the body alone. */
#ifndef FUNNEL_RECORDS_H
#define FUNNEL_RECORDS_H

#include <stdint.h>

#include "event.h"
#include "span.h"

/* The schemas' texts as they are registered, byte for byte (generated from schemas/). */
enum schema_id_slot { SCHEMA_BRONZE, SCHEMA_LATE, SCHEMA_COUNTS, SCHEMA_VISIT, SCHEMA_PARTIAL, SCHEMA_AGGREGATE, SCHEMA_RAW, SCHEMA_COUNT };
struct schema_text {
	const char *topic_suffix; /* "bronze_events": the subject is <prefix><suffix>-value */
	const char *record_name;  /* "funnel.BronzeEvent"; for JSON Schema its title */
	const char *text;
	bool is_json_schema;
};
extern const struct schema_text schema_texts[SCHEMA_COUNT];

/* Sum of two numbers that are not negative. A sum too large stays at the largest number, in whatever order it was
 * made: a few absurd prices, which are valid, must not turn everybody's total into one that no reader takes. */
static inline int64_t sum_capped(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* What a rollup counts in one window and group. */
struct measures {
	int64_t events[EVENT_TYPE_COUNT]; /* by enum event_type */
	int64_t revenue_cents;
	int64_t sessions, view_sessions, cart_sessions, purchase_sessions;
	int64_t funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions;
};

/* A watermark is INT64_MIN, none yet, or lies within the years of events, less the disorder: so
 * far from the ends of int64_t that adding settings never overflows. */
bool watermark_is_possible(int64_t watermark_us);

struct aggregate {
	struct span rollup, group_value;
	int64_t window_start_us, window_end_us;
	struct measures measures;
	int64_t revision;
	bool final;
};

struct partial {
	struct span rollup, group_value; /* an empty rollup: a progress record, measures are 0 */
	int64_t window_start_us, window_end_us;
	struct measures measures;
	int64_t revision;
	int64_t watermark_us; /* INT64_MIN: none yet */
	int32_t source_partition;
	bool idle;
};

struct visit {
	struct span user_session; /* the session key */
	int64_t start_us, end_us;
	int64_t user_id;
	int64_t events[EVENT_TYPE_COUNT];
	int64_t products;
	int64_t revenue_cents;
	struct span first_category, last_category; /* at == NULL: none */
	struct span drop_off_stage;                /* at == NULL: the last stage was reached */
	int64_t view_to_cart_ms, view_to_purchase_ms; /* -1: none */
	int64_t revision;
	int32_t furthest_stage;
	bool deleted, final;
};

struct counts {
	int64_t records_in, records_out, duplicates, late;
	int64_t dead[REASON_COUNT]; /* by enum reason */
};

struct counts_record {
	struct span service, topic;
	int32_t partition;
	struct counts counts;
	int64_t revision;
};

/* A growable byte buffer. Zero-initialised is valid and empty; the owner frees it.
 * Growing dies with a message when memory is exhausted, as nothing sensible is left to do. */
struct buffer {
	char *at;
	size_t len, cap;
};
void buffer_free(struct buffer *buffer);
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *bytes, size_t len);

/* Append one framed record. schema_id is the registry's. */
void bronze_encode(struct buffer *out, int32_t schema_id, const struct bronze_event *event);
void aggregate_encode(struct buffer *out, int32_t schema_id, const struct aggregate *aggregate);
void partial_encode(struct buffer *out, int32_t schema_id, const struct partial *partial);
void visit_encode(struct buffer *out, int32_t schema_id, const struct visit *visit);
void counts_encode(struct buffer *out, int32_t schema_id, const struct counts_record *counts);

/* Decode one body (without framing). Texts borrow from body. False: malformed or left-over
 * bytes; *why (may be NULL) then names the field. Limits: texts of at most 1 KiB. */
MUST_USE bool bronze_decode(struct span body, struct bronze_event *event, const char **why);
MUST_USE bool aggregate_decode(struct span body, struct aggregate *aggregate, const char **why);
MUST_USE bool partial_decode(struct span body, struct partial *partial, const char **why);
MUST_USE bool visit_decode(struct span body, struct visit *visit, const char **why);
/* dead reasons with unknown names are added to none of the known ones but to *unknown_dead. */
MUST_USE bool counts_decode(struct span body, struct counts_record *counts, int64_t *unknown_dead, const char **why);

/* Confluent framing: magic byte 0, big-endian schema id of 4 bytes. */
enum frame_kind { FRAME_ID, FRAME_UNKNOWN_MAGIC, FRAME_TOO_SHORT };
enum frame_kind frame_open(struct span value, int32_t *schema_id, struct span *body);
#define FRAME_BYTES 5

/* Limits of texts that become part of a key; the decoders refuse longer ones. */
#define RECORD_ROLLUP_MAX 128

/* Keys. Return the length written; out needs the given size and is terminated. Group values
 * and sessions are at most EVENT_TEXT_MAX bytes. */
#define RECORD_KEY_MAX (EVENT_TEXT_MAX + 256)
/* rollup|window_start|window_end|group_value */
size_t aggregate_key(struct span rollup, int64_t start_us, int64_t end_us, struct span group, char out[RECORD_KEY_MAX]);
/* user_session|visit_start */
size_t visit_key(struct span user_session, int64_t start_us, char out[RECORD_KEY_MAX]);

#endif
