/* Where a reader may start in a partition whose log holds [low, high). Pure. */
#ifndef FUNNEL_START_OFFSET_H
#define FUNNEL_START_OFFSET_H

#include <stdint.h>

#define OFFSET_NONE INT64_C(-1)

enum start_verdict {
	START_GO_ON,        /* at the offset to read from */
	START_FIRST,        /* nothing is stored: at low */
	START_LOST_RECORDS, /* retention has removed records that are to be read */
	START_BEYOND_END, /* stored > high: the topic was deleted and created again, or the broker has
	                     * lost records */
};
/* stored: the next offset of which nothing is stored yet; negative: nothing is stored at all.
 * from: where to read from; before `stored` where the state has to be rebuilt. */
enum start_verdict start_judge(int64_t stored, int64_t from, int64_t low, int64_t high);

#endif
