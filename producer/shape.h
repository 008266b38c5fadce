/* Sizes of the simulated shop, and how its visitors behave. Two sets: as in the real sample, the
 * first hours of October 2019, or as in the whole month.
 *
 * The totals of the month are public counts of the Kaggle file 2019-Oct.csv: 42,448,764 events
 * (40,779,399 views, 926,516 carts, 742,849 purchases), 9.24 million sessions, 3,022,290 users and
 * 166,794 products. How carts and purchases meet in a session was not counted: the shares give
 * these totals. Times of day and days of the week are all alike. */
#ifndef FUNNEL_SHAPE_H
#define FUNNEL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

enum shape_name { SHAPE_SAMPLE, SHAPE_MONTH };

#define SHAPE_PRODUCTS_MAX 166794

struct shape {
	int64_t events_per_1000s; /* of event time, if nothing else is set */
	int64_t events_per_1000_sessions;
	int64_t returning_ppm; /* of sessions: by a user who had a session before */
	int64_t longer_ppm;    /* of sessions: a second draw is added to the number of views */
	/* A user who returns is drawn from a list of this length. It has the latest new users or,
	 * with again, the users of the latest sessions, so that who came often is likely to come
	 * again. regulars: users who are on the list before the first event. */
	uint32_t recent, regulars;
	bool again;
	uint32_t user_ids; /* number of ids from which a new user gets one */
	/* Of this number of sessions, those that only view, buy without a cart, use a cart and buy;
	 * the others use a cart and do not buy. */
	uint32_t sessions, only_view, buy, cart_and_buy;
	int64_t second_cart_ppm, second_purchase_ppm;
	uint32_t products; /* at most SHAPE_PRODUCTS_MAX */
	uint32_t brands;   /* at most 3,456 */
};

const struct shape *shape_of(enum shape_name name);

#endif
