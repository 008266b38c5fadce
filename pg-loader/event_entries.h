/* The texts that rows of events have numbers for: entries of raw.event_labels (category and brand)
 * and of raw.event_sources (file and raw partition). Visits have labels too: entries that have only
 * a category, or nothing. Pure.
 *
 * This is a cache. An entry gets a number of the loader when an event first has it, and the id of
 * the database when the database has returned it. The owner of the cache forgets all ids when they
 * may be those of another database. Numbers and texts stay until the cache is trimmed. */
#ifndef FUNNEL_EVENT_ENTRIES_H
#define FUNNEL_EVENT_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/interner.h"
#include "base/span.h"

/* A trim empties a cache that has more. */
#define ENTRIES_MAX       100000
#define ENTRIES_BYTES_MAX (16 * 1024 * 1024)

struct event_label {
	int64_t category_id;              /* 0: none */
	struct span category_code, brand; /* at == NULL: none */
};
struct event_source {
	struct span file; /* at == NULL: none */
	int32_t raw_partition;
};

/* Entries of one kind: labels or sources. Zero-initialised: empty. */
struct entries {
	struct interner keys;
	size_t bytes; /* of the keys */
};
void entries_free(struct entries *entries);
/* Empties the cache if it is too big. Then all numbers are invalid. */
void entries_trim(struct entries *entries);

/* The number of an entry, which is added if it is new. The texts are those of a valid event or
 * visit. */
uint32_t entries_put_label(struct entries *labels, const struct event_label *label);
uint32_t entries_put_source(struct entries *sources, const struct event_source *source);
/* Texts are borrowed until the next trim. */
struct event_label entries_label(const struct entries *labels, uint32_t number);
struct event_source entries_source(const struct entries *sources, uint32_t number);

/* Ids of the database are positive. False: the id of this entry is not known. */
bool entries_id(const struct entries *entries, uint32_t number, int32_t *id);
void entries_set_id(struct entries *entries, uint32_t number, int32_t id);
void entries_forget_ids(struct entries *entries);

#endif
