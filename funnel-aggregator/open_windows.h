/* Open windows of one bronze partition. Each window has one accumulator per group: its measures.
 *
 * Counts of distinct sessions are exact: a window keeps one entry per group and session, of 16 to
 * 24 bytes. Sessions with more than a first stage also have a funnel of 32 bytes. If view is a
 * stage but not the first one, or no stage while buyers are counted, so do all sessions with a
 * view. */
#ifndef FUNNEL_OPEN_WINDOWS_H
#define FUNNEL_OPEN_WINDOWS_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/interner.h"
#include "base/u64_map.h"
#include "event/event.h"
#include "event/window.h"
#include "session_table.h"
#include "stages.h"
#include "wire/records_measures.h"

struct accumulator {
	struct measures measures;
	int64_t revision;
	uint32_t group; /* id in the caller's interner */
	bool changed;   /* is in the caller's list of changed accumulators */
};

struct open_window {
	struct window bounds;
	int rollup;  /* index in the caller's list */
	bool closed; /* takes no more events; freed after its last changes went out */
	/* Counts sessions that bought after a view. If false, these measures are NOT_COUNTED. */
	bool counts_buyers;
	uint32_t accumulator_count, accumulator_capacity, funnel_count, funnel_capacity;
	struct u64_map accumulator_of_group;
	struct accumulator *accumulators;
	struct session_table sessions; /* one entry per accumulator and session */
	struct funnel *funnels;        /* of the entries that have one */
	/* The funnel view, cart, purchase of each funnel's entry. NULL: that funnel has it. */
	struct funnel *purchase_funnels;
	uint32_t purchase_funnel_capacity;
};

/* like: a window that probably gets about as many groups and sessions; NULL: none is known. */
struct open_window *open_window_new(int rollup, struct window bounds, bool counts_buyers,
                                    const struct open_window *like);
void open_window_free(struct open_window *window, const struct stages *stages);

/* Index of the accumulator of a group. Creates it if the group is new. */
uint32_t open_window_group(struct open_window *window, uint32_t group);
/* Begins to load the memory of a session, for an open_window_count that comes soon. */
void open_window_prefetch(const struct open_window *window, uint32_t accumulator, uint32_t session);
/* Adds one event of a session to an accumulator. Returns false as funnel_add does. */
MUST_USE bool open_window_count(struct open_window *window, uint32_t accumulator, uint32_t session,
                                const struct event *event, const struct stages *stages);

/* Numbers of entries (groups, and sessions of groups) and of allocated bytes. */
size_t open_window_entries(const struct open_window *window);
size_t open_window_bytes(const struct open_window *window);

/* measures += other. A sum stops at INT64_MAX. All numbers must be 0 or more, or NOT_COUNTED: then
 * their sum is NOT_COUNTED too. */
void measures_add(struct measures *measures, const struct measures *other);

/* Appends the canonical text of a window's accumulators, ordered by group text. */
void open_window_dump(const struct open_window *window, const char *rollup,
                      const struct interner *groups, struct buffer *out);
/* The measures, separated by commas. Returns what snprintf returns. */
int measures_format(const struct measures *measures, char *out, size_t cap);

#endif
