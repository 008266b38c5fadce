/* Schema resolution: converts bytes of another version of one of our schemas to bytes of our
 * version, for the fast decoders. (The names begin with schema_ because the Avro library exports an
 * avro_resolver_new.)
 *
 * Refuses a writer's schema with another record name than ours: a registry that has lost its data
 * gives our ids to other schemas. */
#ifndef FUNNEL_AVRO_RESOLVER_H
#define FUNNEL_AVRO_RESOLVER_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

struct schema_resolver;

/* writer_text: JSON text of the writer's schema. NULL and err if it does not parse, has another
 * record name (the message begins with "wrong schema"), or cannot be resolved. */
struct schema_resolver *schema_resolver_new(struct span writer_text, enum schema_kind reader,
                                            struct err *err);
void schema_resolver_free(struct schema_resolver *resolver);
/* True if no conversion is needed: the writer's schema gives the same bytes as ours. Docs, defaults
 * and spacing may differ. */
bool schema_resolver_is_identity(const struct schema_resolver *resolver);
/* Converts body; the result replaces the contents of out. False: body does not decode under the
 * writer's schema, or has a value without a form in ours. */
MUST_USE bool schema_resolver_convert(struct schema_resolver *resolver, struct span body,
                                      struct buffer *out, struct err *err);

#endif
