/* From a framed value to a body that our decoders take. */
#ifndef FUNNEL_FRAME_OPENER_H
#define FUNNEL_FRAME_OPENER_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "event/reason.h"
#include "registry/registry.h"
#include "wire/schemas.h"

/* Opens a framed value for a reader of `slot`: looks up the id, resolves, and gives a body that
 * our decoders take (borrowed from value, or from the opener until the next call).
 * REASON_NONE: *body is set. Other reasons: dead-letter it (detail says why).
 * Returns false with ERR_RETRY only where the registry could not be asked. A flood of ids that nobody registered is no flood
 * of requests: beyond FRAME_QUESTIONS_PER_SECOND new ids only those of the topic's own subject are asked for. */
#define FRAME_QUESTIONS_PER_SECOND 100
struct frame_decoder;
/* topic_prefix: borrowed for the opener's life. */
struct frame_decoder *frame_decoder_new(struct registry *registry, const char *topic_prefix,
                                        enum schema_kind slot);
void frame_decoder_free(struct frame_decoder *opener);
MUST_USE bool frame_decode(struct frame_decoder *opener, struct span value, struct span *body,
                           enum reason *reason, char *detail, size_t detail_cap, struct err *err);

#endif
