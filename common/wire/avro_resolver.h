/* Schema resolution: bytes written under another version of one of our schemas become
 * bytes under ours, which the fast decoders take. (The names begin with schema_ because the
 * Avro library exports an avro_resolver_new of its own.)
 *
 * Refuses a writer's schema whose record name is not the expected one: a registry that
 * lost its data hands out old ids for other schemas. */
#ifndef FUNNEL_AVRO_RESOLVER_H
#define FUNNEL_AVRO_RESOLVER_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "wire/schemas.h"

struct schema_resolver;

/* writer_text: JSON text of the writer's schema. NULL and err on: unparsable, another record
 * name (message begins "wrong schema"), or not resolvable. */
struct schema_resolver *schema_resolver_new(struct span writer_text, enum schema_kind reader,
                                            struct err *err);
void schema_resolver_free(struct schema_resolver *resolver);
/* True when the writer's schema equals ours in all that decides the bytes (not in docs,
 * defaults or spacing): no conversion is needed. */
bool schema_resolver_is_identity(const struct schema_resolver *resolver);
/* body -> out (replaced, not appended). False: body does not decode under the writer's schema. */
MUST_USE bool schema_resolver_convert(struct schema_resolver *resolver, struct span body,
                                      struct buffer *out, struct err *err);

#endif
