/* A string interner: texts to small numbers, which stay the same for the life of a text.
 *
 * It keeps the newest event time that each text was used at, so that it can sweep those that no
 * longer matter. Memory exhaustion ends the process. */
#ifndef FUNNEL_INTERNER_H
#define FUNNEL_INTERNER_H

#include <stdint.h>

#include "base/span.h"

#define INTERNED_NONE UINT32_MAX

struct interned {
	const char *at; /* owned; NULL: the number is unused */
	uint32_t len;
	uint32_t hash;
	int64_t last_us;
	uint32_t attached; /* free for the user, INTERNED_NONE at first */
};

/* Zero-initialised is empty and owns nothing. */
struct interner {
	struct interned *at; /* by number */
	uint32_t *slots;     /* number + 1; 0: free */
	uint32_t *unused;    /* numbers of texts that were swept */
	uint32_t count, capacity, mask, live, unused_count, unused_capacity;
};
void interner_free(struct interner *interner);
/* Forgets every text and number, and keeps its memory for the next ones. */
void interner_clear(struct interner *interner);
/* Number of a text, added if new. Texts last used before keep_from_us are swept when room is needed. */
uint32_t interner_put(struct interner *interner, struct span text, int64_t time_us,
                      int64_t keep_from_us);
static inline struct span interner_text(const struct interner *interner, uint32_t number)
{
	return number == INTERNED_NONE
	               ? SPAN_NULL
	               : (struct span){interner->at[number].at, interner->at[number].len};
}

#endif
