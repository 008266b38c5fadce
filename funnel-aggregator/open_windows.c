/* An event updates the entry of its session, and the accumulator by the difference. So emitting an
 * accumulator needs no walk over sessions.
 *
 * Most sessions only have views. The entry of a session is 50 bits: flags, and the earliest time of
 * the first stage, from the start of the window. With the first event that this cannot hold, the
 * entry gets a funnel, and has its number instead of the time. Freeing a window frees all of them
 * at once.
 *
 * Buyers are counted whatever STAGES are. The funnel of most lists has what this takes (stages.h).
 * With another list, such as view,cart, a window keeps a second funnel per funnel. Few sessions
 * both view and buy, so only their events cost more than one comparison. */
#include "open_windows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"

#define EXPECTED_MAX 4096

/* The low bits of an entry. The others are a time or a number. */
enum seen {
	SEEN_VIEW = 1,
	SEEN_CART = 2,
	SEEN_PURCHASE = 4,
	SEEN_BUYER = SEEN_VIEW | SEEN_PURCHASE,
	COUNTED_BUYER = 8,
	COUNTED_AFTER_VIEW = 16,
	COUNTED_AFTER_CART = 32,
	HAS_TIME = 64,    /* of the first stage; never together with HAS_FUNNEL */
	HAS_FUNNEL = 128, /* its number in the window's funnels */
	FLAGS = 255,
};
#define FLAG_BITS 8 /* 42 are left: enough for a time in a window of at most 31 days */

/* Growth costs more than one allocation of the right size. Large windows grow: a wrong estimate
 * would waste much memory, and the cost of growth is divided among many entries. */
static uint32_t expected(uint32_t count)
{
	return count < EXPECTED_MAX ? count : EXPECTED_MAX;
}

static void reserve(struct open_window *window, const struct open_window *like)
{
	window->accumulator_capacity = expected(like->accumulator_count);
	window->accumulators =
		xrealloc(NULL, window->accumulator_capacity * sizeof(*window->accumulators));
	u64_map_reserve(&window->accumulator_of_group, window->accumulator_capacity);
	session_table_reserve(&window->sessions, expected(like->sessions.first.used));
}

struct open_window *open_window_new(int rollup, struct window bounds, bool counts_buyers,
                                    const struct open_window *like)
{
	struct open_window *window = xrealloc(NULL, sizeof(*window));

	*window = (struct open_window){.bounds = bounds,
	                               .rollup = rollup,
	                               .counts_buyers = counts_buyers};
	if (like && like->accumulator_count)
		reserve(window, like);
	return window;
}

void open_window_free(struct open_window *window, const struct stages *stages)
{
	for (uint32_t i = 0; i < window->funnel_count; i++) {
		funnel_free(&window->funnels[i], stages);
		if (window->purchase_funnels)
			funnel_free(&window->purchase_funnels[i], &purchase_stages);
	}
	free(window->funnels);
	free(window->purchase_funnels);
	free(window->accumulators);
	u64_map_free(&window->accumulator_of_group);
	session_table_free(&window->sessions);
	free(window);
}

static void set_not_counted(struct measures *measures)
{
	measures->buying_view_sessions = NOT_COUNTED;
	measures->view_purchase_sessions = NOT_COUNTED;
	measures->view_cart_purchase_sessions = NOT_COUNTED;
}

uint32_t open_window_group(struct open_window *window, uint32_t group)
{
	bool added;
	uint32_t number = u64_map_put(&window->accumulator_of_group, group,
	                              window->accumulator_count, &added);

	if (added) {
		GROW(window->accumulators, window->accumulator_count, window->accumulator_capacity);
		window->accumulators[window->accumulator_count++] =
			(struct accumulator){.group = group};
		if (!window->counts_buyers)
			set_not_counted(&window->accumulators[number].measures);
	}
	return number;
}

void open_window_prefetch(const struct open_window *window, uint32_t accumulator, uint32_t session)
{
	session_table_prefetch(&window->sessions, accumulator, session);
}

static void count_seen(struct measures *measures, uint64_t *entry, enum event_type type)
{
	uint64_t bit = type == EVENT_VIEW       ? SEEN_VIEW
	               : type == EVENT_CART     ? SEEN_CART
	               : type == EVENT_PURCHASE ? SEEN_PURCHASE
	                                        : 0;

	if (!bit || *entry & bit)
		return;
	*entry |= bit;
	if (bit == SEEN_VIEW)
		measures->view_sessions++;
	else if (bit == SEEN_CART)
		measures->cart_sessions++;
	else
		measures->purchase_sessions++;
}

/* Counts the stages that were newly reached in order. The first stage has no funnel count. */
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

/* Counts what is newly true of a session with a view and a purchase. None of it becomes false. */
static void count_buyer(struct measures *measures, uint64_t *entry, enum bought bought)
{
	uint64_t now = COUNTED_BUYER | (bought >= BOUGHT_AFTER_VIEW ? COUNTED_AFTER_VIEW : 0) |
	               (bought >= BOUGHT_AFTER_CART ? COUNTED_AFTER_CART : 0);
	uint64_t added = now & ~*entry;

	*entry |= added;
	measures->buying_view_sessions += (added & COUNTED_BUYER) != 0;
	measures->view_purchase_sessions += (added & COUNTED_AFTER_VIEW) != 0;
	measures->view_cart_purchase_sessions += (added & COUNTED_AFTER_CART) != 0;
}

/* ---- entries with a time */

static bool has_purchase_funnels(const struct open_window *window, const struct stages *stages)
{
	return window->counts_buyers && !stages->has_purchases;
}

/* Whether an event only needs the time of the first stage, or none, in all funnels. */
static bool fits_time(const struct open_window *window, const struct stages *stages,
                      enum event_type type)
{
	int stage = stages->of_type[type];

	return stage <= 0 &&
	       (!has_purchase_funnels(window, stages) || purchase_stages.of_type[type] < 0 ||
	        (stage == 0 && type == EVENT_VIEW));
}

static void take_time(const struct open_window *window, uint64_t *entry, int64_t time_us)
{
	uint64_t since_us = (uint64_t)(time_us - window->bounds.start_us);

	if (!(*entry & HAS_TIME) || since_us < *entry >> FLAG_BITS)
		*entry = since_us << FLAG_BITS | (*entry & FLAGS) | HAS_TIME;
}

/* ---- entries with a funnel */

/* A new funnel. first_us: INT64_MAX: none. */
static struct funnel funnel_from(int64_t first_us)
{
	struct funnel funnel;

	funnel_init(&funnel);
	funnel.first_us = first_us;
	funnel.reached = first_us != INT64_MAX;
	return funnel;
}

/* Gives an entry a funnel, which begins with the time of the entry. */
static void add_funnel(struct open_window *window, uint64_t *entry, const struct stages *stages)
{
	uint32_t number = window->funnel_count;
	int64_t first_us = *entry & HAS_TIME
	                           ? window->bounds.start_us + (int64_t)(*entry >> FLAG_BITS)
	                           : INT64_MAX;

	GROW(window->funnels, number, window->funnel_capacity);
	window->funnels[number] = funnel_from(first_us);
	if (has_purchase_funnels(window, stages)) {
		GROW(window->purchase_funnels, number, window->purchase_funnel_capacity);
		window->purchase_funnels[number] =
			funnel_from(stages->at[0] == EVENT_VIEW ? first_us : INT64_MAX);
	}
	window->funnel_count++;
	*entry = (uint64_t)number << FLAG_BITS | (*entry & (FLAGS & ~HAS_TIME)) | HAS_FUNNEL;
}

/* Adds an event to the funnels of an entry. Returns false as funnel_add does. */
static bool follow(struct open_window *window, struct measures *measures, uint64_t *entry,
                   const struct event *event, const struct stages *stages)
{
	uint32_t number = (uint32_t)(*entry >> FLAG_BITS);
	struct funnel *funnel = &window->funnels[number],
		      *purchase =
			      window->purchase_funnels ? &window->purchase_funnels[number] : NULL;
	int stage = stages->of_type[event->type], before = funnel->reached,
	    purchase_stage = purchase_stages.of_type[event->type];
	bool kept = true;

	if (stage >= 0) {
		kept = funnel_add(funnel, stages, stage, event->event_time_us);
		count_reached(measures, stages, before, funnel->reached);
	}
	if (purchase && purchase_stage >= 0)
		kept &= funnel_add(purchase, &purchase_stages, purchase_stage,
		                   event->event_time_us);
	if (window->counts_buyers && (*entry & SEEN_BUYER) == SEEN_BUYER)
		count_buyer(measures, entry,
		            purchase ? funnel_bought(purchase, &purchase_stages)
		                     : funnel_bought(funnel, stages));
	return kept;
}

/* Updates the entry of the event's session. A buyer always has a funnel: a purchase is a stage
 * after the first one in one of the funnels. Returns false as funnel_add does. */
static bool count_in_entry(struct open_window *window, struct measures *measures, uint64_t *entry,
                           const struct event *event, const struct stages *stages)
{
	count_seen(measures, entry, event->type);
	if (!(*entry & HAS_FUNNEL) && fits_time(window, stages, event->type)) {
		if (stages->of_type[event->type] == 0)
			take_time(window, entry, event->event_time_us);
		return true;
	}
	if (!(*entry & HAS_FUNNEL))
		add_funnel(window, entry, stages);
	return follow(window, measures, entry, event, stages);
}

bool open_window_count(struct open_window *window, uint32_t accumulator, uint32_t session,
                       const struct event *event, const struct stages *stages)
{
	struct measures *measures = &window->accumulators[accumulator].measures;
	bool added, kept;
	struct session_slot *slot =
		session_table_put(&window->sessions, accumulator, session, &added);
	uint64_t before = session_entry(slot), entry = before;

	measures->events[event->type]++;
	if (event->type == EVENT_PURCHASE && event->price_cents > 0)
		measures->revenue_cents = sum_capped(measures->revenue_cents, event->price_cents);
	measures->sessions += added;
	kept = count_in_entry(window, measures, &entry, event, stages);
	if (entry != before)
		session_entry_set(slot, entry);
	return kept;
}

static int64_t add_counted(int64_t a, int64_t b)
{
	return a == NOT_COUNTED || b == NOT_COUNTED ? NOT_COUNTED : sum_capped(a, b);
}

size_t open_window_entries(const struct open_window *window)
{
	return window->accumulator_count + session_table_count(&window->sessions);
}

size_t open_window_bytes(const struct open_window *window)
{
	return sizeof(*window) + window->accumulator_capacity * sizeof(*window->accumulators) +
	       window->funnel_capacity * sizeof(*window->funnels) +
	       window->purchase_funnel_capacity * sizeof(*window->purchase_funnels) +
	       u64_map_bytes(&window->accumulator_of_group) +
	       session_table_bytes(&window->sessions);
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
	measures->buying_view_sessions =
		add_counted(measures->buying_view_sessions, other->buying_view_sessions);
	measures->view_purchase_sessions =
		add_counted(measures->view_purchase_sessions, other->view_purchase_sessions);
	measures->view_cart_purchase_sessions = add_counted(measures->view_cart_purchase_sessions,
	                                                    other->view_cart_purchase_sessions);
}

int measures_format(const struct measures *m, char *out, size_t cap)
{
	return snprintf(out, cap,
	                "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
	                ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
	                ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
	                m->events[0], m->events[1], m->events[2], m->events[3], m->events[4],
	                m->revenue_cents, m->sessions, m->view_sessions, m->cart_sessions,
	                m->purchase_sessions, m->funnel_cart_sessions, m->funnel_checkout_sessions,
	                m->funnel_purchase_sessions, m->buying_view_sessions,
	                m->view_purchase_sessions, m->view_cart_purchase_sessions);
}

struct dump_row {
	struct span group;
	const struct accumulator *accumulator;
};

static int by_group(const void *a, const void *b)
{
	const struct dump_row *x = a, *y = b;
	size_t shorter = x->group.len < y->group.len ? x->group.len : y->group.len;
	int order = memcmp(x->group.at, y->group.at, shorter);

	return order ? order : (x->group.len > y->group.len) - (x->group.len < y->group.len);
}

void open_window_dump(const struct open_window *window, const char *rollup,
                      const struct interner *groups, struct buffer *out)
{
	struct dump_row *rows = xrealloc(NULL, (window->accumulator_count + 1) * sizeof(*rows));
	char line[EVENT_TEXT_MAX + 640], values[400];

	for (uint32_t i = 0; i < window->accumulator_count; i++)
		rows[i] = (struct dump_row){interner_text(groups, window->accumulators[i].group),
		                            &window->accumulators[i]};
	qsort(rows, window->accumulator_count, sizeof(*rows), by_group);
	for (uint32_t i = 0; i < window->accumulator_count; i++) {
		measures_format(&rows[i].accumulator->measures, values, sizeof(values));
		buffer_append(out, line,
		              (size_t)snprintf(line, sizeof(line),
		                               "accumulator %s %" PRId64 " %" PRId64
		                               " %.*s %s @%" PRId64 "\n",
		                               rollup, window->bounds.start_us,
		                               window->bounds.end_us, (int)rows[i].group.len,
		                               rows[i].group.at, values,
		                               rows[i].accumulator->revision));
	}
	free(rows);
}
