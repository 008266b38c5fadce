/* Which sources count which rollups, and since when. The merge half emits only complete windows:
 * those that every source has counted from their start.
 *
 * Normally, all sources count the same rollups "since ever": since their first event. But operators
 * may change ROLLUPS replica by replica. Until all replicas have the new list, some sources count a
 * rollup that others do not count. So each source announces, in its first commit under a new list,
 * which rollups it counts, and for each the start of the first window that it counts.
 *
 * Example: two sources, and ROLLUPS changes from "1m:all" to "1m:all 1h:brand". Times are event
 * times of the source. Each line is one announcement, with the start of each rollup ("-": does not
 * count it).
 *
 *   announced by                  1m:all   1h:brand   complete windows of 1h:brand
 *   both, before the change       ever     -          none
 *   source 0, restarted at 10:20  ever     11:00      none: source 1 does not count it
 *   source 1, restarted at 12:30  ever     13:00      from 13:00 on: both count them
 *   source 0, with the old list   ever     -          none: source 0 does not count it any more
 *
 * All windows of 1m:all are complete, because both sources count it since ever.
 *
 * Until a source has announced its rollups, it is taken to count every rollup that the others count
 * since ever, and no other rollup.
 *
 * Pure. The memory is bounded, whatever a source announces. */
#ifndef FUNNEL_ROLLUP_SOURCES_H
#define FUNNEL_ROLLUP_SOURCES_H

#include "base/interner.h"
#include "base/span.h"
#include "event/window.h"

#define ROLLUP_SOURCES_MAX 128              /* bits of a source_set */
#define ROLLUP_SINCES_MAX  (2 * ROLLUP_MAX) /* those of the former and of the new list */

/* One bit per source. */
struct source_set {
	uint64_t bits[ROLLUP_SOURCES_MAX / 64];
};

struct rollup_since {
	uint32_t rollup;  /* id in the caller's interner */
	int64_t since_us; /* the latest start of the sources in counted_by */
	struct source_set counted_by;
};

struct rollup_sources {
	struct source_set all;
	struct source_set announced; /* the sources that have announced their rollups */
	struct rollup_since at[ROLLUP_SINCES_MAX]; /* every rollup that an announcement names */
	uint32_t count;
};

/* The id of a rollup. The interner never evicts it. */
static inline uint32_t rollup_id(struct interner *ids, struct span name)
{
	return interner_put(ids, name, INT64_MAX, INT64_MIN);
}

/* source_count: at most ROLLUP_SOURCES_MAX. */
void rollup_sources_init(struct rollup_sources *sources, int32_t source_count);
/* The announcement of a source: the rollups that it counts from now on, and no others. The text is
 * as rollup_since_next reads it. Returns false, and changes nothing, if the text is not a list of
 * rollups. */
bool rollup_sources_announce(struct rollup_sources *sources, struct interner *ids, int32_t source,
                             struct span since);
/* Whether a window of a rollup is complete: every source has counted it from its start. */
bool rollup_sources_complete(const struct rollup_sources *sources, uint32_t rollup,
                             int64_t window_start_us);

/* Writes the text for restore metadata from out[len] on. Writes nothing if no source has announced
 * anything. Returns the new length. If there is no room, the text is cut and the length is cap - 1.
 *
 *   |<sources that have announced>|<rollup>@<since>=<sources that count it>|...
 *
 * Sources are '*' for all, else a bit set in hexadecimal without leading zeros; source 0 is the
 * lowest bit. <since> is in seconds, or "ever". After the third line of the example, on 2019-10-01:
 *
 *   |*|1m:all@ever=*|1h:brand@1569934800=* */
size_t rollup_sources_format(const struct rollup_sources *sources, const struct interner *ids,
                             char *out, size_t len, size_t cap);
/* Reads the same text, from at to end. It may be empty. Returns false if it cannot be read. */
bool rollup_sources_parse(struct rollup_sources *sources, struct interner *ids, const char *at,
                          const char *end);

#endif
