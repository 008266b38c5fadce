/* The output records of a batch, kept until the commit, so that the same records can be sent again
 * after an aborted transaction.
 *
 * Bytes are in chunks that never move. So a client library may use them without a copy until
 * outbox_clear. */
#ifndef FUNNEL_OUTBOX_H
#define FUNNEL_OUTBOX_H

#include <stdint.h>

#include "base/span.h"

struct header {
	struct span name; /* terminated in an outbox */
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
	size_t sent;  /* the sender's count of records passed to the client library */
	size_t bytes; /* of keys, values and headers */
	struct outbox_chunk *chunks, *spare;
};

void outbox_free(struct outbox *box);
/* Removes all records; keeps up to 64 MiB of memory for the next ones. */
void outbox_clear(struct outbox *box);
/* Copies key, value and headers. */
void outbox_add(struct outbox *box, uint16_t topic, int32_t partition, struct span key,
                struct span value, const struct header *headers, size_t header_count);

#endif
