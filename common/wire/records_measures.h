/* The measures of a rollup, and the codec of the fields that aggregates, partials and visits
 * share. */
#ifndef FUNNEL_RECORDS_MEASURES_H
#define FUNNEL_RECORDS_MEASURES_H

#include <stdint.h>

#include "event/event.h"
#include "wire/avro_io.h"

/* Values of a rollup in one window and group. */
struct measures {
	int64_t events[EVENT_TYPE_COUNT]; /* by enum event_type */
	int64_t revenue_cents;
	int64_t sessions, view_sessions, cart_sessions, purchase_sessions;
	int64_t funnel_cart_sessions, funnel_checkout_sessions, funnel_purchase_sessions;
	/* Sessions with a view and a purchase; those with a purchase at or after their first view;
	 * of these, those with a cart between. All three may be NOT_COUNTED. */
	int64_t buying_view_sessions, view_purchase_sessions, view_cart_purchase_sessions;
};
/* The window began before this measure was counted: null in Avro and SQL. */
#define NOT_COUNTED INT64_C(-1)

/* 12 longs, and 3 optional ones with a branch each. */
#define AVRO_MEASURES_MAX_BYTES (18 * AVRO_LONG_MAX_BYTES + AVRO_DECIMAL_MAX_BYTES)
char *avro_put_measures(char *at, const struct measures *measures);
void avro_take_measures(struct avro_in *in, struct measures *measures);
char *avro_put_events(char *at, const int64_t events[EVENT_TYPE_COUNT]);
void avro_take_events(struct avro_in *in, int64_t events[EVENT_TYPE_COUNT]);

#endif
