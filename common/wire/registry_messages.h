/* The bodies of requests to a schema registry and of its answers. No network here.
 *
 * Answers are foreign bytes. The body of an error should be {"error_code":int,"message":text}. But
 * registries also send an HTTP status as the code, the message under another name, or a text under
 * a JSON header that is not JSON. */
#ifndef FUNNEL_REGISTRY_MESSAGES_H
#define FUNNEL_REGISTRY_MESSAGES_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

/* {"schema":"<text>"} and, for JSON Schema, its "schemaType". Appends to out. */
void registry_register_body(const struct schema_text *schema, struct buffer *out);

/* {"id":n} with n from 1 to 2^31 - 1. ERR_RETRY, as of the next two: the answer has another
 * form. */
MUST_USE bool registry_read_id(struct span body, int32_t *id, struct err *err);

/* {"schema":"<text>"} with an optional "schemaType" (missing: AVRO). The text replaces the contents
 * of out. Protobuf counts as "not JSON Schema"; its text then does not parse as Avro. */
MUST_USE bool registry_read_schema(struct span body, struct buffer *out, bool *is_json_schema,
                                   struct err *err);

/* [1,2,3]: the versions of a subject. Gives the last cap of them. */
#define REGISTRY_VERSIONS_MAX 64
MUST_USE bool registry_read_versions(struct span body, int32_t *versions, size_t cap, size_t *count,
                                     struct err *err);

/* {"compatibilityLevel":"..."}: true for BACKWARD and for levels that include it. */
bool registry_level_checks_backward(struct span body);

/* The JSON Schema has this title. The title identifies a JSON Schema. */
bool json_schema_title_is(struct span text, const char *title);

enum registry_failure {
	REGISTRY_FAILURE_RETRY,   /* 408, 429, 5xx, a path that does not exist yet */
	REGISTRY_FAILURE_UNKNOWN, /* the registry does not have the schema, version or subject */
	REGISTRY_FAILURE_INCOMPATIBLE, /* 409 */
	REGISTRY_FAILURE_REFUSED,      /* any other: invalid schema, credentials */
};

/* Classifies an answer whose status is not 2xx. message (may be NULL) has cap bytes and gets the
 * registry's message on one line, or "". */
enum registry_failure registry_read_failure(long status, struct span body, char *message,
                                            size_t cap);

#endif
