/* The records that a batch has produced and not yet committed, kept until the commit so that
 * an aborted transaction can be sent again as it was.
 *
 * Bytes live in fixed chunks that never move: they may be handed to a client library without
 * a copy until outbox_clear. */
#ifndef FUNNEL_OUTBOX_H
#define FUNNEL_OUTBOX_H

#include <stdint.h>

#include "base/span.h"

struct header {
	struct span name; /* terminated where it came from an outbox */
	struct span value;
};

struct output {
	struct span key, value; /* at == NULL: null */
	const struct header *headers;
	int32_t partition;
	uint16_t header_count;
	uint16_t topic; /* enum topic_id */
};

struct outbox {
	struct output *at;
	size_t count, capacity;
	size_t sent;  /* for the sender: how many were handed over */
	size_t bytes; /* of keys, values and headers */
	struct outbox_chunk *chunks, *spare;
};

void outbox_free(struct outbox *box);
/* Forgets all records; keeps up to 64 MiB for the next ones. */
void outbox_clear(struct outbox *box);
/* Copies everything given. */
void outbox_add(struct outbox *box, uint16_t topic, int32_t partition, struct span key,
                struct span value, const struct header *headers, size_t header_count);

#endif
