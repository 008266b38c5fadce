/* The codec of AbandonedCart. Fields are in the order of schemas/abandoned_carts.avsc. */
#include "wire/records_cart.h"

#include "wire/avro_io.h"
#include "wire/frame.h"

#define CART_FIELDS 13

void cart_encode(struct buffer *out, int32_t schema_id, const struct abandoned_cart *cart)
{
	char *at;

	buffer_reserve(out, FRAME_BYTES + 2 * CART_FIELDS * AVRO_LONG_MAX_BYTES +
	                            cart->session.len + cart->user.len + cart->last_category.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, cart->session);
	at = avro_put_text(at, cart->user);
	at = avro_put_bool(at, cart->pseudonymous);
	at = avro_put_long(at, cart->start_us);
	at = avro_put_long(at, cart->end_us);
	at = avro_put_long(at, cart->views);
	at = avro_put_long(at, cart->carts);
	at = avro_put_long(at, cart->removes);
	at = avro_put_long(at, cart->checkouts);
	at = avro_put_long(at, cart->products);
	at = avro_put_optional_text(at, cart->last_category);
	at = avro_put_long(at, cart->furthest_stage);
	at = avro_put_long(at, cart->revision);
	out->len = (size_t)(at - out->at);
}

bool cart_decode(struct span body, struct abandoned_cart *cart, const char **why)
{
	struct avro_in in = avro_in_of(body);

	cart->session = avro_take_text(&in, AVRO_TEXT_MAX, "session");
	cart->user = avro_take_text(&in, AVRO_TEXT_MAX, "user");
	cart->pseudonymous = avro_take_bool(&in, "pseudonymous");
	cart->start_us = avro_take_time_us(&in, "visit_start");
	cart->end_us = avro_take_long(&in, cart->start_us, AVRO_TIME_MAX_US, "visit_end");
	cart->views = avro_take_count(&in, "views");
	cart->carts = avro_take_count(&in, "carts");
	cart->removes = avro_take_count(&in, "removes");
	cart->checkouts = avro_take_count(&in, "checkouts");
	cart->products = avro_take_count(&in, "products");
	cart->last_category = avro_take_optional_text(&in, AVRO_TEXT_MAX, "last_category");
	cart->furthest_stage = (int32_t)avro_take_long(&in, 0, INT32_MAX, "furthest_stage");
	cart->revision = avro_take_long(&in, INT64_MIN, INT64_MAX, "revision");
	return avro_in_finish(&in, why);
}
