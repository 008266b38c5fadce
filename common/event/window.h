/* Rollups, each a window and a group, and the arithmetic of windows.
 *
 * The form is <window>:<group>. Windows: tumbling "1m"; hopping "5m/1m" (size/slide); cumulating
 * "1d+1h" (size+step: windows of 1 h, 2 h, ... up to the day, which all begin with the day).
 * Windows are aligned to 1970-01-01 UTC. The names are those of Flink's window functions. Groups:
 * all, category1, category, brand, product. */
#ifndef FUNNEL_WINDOW_H
#define FUNNEL_WINDOW_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "event/event.h"

enum window_kind { WINDOW_TUMBLING, WINDOW_HOPPING, WINDOW_CUMULATING };
enum group_kind { GROUP_ALL, GROUP_CATEGORY1, GROUP_CATEGORY, GROUP_BRAND, GROUP_PRODUCT };
#define GROUP_KIND_COUNT (GROUP_PRODUCT + 1)

#define ROLLUP_MAX            16
#define ROLLUP_NAME_MAX       32
#define WINDOWS_PER_EVENT_MAX 288

struct rollup {
	char name[ROLLUP_NAME_MAX]; /* as configured */
	enum window_kind kind;
	enum group_kind group;
	int64_t size_us;
	int64_t step_us; /* hopping: slide; cumulating: step; tumbling: size */
};

struct rollup_list {
	struct rollup at[ROLLUP_MAX];
	int count;
};

struct window {
	int64_t start_us, end_us; /* [start, end) */
};

/* Parses rollups, separated by spaces or commas. ERR_INPUT if the text is invalid. */
MUST_USE bool rollups_parse(const char *text, struct rollup_list *list, struct err *err);

/* The number of windows that contain a time, and the i-th of them. */
int rollup_window_count(const struct rollup *rollup, int64_t time_us);
struct window rollup_window(const struct rollup *rollup, int64_t time_us, int i);
/* The start of the earliest window that ends after a time. */
int64_t rollup_earliest_open(const struct rollup *rollup, int64_t time_us);
/* The first start of a window at or after a time. */
int64_t rollup_next_start(const struct rollup *rollup, int64_t time_us);

/* Takes the next entry from *rest, the start times of rollups as text:
 * "1m:all@ever,1d:brand@1569888000000000" (microseconds). False at the end, with an empty *rest,
 * and if the entry cannot be read, with *rest as it was. A time near the ends of int64_t cannot be
 * read. */
#define ROLLUP_SINCE_EVER INT64_MIN
bool rollup_since_next(struct span *rest, struct span *name, int64_t *since_us);

/* An event's value in a group. A number is written into buffer. A missing text is "unknown". */
struct span group_value(enum group_kind group, const struct event *event, char buffer[32]);

#endif
