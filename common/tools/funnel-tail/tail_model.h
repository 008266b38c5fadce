/* The live funnel, folded from records. Pure: records in, and what the screen shows out. The totals
 * are those of the aggregates; tail_flow.h has watermarks and counts.
 *
 * The rollups are those of the records. For each rollup the model keeps its newest windows, by end
 * and then start, and for each window the totals of its groups. As everywhere, (revision, final)
 * decides which of two totals is newer. */
#ifndef FUNNEL_TAIL_MODEL_H
#define FUNNEL_TAIL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/interner.h"
#include "base/span.h"
#include "event/window.h"
#include "tail_flow.h"
#include "wire/records_aggregate.h"

#define TAIL_ROLLUPS_MAX 32
#define TAIL_WINDOWS_MAX 60     /* per rollup */
#define TAIL_TOTALS_MAX  100000 /* per rollup; then its oldest windows are dropped */

struct tail_total {
	struct span group; /* borrowed from the window's groups */
	struct measures measures;
	int64_t revision;
	bool final;
};

struct tail_window {
	int64_t start_us, end_us;
	struct interner groups;
	struct tail_total *totals; /* by number of the group */
	size_t count, capacity;
};

struct tail_rollup {
	char name[RECORD_ROLLUP_MAX + 1];
	enum group_kind group;
	int64_t size_us;              /* 0: this version cannot read the name */
	struct tail_window **windows; /* the oldest first */
	int window_count;
	size_t total_count;
	bool has_checkout; /* its stages have a checkout */
};

struct tail_model {
	struct tail_rollup *rollups; /* by group kind, then size, then name */
	int rollup_count;
	struct tail_flow flow;
	int64_t updated_ms; /* own time of the newest record of aggregates; 0: none */
	int64_t unreadable, refused_totals;
};

/* source_count: partitions of bronze_events. */
void tail_model_init(struct tail_model *model, int source_count);
void tail_model_free(struct tail_model *model);

void tail_model_aggregate(struct tail_model *model, const struct aggregate *aggregate,
                          int64_t record_ms);

/* ---- what the screen asks for */

/* Rollup with this name; -1: none. name "": the largest window up to a day over everything. */
int tail_model_rollup(const struct tail_model *model, const char *name);
/* The rollup of a group kind for a panel, with the window size if there is one, else the largest
 * size; -1: none. */
int tail_model_panel(const struct tail_model *model, enum group_kind group, int64_t size_us);
/* back: 0 is the newest window; NULL: there is no such window. */
const struct tail_window *tail_rollup_window(const struct tail_rollup *rollup, int back);
/* The window with these bounds, or else the newest that contains the last moment of them, or else
 * the newest; NULL: none. */
const struct tail_window *tail_rollup_match(const struct tail_rollup *rollup, int64_t start_us,
                                            int64_t end_us);
/* NULL: none. */
struct tail_total *tail_window_total(const struct tail_window *window, struct span group);

enum tail_sort { TAIL_BY_REVENUE, TAIL_BY_ORDERS, TAIL_BY_VIEWS, TAIL_SORT_COUNT };
const char *tail_sort_name(enum tail_sort sort);
/* The value that the sort compares. */
int64_t tail_sort_value(const struct tail_total *total, enum tail_sort sort);
/* Fills top with the first totals in this order, ties by name; returns their number. */
size_t tail_window_top(const struct tail_window *window, enum tail_sort sort,
                       const struct tail_total **top, size_t max);

#endif
