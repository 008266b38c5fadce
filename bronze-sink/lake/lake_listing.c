#include "lake_listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void lake_listing_add(struct lake_listing *listing, const char *path, int64_t bytes)
{
	size_t size = strlen(path) + 1;
	char *copy = xrealloc(NULL, size);

	memcpy(copy, path, size);
	GROW(listing->at, listing->count, listing->capacity);
	listing->at[listing->count++] = (struct lake_entry){copy, bytes};
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct lake_entry *)a)->path, ((const struct lake_entry *)b)->path);
}

void lake_listing_sort(struct lake_listing *listing)
{
	if (listing->count > 1)
		qsort(listing->at, listing->count, sizeof(*listing->at), compare);
}

void lake_listing_free(struct lake_listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->at[i].path);
	free(listing->at);
	*listing = (struct lake_listing){0};
}
