/* The records that travel between the services, and their Avro encodings.
 *
 * Encoders and decoders are written by hand for speed, for exactly the schemas in
 * schemas/ (a test proves them byte-equal to the Avro library). Bytes written under
 * another version of a schema go through avro_resolver.h first. Each encoder appends
 * framing (magic 0, schema id) and body; each decoder takes the body alone. */
#ifndef FUNNEL_RECORDS_H
#define FUNNEL_RECORDS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_id.h"
#include "event/reason.h"
#include "event/window.h"

struct bronze_event {
	uint8_t event_id[EVENT_ID_BYTES];
	struct event event;
	struct lineage lineage;
};

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

/* Limits of texts that become part of a key; the decoders refuse longer ones. */
#define RECORD_ROLLUP_MAX 128

#endif
