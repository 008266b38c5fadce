/* A bump allocator over 1 MiB chunks. A larger record gets a chunk of its own. outbox_clear keeps
 * up to SPARE_MAX chunks for the next batch, so that a steady load allocates nothing. */
#include "stream/outbox.h"

#include <stdlib.h>

#include "base/memory.h"

#define CHUNK_BYTES (1024 * 1024)
#define SPARE_MAX   64

struct outbox_chunk {
	struct outbox_chunk *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

static void chunks_free(struct outbox_chunk *chunk)
{
	while (chunk) {
		struct outbox_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
}

void outbox_free(struct outbox *box)
{
	chunks_free(box->chunks);
	chunks_free(box->spare);
	free(box->at);
	*box = (struct outbox){0};
}

void outbox_clear(struct outbox *box)
{
	size_t spare_count = 0;

	for (struct outbox_chunk *c = box->spare; c; c = c->next)
		spare_count++;
	while (box->chunks) {
		struct outbox_chunk *chunk = box->chunks;

		box->chunks = chunk->next;
		if (chunk->size > CHUNK_BYTES || spare_count >= SPARE_MAX) {
			free(chunk);
			continue;
		}
		chunk->next = box->spare;
		box->spare = chunk;
		spare_count++;
	}
	box->count = box->sent = box->bytes = 0;
}

static void *outbox_alloc(struct outbox *box, size_t size)
{
	struct outbox_chunk *chunk = box->chunks;
	void *bytes;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		if (size <= CHUNK_BYTES && box->spare) {
			chunk = box->spare;
			box->spare = chunk->next;
		} else {
			size_t chunk_size = size > CHUNK_BYTES ? size : CHUNK_BYTES;

			chunk = xrealloc(NULL, sizeof(*chunk) + chunk_size);
			chunk->size = chunk_size;
		}
		chunk->used = 0;
		chunk->next = box->chunks;
		box->chunks = chunk;
	}
	bytes = chunk->bytes + chunk->used;
	chunk->used += size;
	return bytes;
}

static struct span keep(struct outbox *box, struct span bytes)
{
	char *copy;

	if (!bytes.at)
		return SPAN_NULL;
	copy = outbox_alloc(box, bytes.len + 1);
	memcpy(copy, bytes.at, bytes.len);
	copy[bytes.len] = '\0';
	box->bytes += bytes.len;
	return (struct span){copy, bytes.len};
}

void outbox_add(struct outbox *box, uint16_t topic, int32_t partition, struct span key,
                struct span value, const struct header *headers, size_t header_count)
{
	struct header *kept = header_count ? outbox_alloc(box, header_count * sizeof(*kept)) : NULL;

	for (size_t i = 0; i < header_count; i++)
		kept[i] = (struct header){keep(box, headers[i].name), keep(box, headers[i].value)};
	GROW(box->at, box->count, box->capacity);
	box->at[box->count++] = (struct output){keep(box, key), keep(box, value),       kept,
	                                        partition,      (uint16_t)header_count, topic};
}
