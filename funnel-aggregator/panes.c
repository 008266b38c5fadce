/* A cell's counts move only by what one event changes for its session, so emitting needs no
 * walk over sessions. Entries are 32 bytes and live in arrays of their pane: closing a window
 * frees them all at once. */
#include "panes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"

enum seen { SEEN_VIEW = 1, SEEN_CART = 2, SEEN_PURCHASE = 4 };

struct session_entry {
	struct funnel funnel;
	uint8_t seen;
};

struct pane *pane_new(int rollup, struct window window)
{
	struct pane *pane = xrealloc(NULL, sizeof(*pane));

	*pane = (struct pane){.window = window, .rollup = rollup};
	return pane;
}

void pane_free(struct pane *pane, const struct stages *stages)
{
	for (uint32_t i = 0; i < pane->entry_count; i++)
		funnel_free(&pane->entries[i].funnel, stages);
	free(pane->entries);
	free(pane->cells);
	u64_map_free(&pane->cell_of_group);
	u64_map_free(&pane->entry_of_session);
	free(pane);
}

uint32_t pane_cell(struct pane *pane, uint32_t group)
{
	bool added;
	uint32_t number = u64_map_put(&pane->cell_of_group, group, pane->cell_count, &added);

	if (added) {
		GROW(pane->cells, pane->cell_count, pane->cell_capacity);
		pane->cells[pane->cell_count++] = (struct cell){.group = group};
	}
	return number;
}

static struct session_entry *entry_of(struct pane *pane, uint32_t cell, uint32_t session,
                                      bool *added)
{
	uint32_t number = u64_map_put(&pane->entry_of_session, (uint64_t)cell << 32 | session,
	                              pane->entry_count, added);

	if (*added) {
		GROW(pane->entries, pane->entry_count, pane->entry_capacity);
		pane->entries[pane->entry_count] = (struct session_entry){.seen = 0};
		funnel_init(&pane->entries[pane->entry_count++].funnel);
	}
	return &pane->entries[number];
}

static void count_seen(struct measures *measures, struct session_entry *entry, enum event_type type)
{
	uint8_t bit = type == EVENT_VIEW       ? SEEN_VIEW
	              : type == EVENT_CART     ? SEEN_CART
	              : type == EVENT_PURCHASE ? SEEN_PURCHASE
	                                       : 0;

	if (!bit || entry->seen & bit)
		return;
	entry->seen |= bit;
	if (bit == SEEN_VIEW)
		measures->view_sessions++;
	else if (bit == SEEN_CART)
		measures->cart_sessions++;
	else
		measures->purchase_sessions++;
}

/* Stages newly reached in order; the first one has no funnel count of its own. */
static void count_reached(struct measures *measures, const struct stages *stages, int before,
                          int after)
{
	for (int k = before > 1 ? before : 1; k < after; k++) {
		if (stages->at[k] == EVENT_CART)
			measures->funnel_cart_sessions++;
		else if (stages->at[k] == EVENT_CHECKOUT)
			measures->funnel_checkout_sessions++;
		else if (stages->at[k] == EVENT_PURCHASE)
			measures->funnel_purchase_sessions++;
	}
}

bool pane_count(struct pane *pane, uint32_t cell, uint32_t session, const struct event *event,
                const struct stages *stages)
{
	struct measures *measures = &pane->cells[cell].measures;
	bool added, kept = true;
	struct session_entry *entry = entry_of(pane, cell, session, &added);
	int stage = stages->of_type[event->type], before = entry->funnel.reached;

	measures->events[event->type]++;
	if (event->type == EVENT_PURCHASE && event->price_cents > 0)
		measures->revenue_cents = sum_capped(measures->revenue_cents, event->price_cents);
	measures->sessions += added;
	count_seen(measures, entry, event->type);
	if (stage >= 0) {
		kept = funnel_add(&entry->funnel, stages, stage, event->event_time_us);
		count_reached(measures, stages, before, entry->funnel.reached);
	}
	return kept;
}

void measures_add(struct measures *measures, const struct measures *other)
{
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		measures->events[i] = sum_capped(measures->events[i], other->events[i]);
	measures->revenue_cents = sum_capped(measures->revenue_cents, other->revenue_cents);
	measures->sessions = sum_capped(measures->sessions, other->sessions);
	measures->view_sessions = sum_capped(measures->view_sessions, other->view_sessions);
	measures->cart_sessions = sum_capped(measures->cart_sessions, other->cart_sessions);
	measures->purchase_sessions =
		sum_capped(measures->purchase_sessions, other->purchase_sessions);
	measures->funnel_cart_sessions =
		sum_capped(measures->funnel_cart_sessions, other->funnel_cart_sessions);
	measures->funnel_checkout_sessions =
		sum_capped(measures->funnel_checkout_sessions, other->funnel_checkout_sessions);
	measures->funnel_purchase_sessions =
		sum_capped(measures->funnel_purchase_sessions, other->funnel_purchase_sessions);
}

int measures_format(const struct measures *m, char *out, size_t cap)
{
	return snprintf(out, cap,
	                "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
	                ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
	                ",%" PRId64,
	                m->events[0], m->events[1], m->events[2], m->events[3], m->events[4],
	                m->revenue_cents, m->sessions, m->view_sessions, m->cart_sessions,
	                m->purchase_sessions, m->funnel_cart_sessions, m->funnel_checkout_sessions,
	                m->funnel_purchase_sessions);
}

struct dump_row {
	struct span group;
	const struct cell *cell;
};

static int by_group(const void *a, const void *b)
{
	const struct dump_row *x = a, *y = b;
	size_t shorter = x->group.len < y->group.len ? x->group.len : y->group.len;
	int order = memcmp(x->group.at, y->group.at, shorter);

	return order ? order : (x->group.len > y->group.len) - (x->group.len < y->group.len);
}

void pane_dump(const struct pane *pane, const char *rollup, const struct interner *groups,
               struct buffer *out)
{
	struct dump_row *rows = xrealloc(NULL, (pane->cell_count + 1) * sizeof(*rows));
	char line[EVENT_TEXT_MAX + 512], values[300];

	for (uint32_t i = 0; i < pane->cell_count; i++)
		rows[i] = (struct dump_row){interner_text(groups, pane->cells[i].group),
		                            &pane->cells[i]};
	qsort(rows, pane->cell_count, sizeof(*rows), by_group);
	for (uint32_t i = 0; i < pane->cell_count; i++) {
		measures_format(&rows[i].cell->measures, values, sizeof(values));
		buffer_append(out, line,
		              (size_t)snprintf(line, sizeof(line),
		                               "cell %s %" PRId64 " %" PRId64 " %.*s %s @%" PRId64
		                               "\n",
		                               rollup, pane->window.start_us, pane->window.end_us,
		                               (int)rows[i].group.len, rows[i].group.at, values,
		                               rows[i].cell->revision));
	}
	free(rows);
}
