/* Whether and where a reader can start in a partition whose log has the offsets [low, high).
 * Pure. */
#ifndef FUNNEL_START_OFFSET_H
#define FUNNEL_START_OFFSET_H

#include <stdint.h>

#define OFFSET_NONE INT64_C(-1)

enum start_result {
	START_RESUME,       /* at the offset `from` */
	START_FIRST,        /* at `low`: no offset is stored */
	START_LOST_RECORDS, /* not possible: retention has removed records that must be read */
	/* Not possible, stored > high: the topic was deleted and created again, or the broker has
	 * lost records. */
	START_BEYOND_END,
};
/* stored: the committed offset; negative: none. from: the first offset to read, which is before
 * `stored` if a restore has to read records again. */
enum start_result start_check(int64_t stored, int64_t from, int64_t low, int64_t high);

#endif
