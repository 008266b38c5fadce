/* The open transactions of our own services hold records back too, and under load one is always
 * open. Each commit moves the last stable offset. So the age of a hold is the time since that
 * offset last moved. */
#include "stream/partition_end.h"

void partition_end_init(struct partition_end *end)
{
	*end = (struct partition_end){.offset = PARTITION_END_NONE};
}

void partition_end_reached(struct partition_end *end, int64_t offset)
{
	end->offset = offset;
}

void partition_end_left(struct partition_end *end)
{
	end->offset = PARTITION_END_NONE;
	end->idle_since_us = 0;
}

enum partition_end_change partition_end_update(struct partition_end *end, int64_t high,
                                               int64_t limit_us, int64_t now_us)
{
	bool at_end = end->offset != PARTITION_END_NONE, held = at_end && high > end->offset;
	bool released = false;

	if (!at_end || high != end->offset)
		end->idle_since_us = 0;
	else if (!end->idle_since_us)
		end->idle_since_us = now_us;
	if (end->held_since_us && (!held || end->held_offset != end->offset)) {
		released = end->reported;
		end->held_since_us = 0;
		end->reported = false;
	}
	end->held_records = held ? high - end->offset : 0;
	if (held && !end->held_since_us) {
		end->held_since_us = now_us;
		end->held_offset = end->offset;
	}
	if (released)
		return PARTITION_END_RELEASED;
	if (!held || end->reported || now_us - end->held_since_us < limit_us)
		return PARTITION_END_SAME;
	end->reported = true;
	return PARTITION_END_HELD;
}
