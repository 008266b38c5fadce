/* Decodes the Confluent wire format: from a framed value to a body of our own schema. */
#ifndef FUNNEL_FRAME_DECODER_H
#define FUNNEL_FRAME_DECODER_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "registry/registry.h"
#include "wire/schemas.h"

/* A new id costs a request to the registry. After this many new ids in a second, the decoder
 * requests only ids of the topic's own subject. So a flood of unknown ids does not flood the
 * registry. */
#define FRAME_LOOKUPS_PER_SECOND 100
struct frame_decoder;
/* registry and topic_prefix are borrowed for the decoder's life. */
struct frame_decoder *frame_decoder_new(struct registry *registry, const char *topic_prefix,
                                        enum schema_kind kind);
void frame_decoder_free(struct frame_decoder *decoder);
/* Looks up the id of the value and converts the body to our schema of `kind`.
 * REASON_NONE: *body is set, borrowed from value, or from the decoder until the next call.
 * Any other reason: write a dead letter; detail says why (may be NULL).
 * False: the registry could not be reached, ERR_RETRY. */
MUST_USE bool frame_decode(struct frame_decoder *decoder, struct span value, struct span *body,
                           enum reason *reason, char *detail, size_t detail_cap, struct err *err);

#endif
