#include "stream/moved_offsets.h"

#include <inttypes.h>
#include <stdio.h>

void moved_offsets_add(struct moved_offsets *moved, const char *topic, int32_t partition,
                       int64_t from, int64_t to)
{
	if (from == to || moved->len >= sizeof(moved->text))
		return;
	moved->len += (size_t)snprintf(moved->text + moved->len, sizeof(moved->text) - moved->len,
	                               "%s%s/%" PRId32 ":%" PRId64 "-%" PRId64,
	                               moved->len ? " " : "", topic, partition, from, to);
}
