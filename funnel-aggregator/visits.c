/* All parts of a visit (counts, first and last event, set of products, stage times) can be merged
 * with those of another visit. So no list of events is kept. The open visits of a session form a
 * linked list. It is short, because a visit leaves memory at its end + gap + grace + disorder.
 *
 * Closing uses a heap with one entry per visit. The entry has the deadline at the time when it was
 * pushed. If the visit was extended since then, the entry is pushed again. Visits that close at the
 * same record are sorted by first event, so the output does not depend on the order in the heap.
 *
 * Limit: all distinct products of a visit are kept, at most one number per event. */
#include "visits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"
#include "base/u64_set.h"
#include "event/event.h"
#include "event/event_id.h"

#define NEVER_EMITTED INT64_MIN
#define CACHE_LINE    64

struct open_visit {
	uint32_t session, next; /* next open visit of the session */
	uint32_t first_category, last_category;
	int64_t start_us, end_us;
	uint8_t first_id[EVENT_ID_BYTES], last_id[EVENT_ID_BYTES];
	int64_t user_id;
	int64_t events[EVENT_TYPE_COUNT];
	int64_t revenue_cents;
	int64_t revision;
	int64_t emitted_start_us; /* start in the key of the emitted row; or NEVER_EMITTED */
	struct u64_set products;
	struct funnel funnel;
	int64_t first_view_us; /* INT64_MAX: none */
	/* Times up to the first one at or after the first view. Do not depend on STAGES. */
	struct times carts, purchases;
	int64_t last_purchase_us;   /* INT64_MIN: none */
	bool changed, closed, gone; /* gone: merged into another visit, or flushed after closing */
};

struct deletion {
	uint32_t session;
	int64_t start_us, revision, user_id;
};

struct visits {
	const struct stages *stages;
	struct interner *sessions, *categories;
	struct open_visit *at;
	uint32_t count, capacity;
	uint32_t *unused, unused_count, unused_capacity;
	uint32_t *changed, changed_count, changed_capacity;
	struct heap deadlines;
	struct deletion *deletions;
	uint32_t deletion_count, deletion_capacity;
	struct closing *closing; /* of visits_close, kept for the next call */
	uint32_t closing_capacity;
};

struct visits *visits_new(const struct stages *stages, struct interner *sessions,
                          struct interner *categories)
{
	struct visits *visits = xrealloc(NULL, sizeof(*visits));

	*visits = (struct visits){.stages = stages, .sessions = sessions, .categories = categories};
	return visits;
}

static void visit_fini(struct visits *visits, struct open_visit *visit)
{
	u64_set_free(&visit->products);
	funnel_free(&visit->funnel, visits->stages);
	times_free(&visit->carts);
	times_free(&visit->purchases);
}

void visits_free(struct visits *visits)
{
	for (uint32_t i = 0; i < visits->count; i++)
		visit_fini(visits, &visits->at[i]);
	table_free(visits->at, visits->capacity * sizeof(*visits->at));
	free(visits->unused);
	free(visits->changed);
	heap_free(&visits->deadlines);
	free(visits->deletions);
	free(visits->closing);
	free(visits);
}

/* ---- one visit */

static uint32_t visit_open(struct visits *visits, uint32_t session)
{
	uint32_t number;

	if (visits->unused_count) {
		number = visits->unused[--visits->unused_count];
	} else {
		GROW_TABLE(visits->at, visits->count, visits->capacity);
		number = visits->count++;
	}
	visits->at[number] = (struct open_visit){.session = session,
	                                         .next = visits->sessions->at[session].attached,
	                                         .first_category = INTERNED_NONE,
	                                         .last_category = INTERNED_NONE,
	                                         .start_us = INT64_MAX,
	                                         .end_us = INT64_MIN,
	                                         .first_view_us = INT64_MAX,
	                                         .last_purchase_us = INT64_MIN,
	                                         .emitted_start_us = NEVER_EMITTED};
	funnel_init(&visits->at[number].funnel);
	visits->sessions->at[session].attached = number;
	return number;
}

static void visit_unlink(struct visits *visits, uint32_t number)
{
	uint32_t *link = &visits->sessions->at[visits->at[number].session].attached;

	while (*link != number)
		link = &visits->at[*link].next;
	*link = visits->at[number].next;
	visit_fini(visits, &visits->at[number]);
	visits->at[number].gone = true;
}

static void mark_changed(struct visits *visits, uint32_t number)
{
	if (visits->at[number].changed)
		return;
	visits->at[number].changed = true;
	GROW(visits->changed, visits->changed_count, visits->changed_capacity);
	visits->changed[visits->changed_count++] = number;
}

/* The order of events: by time, then by event id. */
static bool is_before(int64_t a_us, const uint8_t *a_id, int64_t b_us, const uint8_t *b_id)
{
	return a_us != b_us ? a_us < b_us : memcmp(a_id, b_id, EVENT_ID_BYTES) < 0;
}

static bool add_time(struct times *times, int64_t first_view_us, int64_t time_us)
{
	bool kept = times_add(times, time_us);
	int64_t first_us = times_first_from(times, first_view_us);

	if (first_us != INT64_MAX)
		times_cut(times, first_us);
	return kept;
}

static bool visit_take(struct visits *visits, struct open_visit *visit, uint32_t category,
                       const struct bronze_event *bronze)
{
	const struct event *event = &bronze->event;
	int64_t time_us = event->event_time_us;
	int stage = visits->stages->of_type[event->type];
	bool kept = true;

	if (is_before(time_us, bronze->event_id, visit->start_us, visit->first_id)) {
		visit->start_us = time_us;
		memcpy(visit->first_id, bronze->event_id, EVENT_ID_BYTES);
		visit->user_id = event->user_id;
		visit->first_category = category;
	}
	if (visit->end_us == INT64_MIN ||
	    is_before(visit->end_us, visit->last_id, time_us, bronze->event_id)) {
		visit->end_us = time_us;
		memcpy(visit->last_id, bronze->event_id, EVENT_ID_BYTES);
		visit->last_category = category;
	}
	visit->events[event->type]++;
	if (event->type == EVENT_PURCHASE && event->price_cents > 0)
		visit->revenue_cents = sum_capped(visit->revenue_cents, event->price_cents);
	u64_set_put(&visit->products, (uint64_t)event->product_id);
	if (stage >= 0)
		kept = funnel_add(&visit->funnel, visits->stages, stage, time_us);
	if (event->type == EVENT_VIEW && time_us < visit->first_view_us)
		visit->first_view_us = time_us;
	if (event->type == EVENT_CART)
		kept &= add_time(&visit->carts, visit->first_view_us, time_us);
	if (event->type == EVENT_PURCHASE) {
		kept &= add_time(&visit->purchases, visit->first_view_us, time_us);
		if (time_us > visit->last_purchase_us)
			visit->last_purchase_us = time_us;
	}
	return kept;
}

/* The row that was emitted for this visit is to be deleted, if there is one. */
static void delete_emitted(struct visits *visits, struct open_visit *visit, int64_t revision)
{
	if (visit->emitted_start_us == NEVER_EMITTED)
		return;
	GROW(visits->deletions, visits->deletion_count, visits->deletion_capacity);
	visits->deletions[visits->deletion_count++] =
		(struct deletion){visit->session, visit->emitted_start_us, revision,
	                          visit->user_id};
	visit->emitted_start_us = NEVER_EMITTED;
}

static bool visit_merge(struct visits *visits, struct open_visit *visit,
                        const struct open_visit *other)
{
	bool kept;

	if (is_before(other->start_us, other->first_id, visit->start_us, visit->first_id)) {
		visit->start_us = other->start_us;
		memcpy(visit->first_id, other->first_id, EVENT_ID_BYTES);
		visit->user_id = other->user_id;
		visit->first_category = other->first_category;
	}
	if (is_before(visit->end_us, visit->last_id, other->end_us, other->last_id)) {
		visit->end_us = other->end_us;
		memcpy(visit->last_id, other->last_id, EVENT_ID_BYTES);
		visit->last_category = other->last_category;
	}
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		visit->events[i] += other->events[i];
	visit->revenue_cents = sum_capped(visit->revenue_cents, other->revenue_cents);
	u64_set_merge(&visit->products, &other->products);
	kept = funnel_merge(&visit->funnel, visits->stages, &other->funnel);
	if (other->first_view_us < visit->first_view_us)
		visit->first_view_us = other->first_view_us;
	for (uint32_t i = 0; i < other->carts.count; i++)
		kept &= add_time(&visit->carts, visit->first_view_us, other->carts.at[i]);
	for (uint32_t i = 0; i < other->purchases.count; i++)
		kept &= add_time(&visit->purchases, visit->first_view_us, other->purchases.at[i]);
	if (other->last_purchase_us > visit->last_purchase_us)
		visit->last_purchase_us = other->last_purchase_us;
	return kept;
}

/* If the other's row has the key of the merged visit, the merged visit takes that row over. So the
 * row is updated, not deleted. */
static void keep_emitted_key(struct open_visit *visit, struct open_visit *other)
{
	int64_t emitted_us = visit->emitted_start_us;

	if (other->emitted_start_us != visit->start_us)
		return;
	visit->emitted_start_us = other->emitted_start_us;
	other->emitted_start_us = emitted_us;
}

static bool touches(const struct open_visit *visit, int64_t time_us)
{
	return time_floor(visit->start_us, US_PER_DAY) == time_floor(time_us, US_PER_DAY) &&
	       time_us >= visit->start_us - VISIT_GAP_US && time_us <= visit->end_us + VISIT_GAP_US;
}

void visits_prefetch(const struct visits *visits, uint32_t session)
{
	uint32_t number = visits->sessions->at[session].attached;

	if (number == INTERNED_NONE)
		return;
	for (size_t i = 0; i < sizeof(*visits->at); i += CACHE_LINE)
		__builtin_prefetch((const char *)&visits->at[number] + i, 1);
}

bool visits_add(struct visits *visits, uint32_t session, uint32_t category,
                const struct bronze_event *event, int64_t revision)
{
	uint32_t number = visits->sessions->at[session].attached, other = INTERNED_NONE, next;
	bool is_new, kept;

	while (number != INTERNED_NONE && !touches(&visits->at[number], event->event.event_time_us))
		number = visits->at[number].next;
	for (next = number == INTERNED_NONE ? INTERNED_NONE : visits->at[number].next;
	     next != INTERNED_NONE; next = visits->at[next].next)
		if (touches(&visits->at[next], event->event.event_time_us))
			other = next;
	is_new = number == INTERNED_NONE;
	if (is_new)
		number = visit_open(visits, session);
	kept = visit_take(visits, &visits->at[number], category, event);
	if (is_new)
		heap_push(&visits->deadlines, visits->at[number].end_us, number);
	if (other != INTERNED_NONE) {
		kept &= visit_merge(visits, &visits->at[number], &visits->at[other]);
		keep_emitted_key(&visits->at[number], &visits->at[other]);
		delete_emitted(visits, &visits->at[other], revision);
		visit_unlink(visits, other);
	}
	visits->at[number].revision = revision;
	mark_changed(visits, number);
	return kept;
}

/* ---- closing */

struct closing {
	const struct visits *visits;
	uint32_t number;
};

static int by_first_event(const void *a, const void *b)
{
	const struct closing *x = a, *y = b;

	return memcmp(x->visits->at[x->number].first_id, y->visits->at[y->number].first_id,
	              EVENT_ID_BYTES);
}

void visits_close(struct visits *visits, int64_t before_us)
{
	uint32_t count = 0;

	while (visits->deadlines.count &&
	       visits->deadlines.entries[0].time_us + VISIT_GAP_US < before_us) {
		uint32_t number = heap_pop(&visits->deadlines).value;
		struct open_visit *visit = &visits->at[number];

		if (visit->gone) {
			if (!visit->changed) { /* else visits->changed still has its number */
				GROW(visits->unused, visits->unused_count, visits->unused_capacity);
				visits->unused[visits->unused_count++] = number;
			} else {
				visit->closed = true;
			}
		} else if (visit->end_us + VISIT_GAP_US >= before_us) {
			heap_push(&visits->deadlines, visit->end_us, number);
		} else {
			GROW(visits->closing, count, visits->closing_capacity);
			visits->closing[count++] = (struct closing){visits, number};
		}
	}
	if (count > 1)
		qsort(visits->closing, count, sizeof(*visits->closing), by_first_event);
	for (uint32_t i = 0; i < count; i++) {
		visits->at[visits->closing[i].number].closed = true;
		mark_changed(visits, visits->closing[i].number);
	}
}

/* ---- output */

static int64_t after_first_view_ms(const struct open_visit *visit, const struct times *times)
{
	int64_t time_us = times_first_from(times, visit->first_view_us);

	return visit->first_view_us == INT64_MAX || time_us == INT64_MAX
	               ? -1
	               : (time_us - visit->first_view_us) / 1000;
}

static void set_bought(const struct open_visit *visit, struct visit *out)
{
	int64_t first_cart_us = times_first_from(&visit->carts, visit->first_view_us);

	if (visit->last_purchase_us < visit->first_view_us)
		return;
	out->view_purchase = VISIT_FLAG_YES;
	if (first_cart_us <= visit->last_purchase_us)
		out->view_cart_purchase = VISIT_FLAG_YES;
}

static struct visit describe(const struct visits *visits, const struct open_visit *visit)
{
	const struct stages *stages = visits->stages;
	struct visit out = {
		.user_session = interner_text(visits->sessions, visit->session),
		.start_us = visit->start_us,
		.end_us = visit->end_us,
		.user_id = visit->user_id,
		.products = visit->products.count,
		.revenue_cents = visit->revenue_cents,
		.first_category = interner_text(visits->categories, visit->first_category),
		.last_category = interner_text(visits->categories, visit->last_category),
		.furthest_stage = visit->funnel.reached,
		.view_to_cart_ms = after_first_view_ms(visit, &visit->carts),
		.view_to_purchase_ms = after_first_view_ms(visit, &visit->purchases),
		.revision = visit->revision,
		.final = visit->closed,
	};

	set_bought(visit, &out);
	if (visit->events[EVENT_PURCHASE] > 0)
		out.drop_off_stage = SPAN_NULL;
	else if (visit->funnel.reached == 0)
		out.drop_off_stage = SPAN("none");
	else if (visit->funnel.reached < stages->count)
		out.drop_off_stage =
			span_of(event_type_name(stages->at[visit->funnel.reached - 1]));
	memcpy(out.events, visit->events, sizeof(out.events));
	return out;
}

static void flush_deletions(struct visits *visits, visit_sink *sink, void *context)
{
	for (uint32_t i = 0; i < visits->deletion_count; i++) {
		const struct deletion *row = &visits->deletions[i];
		struct visit visit = {.user_session = interner_text(visits->sessions, row->session),
		                      .start_us = row->start_us,
		                      .end_us = row->start_us,
		                      .user_id = row->user_id,
		                      .revision = row->revision,
		                      .drop_off_stage = SPAN("none"),
		                      .view_to_cart_ms = -1,
		                      .view_to_purchase_ms = -1,
		                      .deleted = true};

		sink(context, &visit);
	}
	visits->deletion_count = 0;
}

/* Clears the change flag of a visit. Frees its number if nothing refers to it any more. */
static void visit_flushed(struct visits *visits, uint32_t number)
{
	struct open_visit *visit = &visits->at[number];

	visit->changed = false;
	if (!visit->closed)
		return; /* open, or merged away and still in the heap */
	if (!visit->gone)
		visit_unlink(visits, number);
	GROW(visits->unused, visits->unused_count, visits->unused_capacity);
	visits->unused[visits->unused_count++] = number;
}

void visits_flush(struct visits *visits, visit_sink *sink, void *context)
{
	for (uint32_t i = 0; i < visits->changed_count; i++) {
		struct open_visit *visit = &visits->at[visits->changed[i]];

		if (!visit->gone && visit->emitted_start_us != visit->start_us)
			delete_emitted(visits, visit, visit->revision);
	}
	flush_deletions(visits, sink, context);
	for (uint32_t i = 0; i < visits->changed_count; i++) {
		struct open_visit *visit = &visits->at[visits->changed[i]];

		if (!visit->gone) {
			struct visit row = describe(visits, visit);

			sink(context, &row);
			visit->emitted_start_us = visit->start_us;
		}
		visit_flushed(visits, visits->changed[i]);
	}
	visits->changed_count = 0;
}

static void sink_nothing(void *context, const struct visit *visit)
{
	(void)context;
	(void)visit;
}

void visits_discard_changes(struct visits *visits)
{
	visits_flush(visits, sink_nothing, NULL);
}

/* ---- dump */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t visits_entries(const struct visits *visits)
{
	return visits->count - visits->unused_count;
}

size_t visits_bytes(const struct visits *visits)
{
	return sizeof(*visits) + visits->capacity * sizeof(*visits->at) +
	       visits->unused_capacity * sizeof(*visits->unused) +
	       visits->changed_capacity * sizeof(*visits->changed) +
	       visits->deletion_capacity * sizeof(*visits->deletions);
}

void visits_dump(const struct visits *visits, struct buffer *out)
{
	char **lines = xrealloc(NULL, (visits->count + 1) * sizeof(*lines));
	size_t count = 0;

	for (uint32_t i = 0; i < visits->count; i++) {
		const struct open_visit *visit = &visits->at[i];
		struct visit v;
		char line[EVENT_TEXT_MAX * 3 + 512];

		if (visit->gone)
			continue;
		v = describe(visits, visit);
		snprintf(line, sizeof(line),
		         "visit %.*s %" PRId64 " %" PRId64 " user=%" PRId64 " %" PRId64 ",%" PRId64
		         ",%" PRId64 ",%" PRId64 ",%" PRId64 " products=%" PRId64 " cents=%" PRId64
		         " %.*s %.*s stage=%d cart=%" PRId64 " purchase=%" PRId64 "%s @%" PRId64
		         "%s\n",
		         (int)v.user_session.len, v.user_session.at, v.start_us, v.end_us,
		         v.user_id, v.events[0], v.events[1], v.events[2], v.events[3], v.events[4],
		         v.products, v.revenue_cents, (int)v.first_category.len,
		         v.first_category.at ? v.first_category.at : "", (int)v.last_category.len,
		         v.last_category.at ? v.last_category.at : "", (int)v.furthest_stage,
		         v.view_to_cart_ms, v.view_to_purchase_ms,
		         v.view_cart_purchase == VISIT_FLAG_YES ? " after cart" : "", v.revision,
		         v.final ? " closed" : "");
		lines[count++] = strdup(line);
	}
	qsort(lines, count, sizeof(*lines), by_text);
	for (size_t i = 0; i < count; i++) {
		buffer_append(out, lines[i], strlen(lines[i]));
		free(lines[i]);
	}
	free(lines);
}
