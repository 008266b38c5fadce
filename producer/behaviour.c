/* A heap holds the open sessions by the time of their next event. The event types of a session are
 * drawn at its beginning, as a short script. Products and gaps are drawn at each event. With too
 * many open sessions (a very high rate) new visitors wait, so memory stays bounded. */
#include "behaviour.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/timetext.h"
#include "random.h"

#define SCRIPT_MAX        60
#define OPEN_SESSIONS_MAX 262144
#define QUANTILES(table)  (table), sizeof(table) / sizeof((table)[0])

/* Counted in the real sample. A length is a whole number: the lower end of its step. */
static const int32_t view_only_lengths[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1, 1, 1, 1,
                                            1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  2,  2,  2, 2, 2, 2,
                                            2, 2, 2, 2, 2, 2, 3, 3, 3, 3,  3,  3,  3,  4, 4, 4, 4,
                                            5, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 13, 17, 34};
static const int32_t funnel_lengths[] = {1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 7, 7, 10, 33};
static const int32_t gap_seconds[] = {1,  5,  8,  10, 11, 13, 14, 16,  18,  19,  21,
                                      22, 24, 26, 28, 30, 33, 35, 38,  41,  44,  47,
                                      51, 56, 62, 68, 76, 86, 99, 120, 152, 223, 1500};
/* -ln(1 - i/64), times 10^4: quantiles of the exponential distribution; the last one is cut off. */
static const int32_t exponential[] = {0,     157,   317,   480,   645,   813,   984,   1158,  1335,
                                      1515,  1699,  1886,  2076,  2271,  2469,  2671,  2877,  3087,
                                      3302,  3522,  3747,  3977,  4212,  4453,  4700,  4953,  5213,
                                      5480,  5754,  6035,  6325,  6624,  6931,  7249,  7577,  7916,
                                      8267,  8630,  9008,  9400,  9808,  10234, 10678, 11144, 11632,
                                      12144, 12685, 13257, 13863, 14508, 15198, 15939, 16740, 17610,
                                      18563, 19617, 20794, 22130, 23671, 25494, 27726, 30603, 34657,
                                      41589, 61000};

struct session {
	/* other_user_id: the user who takes over halfway; 0: none */
	int64_t user_id, other_user_id;
	uint32_t product, next_free;
	uint8_t script_length, played;
	uint8_t script[SCRIPT_MAX];
	char id[36];
};

struct behaviour {
	const struct catalogue *catalogue;
	const struct shape *shape;
	struct random random;
	struct heap open; /* of sessions, by their next event */
	struct session *sessions;
	uint32_t session_count, session_cap, first_free; /* first_free: 1 + slot, 0: none */
	int64_t next_arrival_us, mean_gap_us, now_us;
	int64_t *recent_users; /* the latest shape->recent of those remembered */
	uint64_t remembered;
	bool checkouts;
};

static int64_t exponential_gap(struct behaviour *b)
{
	return b->mean_gap_us * random_quantile(&b->random, QUANTILES(exponential)) / 10000;
}

static int64_t new_user(struct behaviour *b)
{
	return 512000000 + (int64_t)random_below(&b->random, b->shape->user_ids);
}

static void remember(struct behaviour *b, int64_t user)
{
	b->recent_users[b->remembered++ % b->shape->recent] = user;
}

struct behaviour *behaviour_new(const struct catalogue *catalogue, const struct shape *shape,
                                uint64_t seed, int64_t start_us, int64_t events_per_1000s,
                                bool checkouts)
{
	struct behaviour *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->recent_users = calloc(shape->recent, sizeof(*b->recent_users));
	if (!b->recent_users) {
		free(b);
		return NULL;
	}
	b->catalogue = catalogue;
	b->shape = shape;
	random_init(&b->random, seed);
	b->checkouts = checkouts;
	b->mean_gap_us = shape->events_per_1000_sessions * US_PER_SECOND /
	                 (events_per_1000s > 0 ? events_per_1000s : 1);
	b->next_arrival_us = b->now_us = start_us; /* the first visitor comes at start_us */
	for (uint32_t i = 0; i < shape->regulars; i++)
		remember(b, new_user(b));
	return b;
}

void behaviour_free(struct behaviour *behaviour)
{
	if (!behaviour)
		return;
	heap_free(&behaviour->open);
	free(behaviour->recent_users);
	free(behaviour->sessions);
	free(behaviour);
}

static bool take_slot(struct behaviour *b, uint32_t *slot)
{
	if (b->first_free) {
		*slot = b->first_free - 1;
		b->first_free = b->sessions[*slot].next_free;
		return true;
	}
	if (b->session_count == b->session_cap) {
		uint32_t cap = b->session_cap ? b->session_cap * 2 : 1024;
		struct session *sessions = realloc(b->sessions, cap * sizeof(*sessions));

		if (!sessions)
			return false;
		b->sessions = sessions;
		b->session_cap = cap;
	}
	*slot = b->session_count++;
	return true;
}

static void put_uuid(struct random *random, char out[36])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t high = random_next(random), low = random_next(random);
	size_t at = 0;

	high = (high & ~UINT64_C(0xf000)) | 0x4000;      /* version 4 */
	low = (low >> 2) | UINT64_C(0x8000000000000000); /* its variant */
	for (int i = 0; i < 32; i++) {
		uint64_t half = i < 16 ? high : low;

		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[at++] = '-';
		out[at++] = hex[(half >> (60 - 4 * (i & 15))) & 15];
	}
}

static int64_t draw_user(struct behaviour *b)
{
	uint64_t recent = b->shape->recent;
	bool returns = b->remembered > 0 && random_chance(&b->random, b->shape->returning_ppm);
	int64_t user;

	if (returns)
		user = b->recent_users[random_below(
			&b->random, b->remembered < recent ? b->remembered : recent)];
	else
		user = new_user(b);
	if (!returns || b->shape->again)
		remember(b, user);
	return user;
}

static void script_add(struct session *session, enum event_type type, int64_t times)
{
	while (times-- > 0 && session->script_length < SCRIPT_MAX)
		session->script[session->script_length++] = (uint8_t)type;
}

static void script_purchase(struct behaviour *b, struct session *session)
{
	if (b->checkouts && random_chance(&b->random, 800000))
		script_add(session, EVENT_CHECKOUT, 1);
	script_add(session, EVENT_PURCHASE,
	           random_chance(&b->random, b->shape->second_purchase_ppm) ? 2 : 1);
}

static int64_t draw_views(struct behaviour *b, const int32_t *lengths, size_t count)
{
	int64_t views = random_quantile(&b->random, lengths, count);

	if (random_chance(&b->random, b->shape->longer_ppm))
		views += random_quantile(&b->random, lengths, count);
	return views;
}

static void write_script(struct behaviour *b, struct session *session)
{
	uint32_t kind = random_below(&b->random, b->shape->sessions);
	uint32_t with_cart = b->shape->only_view + b->shape->buy;
	int64_t views, after = 0;

	if (kind < b->shape->only_view) {
		script_add(session, EVENT_VIEW, draw_views(b, QUANTILES(view_only_lengths)));
		return;
	}
	views = draw_views(b, QUANTILES(funnel_lengths));
	if (random_chance(&b->random, 300000))
		after = views / 2;
	if (!random_chance(&b->random, 5000)) /* 0.5 % buy without a view */
		script_add(session, EVENT_VIEW, views - after);
	if (kind >= with_cart) {
		script_add(session, EVENT_CART,
		           random_chance(&b->random, b->shape->second_cart_ppm) ? 2 : 1);
		if (random_chance(&b->random, 100000))
			script_add(session, EVENT_REMOVE_FROM_CART, 1);
	}
	if (kind < with_cart + b->shape->cart_and_buy)
		script_purchase(b, session);
	script_add(session, EVENT_VIEW, after);
}

static bool begin_session(struct behaviour *b, uint32_t *slot)
{
	struct session *session;

	if (!take_slot(b, slot))
		return false;
	session = &b->sessions[*slot];
	*session = (struct session){.user_id = draw_user(b)};
	if (random_chance(&b->random, 250))
		session->other_user_id = draw_user(b);
	put_uuid(&b->random, session->id);
	session->product = catalogue_draw(b->catalogue, &b->random);
	write_script(b, session);
	return true;
}

static void play(struct behaviour *b, struct session *session, struct behaviour_event *event)
{
	enum event_type type = (enum event_type)session->script[session->played];

	/* A third of the views repeat the product viewed before. Carts and purchases take the
	 * product viewed last. */
	if (type == EVENT_VIEW && session->played > 0 && !random_chance(&b->random, 330000))
		session->product = catalogue_draw(b->catalogue, &b->random);
	event->type = type;
	event->product = session->product;
	event->user_id = session->user_id;
	if (session->other_user_id && session->played >= session->script_length / 2)
		event->user_id = session->other_user_id;
	event->free = type == EVENT_VIEW && random_chance(&b->random, 1100);
	memcpy(event->session, session->id, sizeof(event->session));
	session->played++;
}

static int64_t session_gap(struct behaviour *b)
{
	int64_t gap_us = random_quantile(&b->random, QUANTILES(gap_seconds)) * US_PER_SECOND;

	if (random_chance(&b->random, 500)) /* a pause that ends the visit but not the session */
		gap_us = 31 * US_PER_MINUTE + random_below(&b->random, 210 * 60) * US_PER_SECOND;
	return gap_us;
}

bool behaviour_next(struct behaviour *b, struct behaviour_event *event)
{
	bool full = b->open.count >= OPEN_SESSIONS_MAX;
	struct session *session;
	uint32_t slot;

	if (!full && (b->open.count == 0 || b->next_arrival_us <= b->open.entries[0].time_us)) {
		if (!begin_session(b, &slot))
			return false;
		if (b->next_arrival_us > b->now_us)
			b->now_us = b->next_arrival_us;
		b->next_arrival_us += exponential_gap(b);
	} else {
		struct heap_entry entry = heap_pop(&b->open);

		slot = entry.value;
		b->now_us = entry.time_us > b->now_us ? entry.time_us : b->now_us;
	}
	session = &b->sessions[slot];
	event->time_us = time_floor(b->now_us, US_PER_SECOND);
	play(b, session, event);
	if (session->played < session->script_length) {
		heap_push(&b->open, b->now_us + session_gap(b), slot);
	} else {
		session->next_free = b->first_free;
		b->first_free = slot + 1;
	}
	return true;
}
