/* What a schema registry asks and answers, as texts: no network here.
 *
 * Answers are foreign bytes. An error's body should be {"error_code":int,"message":text}, but
 * registries also give an HTTP status as the code, the reason under another name, or text that
 * is no JSON at all under a JSON header. */
#ifndef FUNNEL_REGISTRY_ANSWERS_H
#define FUNNEL_REGISTRY_ANSWERS_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

/* {"schema":"<text>"} and, for JSON Schema, its "schemaType". Appends to out. */
void registry_register_body(const struct schema_text *schema, struct buffer *out);

/* {"id":n} with n of 1 to 2^31 - 1. */
MUST_USE bool registry_read_id(struct span body, int32_t *id, struct err *err);

/* {"schema":"<text>"} with an optional "schemaType" (absent: AVRO). The text replaces out.
 * Protobuf is given as "not JSON Schema"; its text then fails to parse as Avro. */
MUST_USE bool registry_read_schema(struct span body, struct buffer *out, bool *is_json_schema,
                                   struct err *err);

/* [1,2,3]: a subject's versions; the last cap of them. */
#define REGISTRY_VERSIONS_MAX 64
MUST_USE bool registry_read_versions(struct span body, int32_t *versions, size_t cap, size_t *count,
                                     struct err *err);

/* {"compatibilityLevel":"..."}: BACKWARD or a level that includes it. */
bool registry_level_checks_backward(struct span body);

/* The text's title is the given one: how a JSON Schema is told from another. */
bool json_schema_title_is(struct span text, const char *title);

enum registry_failure {
	REGISTRY_FAILURE_RETRY, /* 408, 429, 5xx, a path that does not exist yet */
	REGISTRY_FAILURE_UNKNOWN, /* the registry answers, and has no such schema, version or subject */
	REGISTRY_FAILURE_INCOMPATIBLE, /* 409 */
	REGISTRY_FAILURE_REFUSED,      /* any other: invalid schema, credentials */
};

/* Judges an answer whose status is not 2xx. reason (may be NULL, cap bytes) gets the
 * registry's own words on one line, or "". */
enum registry_failure registry_read_failure(long status, struct span body, char *reason,
                                            size_t cap);

#endif
