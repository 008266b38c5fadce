/* A string interner: gives each text a small number, which stays the same until the text is
 * removed.
 *
 * It keeps the newest event time at which each text was used. So it can remove texts that are no
 * longer needed. Exhausted memory ends the process. */
#ifndef FUNNEL_INTERNER_H
#define FUNNEL_INTERNER_H

#include <stdint.h>

#include "base/span.h"

#define INTERNED_NONE UINT32_MAX

struct interned {
	const char *at; /* in the interner's memory; NULL: the number is free */
	uint32_t len;
	uint32_t hash;
	int64_t last_us;   /* newest time at which the text was used */
	uint32_t attached; /* for the user; INTERNED_NONE at first */
};

/* Zero-initialised: empty, owns nothing. */
struct interner {
	struct interned *at; /* by number */
	uint32_t *slots;     /* number + 1; 0: free */
	uint32_t *unused;    /* numbers of removed texts */
	struct text_chunk *chunks;
	uint32_t count, capacity, mask, live, unused_count, unused_capacity;
};
void interner_free(struct interner *interner);
/* Removes all texts and keeps the memory of the tables. */
void interner_clear(struct interner *interner);
/* The number of a text, which is added if it is new. time_us: the event time of this use. If the
 * table is full, texts that were last used before keep_from_us are removed, and the others may
 * move: earlier results of interner_text are invalid then. */
uint32_t interner_put(struct interner *interner, struct span text, int64_t time_us,
                      int64_t keep_from_us);
/* The number of a text; INTERNED_NONE: it is not in the table. */
uint32_t interner_find(const struct interner *interner, struct span text);
/* Allocated bytes of the tables, without the texts. */
size_t interner_bytes(const struct interner *interner);
static inline struct span interner_text(const struct interner *interner, uint32_t number)
{
	return number == INTERNED_NONE
	               ? SPAN_NULL
	               : (struct span){interner->at[number].at, interner->at[number].len};
}

#endif
