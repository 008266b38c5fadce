/* The wire format of the schema registry: a frame with the id of the writer's schema before the
 * body. */
#ifndef FUNNEL_FRAME_H
#define FUNNEL_FRAME_H

#include <stdint.h>

#include "base/span.h"

#define FRAME_BYTES 5

enum frame_kind {
	FRAME_ID,            /* magic byte 0, big-endian schema id of 4 bytes */
	FRAME_UNKNOWN_MAGIC, /* another first byte */
	FRAME_TOO_SHORT,     /* empty, null, or magic byte 0 with less than 4 bytes after it */
};
/* FRAME_ID sets *schema_id and *body, which borrows from value. */
enum frame_kind frame_parse(struct span value, int32_t *schema_id, struct span *body);

#endif
