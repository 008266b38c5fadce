/* A ring. A delivery report marks its entry; acks_advance moves the prefix over the marked ones. */
#include "acks.h"

#include <stdlib.h>

void checkpoint_init(struct checkpoint *checkpoint, int32_t partition_count)
{
	*checkpoint = (struct checkpoint){.partition_count = partition_count};
	source_clock_state_init(&checkpoint->clock);
	for (int32_t i = 0; i < partition_count; i++)
		checkpoint->partitions[i].last_offset = -1;
}

bool acks_init(struct acks *acks, uint64_t capacity)
{
	*acks = (struct acks){.ring = calloc(capacity, sizeof(*acks->ring)), .mask = capacity - 1};
	return acks->ring != NULL;
}

void acks_fini(struct acks *acks)
{
	free(acks->ring);
	acks->ring = NULL;
}

struct ack *acks_push(struct acks *acks)
{
	struct ack *ack;

	if (acks->tail - acks->head > acks->mask)
		return NULL;
	ack = &acks->ring[acks->tail++ & acks->mask];
	ack->state = ACK_WAITING;
	return ack;
}

void acks_pop_last(struct acks *acks)
{
	acks->tail--;
}

void acks_advance(struct acks *acks, struct checkpoint *checkpoint)
{
	while (acks->head < acks->tail) {
		const struct ack *ack = &acks->ring[acks->head & acks->mask];

		if (ack->state != ACK_DONE)
			return;
		acks->head++;
		if (ack->partition == ACK_ELSEWHERE)
			continue;
		checkpoint->partitions[ack->partition].last_offset = ack->broker_offset;
		if (!ack->is_row)
			continue;
		checkpoint->position = ack->position;
		checkpoint->clock = ack->clock;
		checkpoint->rows++;
		checkpoint->partitions[ack->partition].rows++;
	}
}
