/* Fields are in the order of the schemas. The five event counts are in the order of enum
 * event_type. */
#include "wire/records_measures.h"

char *avro_put_events(char *at, const int64_t events[EVENT_TYPE_COUNT])
{
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		at = avro_put_long(at, events[i]);
	return at;
}

void avro_take_events(struct avro_in *in, int64_t events[EVENT_TYPE_COUNT])
{
	static const char *const names[EVENT_TYPE_COUNT] = {"views", "carts", "removes",
	                                                    "checkouts", "purchases"};

	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		events[i] = avro_take_count(in, names[i]);
}

static char *put_counted(char *at, int64_t count)
{
	return avro_put_optional_long(at, count != NOT_COUNTED, count);
}

static int64_t take_counted(struct avro_in *in, const char *field)
{
	return avro_take_present(in, field) ? avro_take_count(in, field) : NOT_COUNTED;
}

char *avro_put_measures(char *at, const struct measures *measures)
{
	at = avro_put_events(at, measures->events);
	at = avro_put_decimal(at, measures->revenue_cents);
	at = avro_put_long(at, measures->sessions);
	at = avro_put_long(at, measures->view_sessions);
	at = avro_put_long(at, measures->cart_sessions);
	at = avro_put_long(at, measures->purchase_sessions);
	at = avro_put_long(at, measures->funnel_cart_sessions);
	at = avro_put_long(at, measures->funnel_checkout_sessions);
	at = avro_put_long(at, measures->funnel_purchase_sessions);
	at = put_counted(at, measures->buying_view_sessions);
	at = put_counted(at, measures->view_purchase_sessions);
	return put_counted(at, measures->view_cart_purchase_sessions);
}

void avro_take_measures(struct avro_in *in, struct measures *measures)
{
	avro_take_events(in, measures->events);
	measures->revenue_cents = avro_take_decimal(in, INT64_MAX, "revenue");
	measures->sessions = avro_take_count(in, "sessions");
	measures->view_sessions = avro_take_count(in, "view_sessions");
	measures->cart_sessions = avro_take_count(in, "cart_sessions");
	measures->purchase_sessions = avro_take_count(in, "purchase_sessions");
	measures->funnel_cart_sessions = avro_take_count(in, "funnel_cart_sessions");
	measures->funnel_checkout_sessions = avro_take_count(in, "funnel_checkout_sessions");
	measures->funnel_purchase_sessions = avro_take_count(in, "funnel_purchase_sessions");
	measures->buying_view_sessions = take_counted(in, "buying_view_sessions");
	measures->view_purchase_sessions = take_counted(in, "view_purchase_sessions");
	measures->view_cart_purchase_sessions = take_counted(in, "view_cart_purchase_sessions");
}
