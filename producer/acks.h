/* What was sent and not yet acknowledged, in the order of sending, and the point up to which everything was. Pure.
 *
 * Acknowledgements come in any order (per partition in order, over partitions not); a resume may only begin after the
 * contiguous acknowledged prefix. */
#ifndef FUNNEL_ACKS_H
#define FUNNEL_ACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "row.h"

#define PARTITIONS_MAX 4096

enum ack_state { ACK_WAITING, ACK_DONE };

/* One message on its way; its address is the message's opaque, stable until the prefix has passed it. */
struct ack {
	struct row_position position; /* of the row, or for a control of the row before it */
	int64_t newest_us;            /* the segment's newest event time then */
	int64_t broker_offset;        /* by the delivery report */
	int32_t partition;
	bool is_row; /* not a control */
	uint8_t state;
};

/* The acknowledged prefix. */
struct checkpoint {
	struct row_position position;
	int64_t newest_us;
	int64_t rows; /* source rows, over all files */
	int32_t partition_count;
	struct {
		int64_t rows;        /* source rows sent to it */
		int64_t last_offset; /* -1: none */
	} partitions[PARTITIONS_MAX];
};
void checkpoint_init(struct checkpoint *checkpoint, int32_t partition_count);

struct acks {
	struct ack *ring;
	uint64_t head, tail; /* oldest waiting, next free: counts */
	uint64_t mask;
};

/* capacity: a power of two. False: out of memory. */
bool acks_init(struct acks *acks, uint64_t capacity);
void acks_fini(struct acks *acks);
/* The next entry, state waiting; NULL: full. */
struct ack *acks_push(struct acks *acks);
/* Takes the newest entry back: its message was not taken by the library. */
void acks_unpush(struct acks *acks);
/* Moves the prefix over all acknowledged entries at its end. */
void acks_advance(struct acks *acks, struct checkpoint *checkpoint);
static inline uint64_t acks_waiting(const struct acks *acks)
{
	return acks->tail - acks->head;
}

#endif
