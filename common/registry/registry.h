/* Schema registry client (Confluent's REST interface; Apicurio's ccompat v7 answers too).
 *
 * Calls block up to timeout_ms. ERR_RETRY: not reachable, 408, 429, 5xx, 404 on a path
 * that should exist while the server starts. ERR_OPERATOR: incompatible schema (409), invalid (422) or
 * refused credentials (401, 403), with the registry's own reason in the message. Messages never
 * hold the user or password of a URL. Found ids are cached by the frame opener. */
#ifndef FUNNEL_REGISTRY_H
#define FUNNEL_REGISTRY_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

struct registry;

/* Whether registry_new takes these URLs. ERR_INPUT; the message holds nothing of them. */
MUST_USE bool registry_urls_check(const char *urls, struct err *err);
/* urls: one to eight base URLs (http, https), comma-separated, tried in turn; userinfo gives basic
 * auth. NULL and err where they are none (ERR_INPUT), or memory is short (ERR_FATAL). */
struct registry *registry_new(const char *urls, long timeout_ms, struct err *err);
void registry_free(struct registry *registry);

/* Registers our schema under <topic_prefix><suffix>-value, makes that subject's compatibility
 * BACKWARD unless it is stricter, and gives its id. Registering the same text again gives the same id, also from
 * several processes at once. */
MUST_USE bool registry_register(struct registry *registry, const char *topic_prefix,
                                enum schema_kind slot, int32_t *schema_id, struct err *err);

/* Registers a text unchanged under <topic_prefix><its topic_suffix>-value, and does not set the
 * subject's compatibility. */
MUST_USE bool registry_register_text(struct registry *registry, const char *topic_prefix,
                                     const struct schema_text *schema, int32_t *schema_id,
                                     struct err *err);
/* Makes the subject's compatibility BACKWARD unless it is stricter. */
MUST_USE bool registry_guard(struct registry *registry, const char *topic_prefix,
                             enum schema_kind slot, struct err *err);
/* Hides the subject; the ids of its schemas stay taken. */
MUST_USE bool registry_delete_subject(struct registry *registry, const char *topic_prefix,
                                      const char *topic_suffix, struct err *err);

enum registry_answer {
	REGISTRY_FOUND,
	REGISTRY_UNKNOWN_ID,
	REGISTRY_FAILED /* err is set, class ERR_RETRY */
};
/* The text of a schema id. *text is owned by the client and lives until its next call. */
enum registry_answer registry_schema(struct registry *registry, int32_t schema_id,
                                     struct span *text, bool *is_json_schema, struct err *err);

/* The ids of the versions under <topic_prefix><suffix>-value, the newest cap of them; none where there is no such subject. */
MUST_USE bool registry_subject_ids(struct registry *registry, const char *topic_prefix,
                                   enum schema_kind slot, int32_t *ids, size_t cap, size_t *count,
                                   struct err *err);

#endif
