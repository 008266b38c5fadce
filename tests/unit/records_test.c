/* The hand-written codecs compared with the Avro library, and with hostile bytes. */
#include "avro_reference.h"
#include "base/buffer.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_id.h"
#include "event/reason.h"
#include "event/window.h"
#include "unit/avro_reference.h"
#include "unit/fold_kit.h"
#include "wire/frame.h"
#include "wire/record_keys.h"
#include "wire/records_aggregate.h"
#include "wire/records_alert.h"
#include "wire/records_bronze.h"
#include "wire/records_cart.h"
#include "wire/records_counts.h"
#include "wire/records_measures.h"
#include "wire/records_visit.h"
#include "wire/schemas.h"

#define ROUNDS    4000
#define SCHEMA_ID 77
#define BYTES(literal)                         \
	{                                      \
		(literal), sizeof(literal) - 1 \
	} /* a span, in an initialiser */

/* One value of any of our records. */
union record {
	struct bronze_event bronze;
	struct aggregate aggregate;
	struct partial partial;
	struct visit visit;
	struct counts_record counts;
	struct alert alert;
	struct abandoned_cart cart;
};

/* ---- bronze ---- */

static void bronze_random(union record *record)
{
	struct bronze_event *bronze = &record->bronze;

	for (int i = 0; i < EVENT_ID_BYTES; i++)
		bronze->event_id[i] = (uint8_t)random_below(256);
	bronze->event = (struct event){
		.event_time_us = random_time_us(),
		.product_id = random_number(1, INT64_MAX),
		.user_id = random_number(1, INT64_MAX),
		.category_id = random_below(2) ? 0 : random_number(1, INT64_MAX),
		.price_cents = random_below(5) ? random_number(0, INT64_C(999999999999999999)) : -1,
		.category_code = random_optional_text(EVENT_TEXT_MAX),
		.brand = random_optional_text(EVENT_TEXT_MAX),
		.user_session = random_optional_text(EVENT_TEXT_MAX),
		.type = (enum event_type)random_below(EVENT_TYPE_COUNT),
	};
	bronze->lineage = (struct lineage){
		.source_file = random_optional_text(1024),
		.source_row = random_below(2) ? 0 : random_number(1, INT64_MAX),
		.raw_offset = random_number(0, INT64_MAX),
		.raw_time_ms = random_number(-1, INT64_MAX),
		.source_clock_us = random_below(2) ? CLOCK_NONE : random_time_us(),
		.raw_partition = (int32_t)random_number(0, INT32_MAX),
	};
}

static void bronze_refer(struct reference *to, const union record *record)
{
	const struct event *event = &record->bronze.event;
	const struct lineage *lineage = &record->bronze.lineage;
	char id[37];

	event_id_format(record->bronze.event_id, id);
	reference_text(to, "event_id", span_of(id));
	reference_number(to, "event_time", event->event_time_us);
	reference_number(to, "event_type", (int64_t)event->type);
	reference_number(to, "product_id", event->product_id);
	reference_optional_number(to, "category_id", event->category_id != 0, event->category_id);
	reference_optional_text(to, "category_code", event->category_code);
	reference_optional_text(to, "brand", event->brand);
	if (event->price_cents < 0)
		reference_null(to, "price");
	else
		put_money(reference_branch(to, "price", 1), event->price_cents);
	reference_number(to, "user_id", event->user_id);
	reference_optional_text(to, "user_session", event->user_session);
	reference_optional_text(to, "source_file", lineage->source_file);
	reference_optional_number(to, "source_row", lineage->source_row != 0, lineage->source_row);
	reference_number(to, "raw_partition", lineage->raw_partition);
	reference_number(to, "raw_offset", lineage->raw_offset);
	reference_number(to, "raw_time", lineage->raw_time_ms);
	reference_optional_number(to, "source_clock", lineage->source_clock_us != CLOCK_NONE,
	                          lineage->source_clock_us);
}

static bool bronze_equal(const union record *left, const union record *right)
{
	const struct event *a = &left->bronze.event, *b = &right->bronze.event;
	const struct lineage *c = &left->bronze.lineage, *d = &right->bronze.lineage;

	return memcmp(left->bronze.event_id, right->bronze.event_id, EVENT_ID_BYTES) == 0 &&
	       a->event_time_us == b->event_time_us && a->product_id == b->product_id &&
	       a->user_id == b->user_id && a->category_id == b->category_id &&
	       a->price_cents == b->price_cents && span_equal(a->category_code, b->category_code) &&
	       span_equal(a->brand, b->brand) && span_equal(a->user_session, b->user_session) &&
	       a->type == b->type && span_equal(c->source_file, d->source_file) &&
	       c->source_row == d->source_row && c->raw_offset == d->raw_offset &&
	       c->raw_time_ms == d->raw_time_ms && c->source_clock_us == d->source_clock_us &&
	       c->raw_partition == d->raw_partition;
}

static void bronze_write(struct buffer *out, const union record *record)
{
	bronze_encode(out, SCHEMA_ID, &record->bronze);
}

static bool bronze_read(struct span body, union record *record, const char **why)
{
	return bronze_decode(body, &record->bronze, why);
}

/* ---- aggregate and partial ---- */

static struct measures measures_random(void)
{
	struct measures measures = {.revenue_cents = random_number(0, INT64_MAX)};
	int64_t *sessions[] = {&measures.sessions,
	                       &measures.view_sessions,
	                       &measures.cart_sessions,
	                       &measures.purchase_sessions,
	                       &measures.funnel_cart_sessions,
	                       &measures.funnel_checkout_sessions,
	                       &measures.funnel_purchase_sessions};
	int64_t *counted[] = {&measures.buying_view_sessions, &measures.view_purchase_sessions,
	                      &measures.view_cart_purchase_sessions};

	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		measures.events[i] = random_number(0, INT64_MAX);
	for (size_t i = 0; i < sizeof(sessions) / sizeof(sessions[0]); i++)
		*sessions[i] = random_number(0, INT64_MAX);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		*counted[i] = random_below(3) ? random_number(0, INT64_MAX) : NOT_COUNTED;
	return measures;
}

static void events_refer(struct reference *to, const int64_t events[EVENT_TYPE_COUNT])
{
	reference_number(to, "views", events[EVENT_VIEW]);
	reference_number(to, "carts", events[EVENT_CART]);
	reference_number(to, "removes", events[EVENT_REMOVE_FROM_CART]);
	reference_number(to, "checkouts", events[EVENT_CHECKOUT]);
	reference_number(to, "purchases", events[EVENT_PURCHASE]);
}

static void measures_refer(struct reference *to, const struct measures *measures)
{
	events_refer(to, measures->events);
	reference_money(to, "revenue", measures->revenue_cents);
	reference_number(to, "sessions", measures->sessions);
	reference_number(to, "view_sessions", measures->view_sessions);
	reference_number(to, "cart_sessions", measures->cart_sessions);
	reference_number(to, "purchase_sessions", measures->purchase_sessions);
	reference_number(to, "funnel_cart_sessions", measures->funnel_cart_sessions);
	reference_number(to, "funnel_checkout_sessions", measures->funnel_checkout_sessions);
	reference_number(to, "funnel_purchase_sessions", measures->funnel_purchase_sessions);
	reference_optional_number(to, "buying_view_sessions", measures->buying_view_sessions >= 0,
	                          measures->buying_view_sessions);
	reference_optional_number(to, "view_purchase_sessions",
	                          measures->view_purchase_sessions >= 0,
	                          measures->view_purchase_sessions);
	reference_optional_number(to, "view_cart_purchase_sessions",
	                          measures->view_cart_purchase_sessions >= 0,
	                          measures->view_cart_purchase_sessions);
}

static void aggregate_random(union record *record)
{
	struct aggregate *aggregate = &record->aggregate;

	*aggregate = (struct aggregate){
		.rollup = random_text(0, RECORD_ROLLUP_MAX),
		.group_value = random_text(0, EVENT_TEXT_MAX),
		.window_start_us = random_time_us(),
		.measures = measures_random(),
		.revision = random_number(INT64_MIN, INT64_MAX),
		.final = random_below(2),
	};
	aggregate->window_end_us = aggregate->window_start_us + random_below(US_PER_DAY);
}

static void aggregate_refer(struct reference *to, const union record *record)
{
	const struct aggregate *aggregate = &record->aggregate;

	reference_text(to, "rollup", aggregate->rollup);
	reference_number(to, "window_start", aggregate->window_start_us);
	reference_number(to, "window_end", aggregate->window_end_us);
	reference_text(to, "group_value", aggregate->group_value);
	measures_refer(to, &aggregate->measures);
	reference_number(to, "final", aggregate->final);
	reference_number(to, "revision", aggregate->revision);
}

/* struct measures has only int64_t members, so there is no padding to compare. */
_Static_assert(sizeof(struct measures) == (EVENT_TYPE_COUNT + 11) * sizeof(int64_t),
               "measures has no padding");

static bool aggregate_equal(const union record *left, const union record *right)
{
	const struct aggregate *a = &left->aggregate, *b = &right->aggregate;

	return span_equal(a->rollup, b->rollup) && span_equal(a->group_value, b->group_value) &&
	       a->window_start_us == b->window_start_us && a->window_end_us == b->window_end_us &&
	       memcmp(&a->measures, &b->measures, sizeof(a->measures)) == 0 &&
	       a->revision == b->revision && a->final == b->final;
}

static void aggregate_write(struct buffer *out, const union record *record)
{
	aggregate_encode(out, SCHEMA_ID, &record->aggregate);
}

static bool aggregate_read(struct span body, union record *record, const char **why)
{
	return aggregate_decode(body, &record->aggregate, why);
}

static void partial_random(union record *record)
{
	struct partial *partial = &record->partial;

	*partial = (struct partial){
		.rollup = random_text(0, RECORD_ROLLUP_MAX),
		.group_value = random_text(0, EVENT_TEXT_MAX),
		.window_start_us = random_time_us(),
		.measures = measures_random(),
		.revision = random_number(INT64_MIN, INT64_MAX),
		.watermark_us = random_below(4) ? random_time_us() : INT64_MIN,
		.source_partition = (int32_t)random_number(0, INT32_MAX),
		.idle = random_below(2),
	};
	partial->window_end_us = partial->window_start_us + random_below(US_PER_DAY);
}

static void partial_refer(struct reference *to, const union record *record)
{
	const struct partial *partial = &record->partial;

	reference_text(to, "rollup", partial->rollup);
	reference_number(to, "window_start", partial->window_start_us);
	reference_number(to, "window_end", partial->window_end_us);
	reference_text(to, "group_value", partial->group_value);
	reference_number(to, "source_partition", partial->source_partition);
	reference_number(to, "watermark", partial->watermark_us);
	reference_number(to, "idle", partial->idle);
	measures_refer(to, &partial->measures);
	reference_number(to, "revision", partial->revision);
}

static bool partial_equal(const union record *left, const union record *right)
{
	const struct partial *a = &left->partial, *b = &right->partial;

	return span_equal(a->rollup, b->rollup) && span_equal(a->group_value, b->group_value) &&
	       a->window_start_us == b->window_start_us && a->window_end_us == b->window_end_us &&
	       memcmp(&a->measures, &b->measures, sizeof(a->measures)) == 0 &&
	       a->revision == b->revision && a->watermark_us == b->watermark_us &&
	       a->source_partition == b->source_partition && a->idle == b->idle;
}

static void partial_write(struct buffer *out, const union record *record)
{
	partial_encode(out, SCHEMA_ID, &record->partial);
}

static bool partial_read(struct span body, union record *record, const char **why)
{
	return partial_decode(body, &record->partial, why);
}

/* ---- visit ---- */

static void visit_random(union record *record)
{
	struct visit *visit = &record->visit;

	*visit = (struct visit){
		.user_session = random_text(1, SESSION_KEY_MAX),
		.start_us = random_time_us(),
		.user_id = random_number(1, INT64_MAX),
		.products = random_number(0, INT64_MAX),
		.revenue_cents = random_number(0, INT64_MAX),
		.first_category = random_optional_text(EVENT_TEXT_MAX),
		.last_category = random_optional_text(EVENT_TEXT_MAX),
		.drop_off_stage = random_optional_text(1024),
		.view_to_cart_ms = random_number(-1, INT64_MAX),
		.view_to_purchase_ms = random_number(-1, INT64_MAX),
		.revision = random_number(INT64_MIN, INT64_MAX),
		.furthest_stage = (int32_t)random_number(0, INT32_MAX),
		.view_purchase = (enum visit_flag)(random_below(3) - 1),
		.view_cart_purchase = (enum visit_flag)(random_below(3) - 1),
		.deleted = random_below(2),
		.final = random_below(2),
	};
	visit->end_us = visit->start_us + random_below(US_PER_DAY);
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		visit->events[i] = random_number(0, INT64_MAX);
}

static void visit_refer(struct reference *to, const union record *record)
{
	const struct visit *visit = &record->visit;

	reference_text(to, "user_session", visit->user_session);
	reference_number(to, "visit_start", visit->start_us);
	reference_number(to, "visit_end", visit->end_us);
	reference_number(to, "user_id", visit->user_id);
	events_refer(to, visit->events);
	reference_number(to, "products", visit->products);
	reference_money(to, "revenue", visit->revenue_cents);
	reference_optional_text(to, "first_category", visit->first_category);
	reference_optional_text(to, "last_category", visit->last_category);
	reference_number(to, "furthest_stage", visit->furthest_stage);
	reference_optional_text(to, "drop_off_stage", visit->drop_off_stage);
	reference_optional_number(to, "view_to_cart_ms", visit->view_to_cart_ms >= 0,
	                          visit->view_to_cart_ms);
	reference_optional_number(to, "view_to_purchase_ms", visit->view_to_purchase_ms >= 0,
	                          visit->view_to_purchase_ms);
	reference_optional_flag(to, "view_purchase", visit->view_purchase);
	reference_optional_flag(to, "view_cart_purchase", visit->view_cart_purchase);
	reference_number(to, "deleted", visit->deleted);
	reference_number(to, "final", visit->final);
	reference_number(to, "revision", visit->revision);
}

static bool visit_equal(const union record *left, const union record *right)
{
	const struct visit *a = &left->visit, *b = &right->visit;

	return span_equal(a->user_session, b->user_session) && a->start_us == b->start_us &&
	       a->end_us == b->end_us && a->user_id == b->user_id &&
	       memcmp(a->events, b->events, sizeof(a->events)) == 0 && a->products == b->products &&
	       a->revenue_cents == b->revenue_cents &&
	       span_equal(a->first_category, b->first_category) &&
	       span_equal(a->last_category, b->last_category) &&
	       span_equal(a->drop_off_stage, b->drop_off_stage) &&
	       a->view_to_cart_ms == b->view_to_cart_ms &&
	       a->view_to_purchase_ms == b->view_to_purchase_ms &&
	       a->view_purchase == b->view_purchase &&
	       a->view_cart_purchase == b->view_cart_purchase && a->revision == b->revision &&
	       a->furthest_stage == b->furthest_stage && a->deleted == b->deleted &&
	       a->final == b->final;
}

static void visit_write(struct buffer *out, const union record *record)
{
	visit_encode(out, SCHEMA_ID, &record->visit);
}

static bool visit_read(struct span body, union record *record, const char **why)
{
	return visit_decode(body, &record->visit, why);
}

/* ---- counts ---- */

static void counts_random(union record *record)
{
	struct counts_record *counts = &record->counts;

	*counts = (struct counts_record){
		.service = random_text(0, 1024),
		.topic = random_text(0, 1024),
		.partition = (int32_t)random_number(0, INT32_MAX),
		.revision = random_number(INT64_MIN, INT64_MAX),
		.stages = random_optional_text(1024),
	};
	counts->counts.records_in = random_number(0, INT64_MAX);
	counts->counts.records_out = random_number(0, INT64_MAX);
	counts->counts.duplicates = random_number(0, INT64_MAX);
	counts->counts.late = random_number(0, INT64_MAX);
	for (int i = 0; i < REASON_COUNT; i++)
		counts->counts.dead[i] =
			random_below(3) ? 0 : random_number(0, INT64_MAX / REASON_COUNT);
	for (int i = 0; i < EVENT_FIELD_COUNT; i++)
		counts->counts.unreadable[i] =
			random_below(3) ? 0 : random_number(0, INT64_MAX / EVENT_FIELD_COUNT);
	counts->counts.duplicates_other_price = random_number(0, INT64_MAX);
}

static void counts_refer(struct reference *to, const union record *record)
{
	const struct counts *counts = &record->counts.counts;
	avro_value_t map = reference_field(to, "dead_by_reason"), entry;
	int64_t dead = 0;

	avro_value_reset(&map);
	for (int i = 0; i < REASON_COUNT; i++) {
		if (counts->dead[i] == 0)
			continue;
		cr_assert_eq(avro_value_add(&map, reason_name((enum reason)i), &entry, NULL, NULL),
		             0);
		put_number(entry, counts->dead[i]);
		dead += counts->dead[i];
	}
	reference_text(to, "service", record->counts.service);
	reference_text(to, "topic", record->counts.topic);
	reference_number(to, "partition", record->counts.partition);
	reference_number(to, "records_in", counts->records_in);
	reference_number(to, "records_out", counts->records_out);
	reference_number(to, "duplicates", counts->duplicates);
	reference_number(to, "late", counts->late);
	reference_number(to, "dead", dead);
	reference_number(to, "revision", record->counts.revision);
	map = reference_field(to, "unreadable_by_field");
	avro_value_reset(&map);
	for (int i = 0; i < EVENT_FIELD_COUNT; i++) {
		if (counts->unreadable[i] == 0)
			continue;
		cr_assert_eq(avro_value_add(&map, event_field_names[i], &entry, NULL, NULL), 0);
		put_number(entry, counts->unreadable[i]);
	}
	reference_number(to, "duplicates_other_price", counts->duplicates_other_price);
	reference_optional_text(to, "stages", record->counts.stages);
}

static bool counts_equal(const union record *left, const union record *right)
{
	const struct counts_record *a = &left->counts, *b = &right->counts;

	return span_equal(a->service, b->service) && span_equal(a->topic, b->topic) &&
	       a->partition == b->partition && a->revision == b->revision &&
	       a->counts.records_in == b->counts.records_in &&
	       a->counts.records_out == b->counts.records_out &&
	       a->counts.duplicates == b->counts.duplicates && a->counts.late == b->counts.late &&
	       memcmp(a->counts.dead, b->counts.dead, sizeof(a->counts.dead)) == 0 &&
	       memcmp(a->counts.unreadable, b->counts.unreadable, sizeof(a->counts.unreadable)) ==
	               0 &&
	       a->counts.duplicates_other_price == b->counts.duplicates_other_price &&
	       span_equal(a->stages, b->stages);
}

static void counts_write(struct buffer *out, const union record *record)
{
	counts_encode(out, SCHEMA_ID, &record->counts);
}

static bool counts_read(struct span body, union record *record, const char **why)
{
	int64_t unknown = -1;
	bool ok = counts_decode(body, &record->counts, &unknown, why);

	cr_assert(!ok || unknown >= 0);
	return ok;
}

/* ---- alerts ---- */

static void alert_random(union record *record)
{
	struct alert *alert = &record->alert;

	*alert = (struct alert){
		.alert_id = random_text(0, 1000),
		.state = random_text(0, 1000),
		.rule = random_text(0, 1000),
		.metric = random_text(0, 1000),
		.subject = random_optional_text(1000),
		.compared_with = random_text(0, 1000),
		.direction = random_text(0, 1000),
		.bound = random_text(0, 1000),
		.limit_value = random_text(0, 1000),
		.value = random_text(0, 1000),
		.value_before = random_optional_text(1000),
		.volume = random_optional_text(1000),
		.met_since_us = random_time_us(),
		.opened_at_us = random_time_us(),
		.is_closed = random_below(2) == 1,
		.closed_value = random_optional_text(1000),
		.closed_by = random_optional_text(1000),
	};
	if (alert->is_closed)
		alert->closed_at_us = random_time_us();
}

static void alert_refer(struct reference *to, const union record *record)
{
	const struct alert *alert = &record->alert;

	reference_text(to, "alert_id", alert->alert_id);
	reference_text(to, "state", alert->state);
	reference_text(to, "rule", alert->rule);
	reference_text(to, "metric", alert->metric);
	reference_optional_text(to, "subject", alert->subject);
	reference_text(to, "compared_with", alert->compared_with);
	reference_text(to, "direction", alert->direction);
	reference_text(to, "bound", alert->bound);
	reference_text(to, "limit_value", alert->limit_value);
	reference_text(to, "value", alert->value);
	reference_optional_text(to, "value_before", alert->value_before);
	reference_optional_text(to, "volume", alert->volume);
	reference_number(to, "met_since", alert->met_since_us);
	reference_number(to, "opened_at", alert->opened_at_us);
	reference_optional_number(to, "closed_at", alert->is_closed, alert->closed_at_us);
	reference_optional_text(to, "closed_value", alert->closed_value);
	reference_optional_text(to, "closed_by", alert->closed_by);
}

static bool alert_equal(const union record *left, const union record *right)
{
	const struct alert *a = &left->alert, *b = &right->alert;

	return span_equal(a->alert_id, b->alert_id) && span_equal(a->state, b->state) &&
	       span_equal(a->rule, b->rule) && span_equal(a->metric, b->metric) &&
	       span_equal(a->subject, b->subject) &&
	       span_equal(a->compared_with, b->compared_with) &&
	       span_equal(a->direction, b->direction) && span_equal(a->bound, b->bound) &&
	       span_equal(a->limit_value, b->limit_value) && span_equal(a->value, b->value) &&
	       span_equal(a->value_before, b->value_before) && span_equal(a->volume, b->volume) &&
	       a->met_since_us == b->met_since_us && a->opened_at_us == b->opened_at_us &&
	       a->is_closed == b->is_closed && a->closed_at_us == b->closed_at_us &&
	       span_equal(a->closed_value, b->closed_value) &&
	       span_equal(a->closed_by, b->closed_by);
}

static void alert_write(struct buffer *out, const union record *record)
{
	alert_encode(out, SCHEMA_ID, &record->alert);
}

static bool alert_read(struct span body, union record *record, const char **why)
{
	return alert_decode(body, &record->alert, why);
}

/* ---- abandoned carts ---- */

static void cart_random(union record *record)
{
	record->cart = (struct abandoned_cart){
		.session = random_text(0, 1000),
		.user = random_text(0, 1000),
		.pseudonymous = random_below(2) == 1,
		.start_us = random_time_us(),
		.views = random_number(0, INT64_MAX),
		.carts = random_number(0, INT64_MAX),
		.removes = random_number(0, INT64_MAX),
		.checkouts = random_number(0, INT64_MAX),
		.products = random_number(0, INT64_MAX),
		.last_category = random_optional_text(1000),
		.furthest_stage = (int32_t)random_number(0, INT32_MAX),
		.revision = random_number(INT64_MIN, INT64_MAX),
	};
	record->cart.end_us = record->cart.start_us + random_below(INT64_C(86400000000));
}

static void cart_refer(struct reference *to, const union record *record)
{
	const struct abandoned_cart *cart = &record->cart;

	reference_text(to, "session", cart->session);
	reference_text(to, "user", cart->user);
	reference_number(to, "pseudonymous", cart->pseudonymous);
	reference_number(to, "visit_start", cart->start_us);
	reference_number(to, "visit_end", cart->end_us);
	reference_number(to, "views", cart->views);
	reference_number(to, "carts", cart->carts);
	reference_number(to, "removes", cart->removes);
	reference_number(to, "checkouts", cart->checkouts);
	reference_number(to, "products", cart->products);
	reference_optional_text(to, "last_category", cart->last_category);
	reference_number(to, "furthest_stage", cart->furthest_stage);
	reference_number(to, "revision", cart->revision);
}

static bool cart_equal(const union record *left, const union record *right)
{
	const struct abandoned_cart *a = &left->cart, *b = &right->cart;

	return span_equal(a->session, b->session) && span_equal(a->user, b->user) &&
	       a->pseudonymous == b->pseudonymous && a->start_us == b->start_us &&
	       a->end_us == b->end_us && a->views == b->views && a->carts == b->carts &&
	       a->removes == b->removes && a->checkouts == b->checkouts &&
	       a->products == b->products && span_equal(a->last_category, b->last_category) &&
	       a->furthest_stage == b->furthest_stage && a->revision == b->revision;
}

static void cart_write(struct buffer *out, const union record *record)
{
	cart_encode(out, SCHEMA_ID, &record->cart);
}

static bool cart_read(struct span body, union record *record, const char **why)
{
	return cart_decode(body, &record->cart, why);
}

/* ---- what holds for every record ---- */

static const struct codec {
	const char *label;
	enum schema_kind kind;
	void (*random)(union record *record);
	void (*refer)(struct reference *to, const union record *record);
	bool (*equal)(const union record *left, const union record *right);
	void (*write)(struct buffer *out, const union record *record);
	bool (*read)(struct span body, union record *record, const char **why);
} codecs[] = {
	{"bronze", SCHEMA_BRONZE, bronze_random, bronze_refer, bronze_equal, bronze_write,
         bronze_read},
	{"late", SCHEMA_LATE, bronze_random, bronze_refer, bronze_equal, bronze_write, bronze_read},
	{"counts", SCHEMA_COUNTS, counts_random, counts_refer, counts_equal, counts_write,
         counts_read},
	{"visit", SCHEMA_VISIT, visit_random, visit_refer, visit_equal, visit_write, visit_read},
	{"partial", SCHEMA_PARTIAL, partial_random, partial_refer, partial_equal, partial_write,
         partial_read},
	{"aggregate", SCHEMA_AGGREGATE, aggregate_random, aggregate_refer, aggregate_equal,
         aggregate_write, aggregate_read},
	{"cart", SCHEMA_CART, cart_random, cart_refer, cart_equal, cart_write, cart_read},
	{"alert", SCHEMA_ALERT, alert_random, alert_refer, alert_equal, alert_write, alert_read},
};
#define CODEC_COUNT (sizeof(codecs) / sizeof(codecs[0]))

static struct span body_of(const struct buffer *framed)
{
	return (struct span){framed->at + FRAME_BYTES, framed->len - FRAME_BYTES};
}

Test(records, our_bytes_are_the_librarys_and_decode_to_the_same_record)
{
	cr_log_info("seed %llx", (unsigned long long)TEST_SEED);
	for (size_t c = 0; c < CODEC_COUNT; c++) {
		const struct codec *codec = &codecs[c];
		struct reference reference;
		struct buffer ours = {0};

		reference_open(&reference, schema_texts[codec->kind].text);
		for (int round = 0; round < ROUNDS; round++) {
			union record record, decoded;
			const char *why = "nothing";

			codec->random(&record);
			codec->refer(&reference, &record);
			ours.len = 0;
			codec->write(&ours, &record);
			struct span theirs = reference_bytes(&reference);
			cr_assert(span_equal(body_of(&ours), theirs), "%s round %d: bytes differ",
			          codec->label, round);
			cr_assert(codec->read(theirs, &decoded, &why),
			          "%s round %d: refused for %s", codec->label, round, why);
			cr_assert(codec->equal(&record, &decoded),
			          "%s round %d: decoded to another record", codec->label, round);
		}
		buffer_free(&ours);
		reference_close(&reference);
	}
}

Test(records, every_truncation_and_every_added_byte_is_refused)
{
	for (size_t c = 0; c < CODEC_COUNT; c++) {
		struct buffer framed = {0};

		for (int round = 0; round < 60; round++) {
			union record record, decoded;

			codecs[c].random(&record);
			framed.len = 0;
			codecs[c].write(&framed, &record);
			buffer_append(&framed, "", 1);
			for (size_t len = 0; len <= framed.len - FRAME_BYTES; len++) {
				const char *why = NULL;
				char *copy =
					exact_copy((struct span){framed.at + FRAME_BYTES, len});
				bool complete = len == framed.len - FRAME_BYTES - 1;
				cr_assert_eq(codecs[c].read((struct span){copy, len}, &decoded,
				                            &why),
				             complete, "%s at %zu", codecs[c].label, len);
				cr_assert_eq(why == NULL, complete);
				free(copy);
			}
		}
		buffer_free(&framed);
	}
}

/* Bytes with random changes are refused, or give a record in range, which can be encoded again. */
Test(records, changed_and_random_bytes_never_break_a_decoder)
{
	struct buffer framed = {0}, again = {0};

	for (int round = 0; round < 60000; round++) {
		const struct codec *codec = &codecs[(size_t)round % CODEC_COUNT];
		union record record;
		char *copy;

		codec->random(&record);
		framed.len = 0;
		codec->write(&framed, &record);
		struct span body = body_of(&framed);
		for (int64_t changes = random_below(4); changes >= 0; changes--)
			framed.at[FRAME_BYTES + random_below((int64_t)body.len)] =
				(char)random_below(256);
		if (random_below(4) == 0)
			for (size_t i = 0; i < body.len; i++)
				framed.at[FRAME_BYTES + i] = (char)random_below(256);
		copy = exact_copy(body);
		if (codec->read((struct span){copy, body.len}, &record, NULL)) {
			again.len = 0;
			codec->write(&again, &record);
			cr_assert(codec->read(body_of(&again), &record, NULL), "%s round %d",
			          codec->label, round);
		}
		free(copy);
	}
	buffer_free(&framed);
	buffer_free(&again);
}

/* ---- single cases ---- */

static struct bronze_event plain_event(void)
{
	return (struct bronze_event){
		.event = {.event_time_us = 1, .product_id = 1, .user_id = 1, .price_cents = -1},
		.lineage = {.raw_time_ms = 1, .source_clock_us = CLOCK_NONE}};
}

static bool bronze_survives(const struct bronze_event *event, const char **why)
{
	struct bronze_event decoded;
	struct buffer out = {0};
	bool ok;

	bronze_encode(&out, SCHEMA_ID, event);
	ok = bronze_decode(body_of(&out), &decoded, why);
	buffer_free(&out);
	return ok;
}

Test(records, values_out_of_range_are_refused_and_the_field_is_named)
{
	static char long_text[1100];
	struct bronze_event events[9];
	const char *fields[] = {NULL,         "event_time",  "event_type",
	                        "product_id", "user_id",     "category_code",
	                        "price",      "source_file", "raw_offset"};

	memset(long_text, 'x', sizeof(long_text));
	for (size_t i = 0; i < 9; i++)
		events[i] = plain_event();
	events[1].event.event_time_us = INT64_MAX;
	events[2].event.type = EVENT_TYPE_COUNT;
	events[3].event.product_id = 0;
	events[4].event.user_id = 0;
	events[5].event.category_code = (struct span){long_text, EVENT_TEXT_MAX + 1};
	events[6].event.price_cents = INT64_C(1000000000000000000);
	events[7].lineage.source_file = (struct span){long_text, 1025};
	events[8].lineage.raw_offset = -1;
	for (size_t i = 0; i < 9; i++) {
		const char *why = NULL;
		cr_assert_eq(bronze_survives(&events[i], &why), fields[i] == NULL, "case %zu", i);
		cr_assert(fields[i] == NULL || (why && strcmp(why, fields[i]) == 0), "case %zu: %s",
		          i, why ? why : "no reason");
	}
}

Test(records, windows_may_exceed_the_years_of_events_by_one_window_at_most)
{
	static const struct {
		int64_t start_us, end_us;
		bool taken;
	} rows[] = {
		{INT64_C(-62135596800000000) - 31 * US_PER_DAY, INT64_C(-62135596800000000), true},
		{INT64_C(-62135596800000000) - 31 * US_PER_DAY - 1, INT64_C(-62135596800000000),
	         false},
		{INT64_C(253402300740000000), INT64_C(253402300800000000) + 31 * US_PER_DAY, true},
		{INT64_C(253402300740000000), INT64_C(253402300800000000) + 31 * US_PER_DAY + 1,
	         false},
		{2, 1, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct aggregate aggregate = {.rollup = SPAN("1m:all"),
		                              .group_value = SPAN("all"),
		                              .window_start_us = rows[i].start_us,
		                              .window_end_us = rows[i].end_us},
				 again;
		struct buffer out = {0};

		aggregate_encode(&out, SCHEMA_ID, &aggregate);
		cr_assert_eq(aggregate_decode(body_of(&out), &again, NULL), rows[i].taken,
		             "case %zu", i);
		buffer_free(&out);
	}
}

Test(records, a_negative_count_is_refused)
{
	struct aggregate aggregate = {.rollup = SPAN("1m:all"),
	                              .group_value = SPAN("all"),
	                              .measures = {.cart_sessions = -1}},
			 decoded;
	struct buffer out = {0};
	const char *why = NULL;

	aggregate_encode(&out, SCHEMA_ID, &aggregate);
	cr_assert_not(aggregate_decode(body_of(&out), &decoded, &why));
	cr_assert_str_eq(why, "cart_sessions");
	buffer_free(&out);
}

static const struct span no_field = BYTES("\0"), no_reason = BYTES("\0\0");

static bool counts_body_is_taken(struct span dead_and_map, struct span unreadable,
                                 struct counts_record *record, int64_t *unknown, const char **why)
{
	struct buffer out = {0};
	bool ok;

	buffer_append(&out, "\2s\2t\0\0\0\0\0", 9); /* service, topic, partition, four counts */
	buffer_append(&out, dead_and_map.at, dead_and_map.len);
	buffer_append(&out, "\0", 1); /* revision */
	buffer_append(&out, unreadable.at, unreadable.len);
	buffer_append(&out, "\0\0", 2); /* duplicates_other_price, stages */
	ok = counts_decode((struct span){out.at, out.len}, record, unknown, why);
	buffer_free(&out);
	return ok;
}

Test(records, a_map_of_reasons_is_read_in_every_form_that_avro_allows)
{
	/* dead, then blocks of entries; a count of -n is followed by the block's size */
	static const struct {
		const char *label;
		struct span bytes;
		bool taken;
		int64_t null_value, unknown;
	} cases[] = {
		{"empty", BYTES("\0\0"), true, 0, 0},
		{"one block", BYTES("\6\2\24null_value\6\0"), true, 3, 0},
		{"a block with its size", BYTES("\6\1\30\24null_value\6\0"), true, 3, 0},
		{"two blocks", BYTES("\12\2\24null_value\6\2\4zz\4\0"), true, 3, 2},
		{"unknown names add up", BYTES("\12\4\4yy\6\4zz\4\0"), true, 0, 5},
		{"a name twice", BYTES("\14\4\24null_value\6\24null_value\6\0"), false, 0, 0},
		{"a total that is not the sum", BYTES("\4\2\24null_value\6\0"), false, 0, 0},
		{"a count below zero", BYTES("\0\2\24null_value\1\0"), false, 0, 0},
		{"more entries than bytes", BYTES("\0\376\377\377\377\17"), false, 0, 0},
		{"the block count that has no negative",
	         BYTES("\0\377\377\377\377\377\377\377\377\377\1\0"), false, 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counts_record record;
		const char *why = NULL;
		int64_t unknown = 0;

		cr_assert_eq(counts_body_is_taken(cases[i].bytes, no_field, &record, &unknown,
		                                  &why),
		             cases[i].taken, "%s: %s", cases[i].label, why ? why : "");
		if (cases[i].taken) {
			cr_assert_eq(record.counts.dead[REASON_NULL_VALUE], cases[i].null_value,
			             "%s", cases[i].label);
			cr_assert_eq(unknown, cases[i].unknown, "%s", cases[i].label);
		}
	}
}

Test(records, a_map_of_unreadable_fields_is_read_and_unknown_fields_are_left_out)
{
	static const struct {
		const char *label;
		struct span bytes;
		bool taken;
		int64_t brand;
	} cases[] = {
		{"empty", BYTES("\0"), true, 0},
		{"one field", BYTES("\2\12brand\6\0"), true, 3},
		{"a field of a newer version", BYTES("\4\12brand\6\4zz\4\0"), true, 3},
		{"a field twice", BYTES("\4\12brand\6\12brand\6\0"), false, 0},
		{"a count below zero", BYTES("\2\12brand\1\0"), false, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counts_record record;
		const char *why = NULL;
		int64_t unknown = 0;

		cr_assert_eq(counts_body_is_taken(no_reason, cases[i].bytes, &record, &unknown,
		                                  &why),
		             cases[i].taken, "%s: %s", cases[i].label, why ? why : "");
		if (cases[i].taken)
			cr_assert_eq(record.counts.unreadable[FIELD_BRAND], cases[i].brand, "%s",
			             cases[i].label);
		else
			cr_assert_str_eq(why, "unreadable_by_field");
		cr_assert_eq(unknown, 0, "%s", cases[i].label);
	}
}

Test(records, schema_texts_carry_the_names_that_readers_expect)
{
	for (int kind = 0; kind < SCHEMA_RAW; kind++) {
		avro_schema_t schema;
		char full[128];

		cr_assert_eq(avro_schema_from_json_length(schema_texts[kind].text,
		                                          strlen(schema_texts[kind].text), &schema),
		             0);
		snprintf(full, sizeof(full), "%s.%s", avro_schema_namespace(schema),
		         avro_schema_name(schema));
		cr_assert_str_eq(full, schema_texts[kind].record_name);
		cr_assert_not(schema_texts[kind].is_json_schema);
		cr_assert_null(strchr(schema_texts[kind].text, '\n'));
		avro_schema_decref(schema);
	}
	cr_assert_str_eq(schema_texts[SCHEMA_BRONZE].text, schema_texts[SCHEMA_LATE].text,
	                 "both are written by bronze_encode");
	cr_assert(schema_texts[SCHEMA_RAW].is_json_schema);
	cr_assert_str_eq(schema_texts[SCHEMA_RAW].record_name, "RawEvent");
	cr_assert_str_eq(schema_texts[SCHEMA_RAW].topic_suffix, "raw_events");
}

Test(records, keys_are_readable_and_bounded)
{
	static char widest[EVENT_TEXT_MAX];
	char out[RECORD_KEY_MAX];

	cr_assert_eq(aggregate_key(SPAN("1m:all"), 0, US_PER_MINUTE, SPAN("all"), out),
	             strlen(out));
	cr_assert_str_eq(out, "1m:all|1970-01-01T00:00:00Z|1970-01-01T00:01:00Z|all");
	cr_assert_eq(visit_key(SPAN("user:7"), INT64_C(1569888000500000), out), strlen(out));
	cr_assert_str_eq(out, "user:7|2019-10-01T00:00:00.5Z");
	memset(widest, 'w', sizeof(widest));
	cr_assert_eq(aggregate_key((struct span){widest, RECORD_ROLLUP_MAX}, -1, -1,
	                           (struct span){widest, sizeof(widest)}, out),
	             strlen(out));
}

Test(records, a_buffer_grows_and_keeps_its_bytes)
{
	struct buffer buffer = {0};

	for (int i = 0; i < 10000; i++)
		buffer_append(&buffer, &(char){(char)i}, 1);
	cr_assert_eq(buffer.len, 10000);
	for (int i = 0; i < 10000; i++)
		cr_assert_eq(buffer.at[i], (char)i);
	buffer_append(&buffer, NULL, 0);
	buffer_free(&buffer);
	cr_assert_null(buffer.at);
}
