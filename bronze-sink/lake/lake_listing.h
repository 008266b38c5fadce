/* A list of the files of a lake. */
#ifndef FUNNEL_LAKE_LISTING_H
#define FUNNEL_LAKE_LISTING_H

#include <stddef.h>
#include <stdint.h>

struct lake_entry {
	char *path; /* relative to the lake */
	int64_t bytes;
};
/* Zero-initialised: valid and empty. */
struct lake_listing {
	struct lake_entry *at; /* sorted by path */
	size_t count, capacity;
};
/* Copies the path. Sort before use. */
void lake_listing_add(struct lake_listing *listing, const char *path, int64_t bytes);
void lake_listing_sort(struct lake_listing *listing);
void lake_listing_free(struct lake_listing *listing);

#endif
