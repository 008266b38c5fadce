/* The records that were sent and not yet acknowledged, in the order of sending, and the prefix of
 * them that is acknowledged. Pure.
 *
 * Acknowledgements come in order within a partition, and in any order across partitions. A resumed
 * run may only begin after the contiguous acknowledged prefix. */
#ifndef FUNNEL_ACKS_H
#define FUNNEL_ACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "row.h"
#include "source_clock.h"

#define PARTITIONS_MAX 4096
#define ACK_ELSEWHERE  (-1) /* the partition of a record of another topic */

enum ack_state { ACK_WAITING, ACK_DONE };

/* One record that was sent. Its address is the opaque of the Kafka message; it is valid until the
 * prefix has passed it. */
struct ack {
	/* of the row; a control has the position of the row before it */
	struct row_position position;
	struct source_clock_state clock; /* after the row */
	int64_t broker_offset;           /* set from the delivery report */
	int32_t partition;
	bool is_row; /* not a control */
	uint8_t state;
};

/* The acknowledged prefix. */
struct checkpoint {
	struct row_position position;
	struct source_clock_state clock;
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
	uint64_t head, tail; /* number of the oldest waiting entry, and of the next free one */
	uint64_t mask;
};

/* capacity: a power of two. False: out of memory. */
bool acks_init(struct acks *acks, uint64_t capacity);
void acks_fini(struct acks *acks);
/* The next free entry, marked ACK_WAITING. NULL: the ring is full. */
struct ack *acks_push(struct acks *acks);
/* Takes back the newest entry: the library did not accept its message. */
void acks_pop_last(struct acks *acks);
/* Moves the prefix over all acknowledged entries that follow it. */
void acks_advance(struct acks *acks, struct checkpoint *checkpoint);
static inline uint64_t acks_waiting(const struct acks *acks)
{
	return acks->tail - acks->head;
}

#endif
