/* The wire format of the schema registry: a value names the schema it was written under. */
#ifndef FUNNEL_FRAME_H
#define FUNNEL_FRAME_H

#include <stdint.h>

#include "base/span.h"

/* Confluent framing: magic byte 0, big-endian schema id of 4 bytes. */
enum frame_kind { FRAME_ID, FRAME_UNKNOWN_MAGIC, FRAME_TOO_SHORT };
enum frame_kind frame_parse(struct span value, int32_t *schema_id, struct span *body);
#define FRAME_BYTES 5

#endif
