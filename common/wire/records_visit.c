/* The codec of SessionFunnel. Fields are in the order of schemas/session_funnels.avsc. */
#include "wire/records_visit.h"

#include "wire/avro_io.h"
#include "wire/frame.h"
#include "wire/records_measures.h"

/* 22 fields of at most a branch and a long each, and the revenue; without the texts. */
#define VISIT_FIXED_MAX_BYTES (FRAME_BYTES + 2 * 22 * AVRO_LONG_MAX_BYTES + AVRO_DECIMAL_MAX_BYTES)

/* ["null", "boolean"] */
static char *put_flag(char *at, enum visit_flag flag)
{
	at = avro_put_long(at, flag != VISIT_FLAG_UNKNOWN);
	return flag != VISIT_FLAG_UNKNOWN ? avro_put_bool(at, flag == VISIT_FLAG_YES) : at;
}

static enum visit_flag take_flag(struct avro_in *in, const char *field)
{
	if (!avro_take_present(in, field))
		return VISIT_FLAG_UNKNOWN;
	return avro_take_bool(in, field) ? VISIT_FLAG_YES : VISIT_FLAG_NO;
}

void visit_encode(struct buffer *out, int32_t schema_id, const struct visit *visit)
{
	char *at;

	buffer_reserve(out, VISIT_FIXED_MAX_BYTES + visit->user_session.len +
	                            visit->first_category.len + visit->last_category.len +
	                            visit->drop_off_stage.len);
	at = avro_put_frame(out->at + out->len, schema_id);
	at = avro_put_text(at, visit->user_session);
	at = avro_put_long(at, visit->start_us);
	at = avro_put_long(at, visit->end_us);
	at = avro_put_long(at, visit->user_id);
	at = avro_put_events(at, visit->events);
	at = avro_put_long(at, visit->products);
	at = avro_put_decimal(at, visit->revenue_cents);
	at = avro_put_optional_text(at, visit->first_category);
	at = avro_put_optional_text(at, visit->last_category);
	at = avro_put_long(at, visit->furthest_stage);
	at = avro_put_optional_text(at, visit->drop_off_stage);
	at = avro_put_optional_long(at, visit->view_to_cart_ms >= 0, visit->view_to_cart_ms);
	at = avro_put_optional_long(at, visit->view_to_purchase_ms >= 0,
	                            visit->view_to_purchase_ms);
	at = put_flag(at, visit->view_purchase);
	at = put_flag(at, visit->view_cart_purchase);
	at = avro_put_bool(at, visit->deleted);
	at = avro_put_bool(at, visit->final);
	at = avro_put_long(at, visit->revision);
	out->len = (size_t)(at - out->at);
}

bool visit_decode(struct span body, struct visit *visit, const char **why)
{
	struct avro_in in = avro_in_of(body);

	visit->user_session = avro_take_text(&in, SESSION_KEY_MAX, "user_session");
	visit->start_us = avro_take_time_us(&in, "visit_start");
	visit->end_us = avro_take_long(&in, visit->start_us, AVRO_TIME_MAX_US, "visit_end");
	visit->user_id = avro_take_user_id(&in);
	avro_take_events(&in, visit->events);
	visit->products = avro_take_count(&in, "products");
	visit->revenue_cents = avro_take_decimal(&in, INT64_MAX, "revenue");
	visit->first_category = avro_take_optional_text(&in, EVENT_TEXT_MAX, "first_category");
	visit->last_category = avro_take_optional_text(&in, EVENT_TEXT_MAX, "last_category");
	visit->furthest_stage = (int32_t)avro_take_long(&in, 0, INT32_MAX, "furthest_stage");
	visit->drop_off_stage = avro_take_optional_text(&in, AVRO_TEXT_MAX, "drop_off_stage");
	visit->view_to_cart_ms = avro_take_present(&in, "view_to_cart_ms")
	                                 ? avro_take_count(&in, "view_to_cart_ms")
	                                 : -1;
	visit->view_to_purchase_ms = avro_take_present(&in, "view_to_purchase_ms")
	                                     ? avro_take_count(&in, "view_to_purchase_ms")
	                                     : -1;
	visit->view_purchase = take_flag(&in, "view_purchase");
	visit->view_cart_purchase = take_flag(&in, "view_cart_purchase");
	visit->deleted = avro_take_bool(&in, "deleted");
	visit->final = avro_take_bool(&in, "final");
	visit->revision = avro_take_long(&in, INT64_MIN, INT64_MAX, "revision");
	return avro_in_finish(&in, why);
}
