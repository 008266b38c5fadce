/* The text of a log line about a commit: which offsets moved, "bronze_events/3:120-180 ...". */
#ifndef FUNNEL_MOVED_OFFSETS_H
#define FUNNEL_MOVED_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

/* Begin with {0}. The text is cut if it is too long. */
struct moved_offsets {
	char text[2048];
	size_t len;
};

/* Adds a partition, if its offset has moved. from: the committed offset; to: the next one. */
void moved_offsets_add(struct moved_offsets *moved, const char *topic, int32_t partition,
                       int64_t from, int64_t to);

#endif
