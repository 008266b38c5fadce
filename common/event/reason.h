/* Reason codes: why a record became a dead letter. The names are a contract: they stand in headers,
 * in ecommerce_counts and in raw.dead_letters. So a name never changes, nor does its meaning. */
#ifndef FUNNEL_REASON_H
#define FUNNEL_REASON_H

#include "base/span.h"

#define REASON_TABLE(X)                                                                         \
	X(NONE, "none", "accepted")                                                             \
	X(NULL_VALUE, "null_value", "the record has no value and is not a control")             \
	X(OVERSIZED, "oversized_message", "the value is larger than the limit of an event")     \
	X(MALFORMED_SOURCE_ROW, "malformed_source_row",                                         \
	  "the producer cannot split the source row into its columns")                          \
	X(UNKNOWN_MAGIC_BYTE, "unknown_magic_byte",                                             \
	  "the first byte is neither JSON nor the magic byte of the registry")                  \
	X(UNKNOWN_SCHEMA_ID, "unknown_schema_id", "the registry does not know the schema id")   \
	X(WRONG_SCHEMA, "wrong_schema", "the schema id belongs to another record type")         \
	X(MALFORMED_AVRO, "malformed_avro", "the bytes do not decode with their schema")        \
	X(INVALID_UTF8, "invalid_utf8", "the value is not UTF-8")                               \
	X(NUL_CHARACTER, "nul_character", "a text has a NUL character")                         \
	X(MALFORMED_JSON, "malformed_json", "not a JSON object")                                \
	X(TEXT_TOO_LONG, "text_too_long", "a text field is longer than its limit")              \
	X(MISSING_EVENT_TIME, "missing_event_time", "no event_time")                            \
	X(INVALID_EVENT_TIME, "invalid_event_time",                                             \
	  "event_time cannot be read, or is before 2000 or after 9999")                         \
	X(FUTURE_EVENT_TIME, "future_event_time",                                               \
	  "too far ahead of the record's own time or of the clock")                             \
	X(MISSING_EVENT_TYPE, "missing_event_type", "no event_type")                            \
	X(UNKNOWN_EVENT_TYPE, "unknown_event_type",                                             \
	  "not view, cart, remove_from_cart, checkout or purchase")                             \
	X(MISSING_PRODUCT_ID, "missing_product_id", "no product_id")                            \
	X(INVALID_PRODUCT_ID, "invalid_product_id", "not a positive integer")                   \
	X(MISSING_USER_ID, "missing_user_id", "no user_id")                                     \
	X(INVALID_USER_ID, "invalid_user_id", "not a positive integer")                         \
	X(INVALID_CATEGORY_ID, "invalid_category_id", "not a positive integer")                 \
	X(INVALID_CATEGORY_CODE, "invalid_category_code", "not a text")                         \
	X(INVALID_BRAND, "invalid_brand", "not a text")                                         \
	X(MISSING_PRICE, "missing_price", "no price, but this event type needs one")            \
	X(INVALID_PRICE, "invalid_price", "negative, not a number, or more than two decimals")  \
	X(INVALID_USER_SESSION, "invalid_user_session",                                         \
	  "not a text, or begins with the reserved 'user:'")                                    \
	X(WRONG_PARTITION, "wrong_partition",                                                   \
	  "the key does not belong to this partition: use murmur2, as Java clients do")         \
	X(TOO_LATE_TO_DEDUPLICATE, "too_late_to_deduplicate",                                   \
	  "older than the de-duplication horizon")                                              \
	X(INVALID_CONTROL, "invalid_control", "a control that cannot be read")                  \
	X(TOO_MANY_STAGE_TIMES, "too_many_stage_times",                                         \
	  "more distinct stage times in one session than the limit")                            \
	X(LATE_PARTIAL, "late_partial", "a partial of a window that all sources have passed")   \
	X(REJECTED_BY_DATABASE, "rejected_by_database", "PostgreSQL refused the row")           \
	X(INVALID_HEADERS, "invalid_headers", "a required header is missing or cannot be read") \
	X(MISSING_CATEGORY_ID, "missing_category_id",                                           \
	  "no category_id, but REQUIRED_FIELDS names it")                                       \
	X(MISSING_CATEGORY_CODE, "missing_category_code",                                       \
	  "no category_code, but REQUIRED_FIELDS names it")                                     \
	X(MISSING_BRAND, "missing_brand", "no brand, but REQUIRED_FIELDS names it")             \
	X(MISSING_USER_SESSION, "missing_user_session",                                         \
	  "no user_session, but REQUIRED_FIELDS names it")                                      \
	X(EVENT_TYPE_NOT_ALLOWED, "event_type_not_allowed",                                     \
	  "ALLOWED_EVENT_TYPES does not have it")                                               \
	X(PRICE_OUT_OF_BOUNDS, "price_out_of_bounds", "below MIN_PRICE or above MAX_PRICE")     \
	X(UNMAPPED_EVENT_TYPE, "unmapped_event_type", "MAPPING does not name this event type")

enum reason {
#define REASON_ENUM(id, name, help) REASON_##id,
	REASON_TABLE(REASON_ENUM)
#undef REASON_ENUM
		REASON_COUNT /* the number of codes, not a code */
};

const char *reason_name(enum reason reason);
/* The reason in words. */
const char *reason_help(enum reason reason);
/* REASON_COUNT: the name is unknown. */
enum reason reason_from_name(struct span name);

#endif
