/* Panes: the open windows of one partition and, in each, its groups' measures and what every
 * session has done there. Exact: one entry per session, window and group. */
#ifndef FUNNEL_PANES_H
#define FUNNEL_PANES_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/u64_map.h"
#include "event/event.h"
#include "event/window.h"
#include "stages.h"
#include "wire/records_measures.h"

struct cell {
	struct measures measures;
	int64_t revision;
	uint32_t group; /* a number of the caller's names */
	bool changed;   /* stands in the caller's list of changed cells */
};

struct pane {
	struct window window;
	int rollup;
	bool closed; /* takes nothing more; to be freed once its changes are out */
	uint32_t cell_count, cell_capacity, entry_count, entry_capacity;
	struct u64_map cell_of_group, entry_of_session;
	struct cell *cells;
	struct session_entry *entries;
};

struct pane *pane_new(int rollup, struct window window);
void pane_free(struct pane *pane, const struct stages *stages);

/* Number of the cell of a group, made if new. */
uint32_t pane_cell(struct pane *pane, uint32_t group);
/* Counts one event of a session in a cell. False: see funnel_add. */
MUST_USE bool pane_count(struct pane *pane, uint32_t cell, uint32_t session,
                         const struct event *event, const struct stages *stages);

/* measures += other, capped; neither holds a negative number. */
void measures_add(struct measures *measures, const struct measures *other);

/* Adds the canonical text of a pane's cells, in order of group text. */
void pane_dump(const struct pane *pane, const char *rollup, const struct interner *groups,
               struct buffer *out);
int measures_format(const struct measures *measures, char *out, size_t cap);

#endif
