/* Which sources count which rollups, and since when: so that only windows are shown that all sources have counted whole.
 *
 * While the list of rollups changes, replica by replica, some sources count a rollup and others do not yet, or no more. Each
 * source tells, in the first commit under a list that is new to it. One that has told nothing counts what has been there for
 * ever. Pure; bounded, whatever is told. */
#ifndef FUNNEL_ROLLUP_SOURCES_H
#define FUNNEL_ROLLUP_SOURCES_H

#include "base/interner.h"
#include "base/span.h"
#include "event/window.h"

#define ROLLUP_SOURCES_MAX 128              /* bits of a set */
#define ROLLUP_SINCES_MAX  (2 * ROLLUP_MAX) /* the former list and the new one */

/* One bit per source. */
struct source_set {
	uint64_t bits[ROLLUP_SOURCES_MAX / 64];
};

struct rollup_since {
	uint32_t rollup;  /* number in the caller's names */
	int64_t since_us; /* the latest of the sources that count it */
	struct source_set counted_by;
};

struct rollup_sources {
	struct source_set all;
	struct source_set told;                    /* the sources that have told what they count */
	struct rollup_since at[ROLLUP_SINCES_MAX]; /* every rollup that any of them counts */
	uint32_t count;
};

/* A rollup's number in names that are kept for ever. */
static inline uint32_t rollup_number(struct interner *names, struct span name)
{
	return interner_put(names, name, INT64_MAX, INT64_MIN);
}

void rollup_sources_init(struct rollup_sources *sources, int32_t source_count);
/* A source counts these rollups, as rollup_since_next reads them, and no others. False, and nothing has changed: not a list of rollups. */
bool rollup_sources_tell(struct rollup_sources *sources, struct interner *names, int32_t source,
                         struct span told);
/* Whether every source has counted a window of a rollup from its start. */
bool rollup_sources_whole(const struct rollup_sources *sources, uint32_t rollup,
                          int64_t window_start_us);

/* Text for restore metadata, from out[len] on; nothing where no source has told anything. Gives the new length; where there is no room
 * it is cap - 1, and the text is cut.
 *
 *   |<sources that have told>|<rollup>@<since>=<sources that count it>|...
 *
 * Sets are '*' for all sources, else hexadecimal without leading zeros, the first source the lowest bit; since is in seconds, or "ever". */
size_t rollup_sources_format(const struct rollup_sources *sources, const struct interner *names,
                             char *out, size_t len, size_t cap);
/* The same text, from at to end; may be empty. */
bool rollup_sources_parse(struct rollup_sources *sources, struct interner *names, const char *at,
                          const char *end);

#endif
