/* A raw value is parsed to check it and to find its event type and category. Its text is written as
 * it came, because jansson would write 3.40 as 3.4.
 *
 * Limits: jansson refuses real numbers beyond a double, and more than 2048 levels; such a raw value
 * is shown as bytes, though bronze-sink may accept it. */
#include "tail_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "event/event.h"
#include "event/event_id.h"
#include "event/window.h"
#include "stream/control.h"
#include "stream/dead_letter.h"
#include "tail_write.h"

#define UNKNOWN SPAN("unknown") /* the group of a missing category */

/* ---- reading */

static bool is_unreadable(struct tail_record *tail, enum reason reason, const char *detail)
{
	tail->kind = TAIL_UNREADABLE;
	snprintf(tail->error, sizeof(tail->error), "%s%s%s", reason_name(reason),
	         detail && *detail ? ": " : "", detail ? detail : "");
	return false;
}

static struct span member_text(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		return SPAN_NULL;
	return (struct span){json_string_value(value), json_string_length(value)};
}

/* Sets type and category from the JSON of the source, if it is an object. */
static void describe_json(struct tail_record *tail)
{
	tail->type = member_text(tail->json, "event_type");
	tail->category[0] = member_text(tail->json, "category_code");
	if (!tail->category[0].len)
		tail->category[0] = UNKNOWN;
}

static bool read_json(struct tail_record *tail, struct span body)
{
	json_error_t error;

	tail->json = json_loadb(body.at, body.len,
	                        JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
	if (!tail->json)
		return is_unreadable(tail, REASON_MALFORMED_JSON, error.text);
	if (json_is_object(tail->json))
		describe_json(tail);
	return true;
}

static bool read_bronze(struct tail_record *tail, struct span body, const char **why)
{
	const struct event *event = &tail->as.bronze.event;

	if (!bronze_decode(body, &tail->as.bronze, why))
		return false;
	tail->type = span_of(event_type_name(event->type));
	tail->category[0] = event->category_code.at ? event->category_code : UNKNOWN;
	return true;
}

static bool is_category_rollup(struct span rollup)
{
	static const char *const groups[] = {":category", ":category1"};

	for (int i = 0; i < 2; i++) {
		size_t len = strlen(groups[i]);

		if (rollup.len > len && memcmp(rollup.at + rollup.len - len, groups[i], len) == 0)
			return true;
	}
	return false;
}

static bool read_aggregate(struct tail_record *tail, struct span body, const char **why)
{
	const struct aggregate *aggregate = &tail->as.aggregate;

	if (!aggregate_decode(body, &tail->as.aggregate, why))
		return false;
	tail->rollup = aggregate->rollup;
	if (is_category_rollup(aggregate->rollup))
		tail->category[0] = aggregate->group_value;
	return true;
}

static bool read_visit(struct tail_record *tail, struct span body, const char **why)
{
	const struct visit *visit = &tail->as.visit;

	if (!visit_decode(body, &tail->as.visit, why))
		return false;
	tail->category[0] = visit->first_category.at ? visit->first_category : UNKNOWN;
	tail->category[1] = visit->last_category;
	return true;
}

static bool read_avro(struct tail_record *tail, struct span body)
{
	const char *why = NULL;
	bool ok = true;

	switch (tail->topic) {
	case TOPIC_BRONZE_EVENTS:
	case TOPIC_LATE_EVENTS: ok = read_bronze(tail, body, &why); break;
	case TOPIC_AGGREGATED_EVENTS: ok = read_aggregate(tail, body, &why); break;
	case TOPIC_SESSION_FUNNELS: ok = read_visit(tail, body, &why); break;
	case TOPIC_COUNTS:
		ok = counts_decode(body, &tail->as.counts, &tail->unknown_dead, &why);
		break;
	case TOPIC_ABANDONED_CARTS: ok = cart_decode(body, &tail->as.cart, &why); break;
	case TOPIC_ALERTS: ok = alert_decode(body, &tail->as.alert, &why); break;
	case TOPIC_RAW_EVENTS:
	case TOPIC_DEAD_LETTER:
	case TOPIC_FUNNEL_PARTIALS:
	case TOPIC_PRODUCER_STATE:
	case TOPIC_COUNT: break;
	}
	return ok || is_unreadable(tail, REASON_MALFORMED_AVRO, why);
}

static const char *control_name(const struct tail_record *tail)
{
	switch (control_read(tail->record).kind) {
	case CONTROL_BEGIN: return "begin";
	case CONTROL_JUMP: return "jump";
	case CONTROL_END: return "end";
	case CONTROL_INVALID: return "invalid";
	case CONTROL_NONE: break;
	}
	return NULL;
}

/* A dead letter keeps the headers of the refused record, so a refused control has `control`. */
static void read_dead_letter(struct tail_record *tail)
{
	struct dead_letter letter;
	int32_t partition;
	int64_t offset;
	json_error_t error;

	if (redrive_marker_read(tail->record, &partition, &offset)) {
		tail->kind = TAIL_MARKER;
		return;
	}
	tail->kind = tail->record->value.at ? TAIL_VALUE : TAIL_NO_VALUE;
	if (dead_letter_read(tail->record, &letter))
		tail->reason = letter.reason;
	else
		is_unreadable(tail, REASON_INVALID_HEADERS,
		              "expected the headers of a dead letter");
	if (tail->record->value.at)
		tail->json = json_loadb(tail->record->value.at, tail->record->value.len,
		                        JSON_DECODE_INT_AS_REAL, &error);
	if (json_is_object(tail->json))
		describe_json(tail);
}

static void read_value(struct tail_record *tail)
{
	const struct input_record *record = tail->record;

	if (!record->value.at && topic_is_compacted(tail->topic))
		tail->kind = TAIL_TOMBSTONE;
	else if (!record->value.at)
		is_unreadable(tail, REASON_NULL_VALUE, NULL);
	else if (record->refused != REASON_NONE)
		is_unreadable(tail, record->refused, record->detail);
	else if (tail->topic == TOPIC_RAW_EVENTS)
		(void)read_json(tail, record->body);
	else
		(void)read_avro(tail, record->body);
}

void tail_record_read(struct tail_record *tail, enum topic_id topic,
                      const struct input_record *record)
{
	bool has_controls = topic == TOPIC_RAW_EVENTS || topic == TOPIC_BRONZE_EVENTS;

	*tail = (struct tail_record){.record = record, .topic = topic, .kind = TAIL_VALUE};
	if (topic == TOPIC_DEAD_LETTER) {
		read_dead_letter(tail);
	} else if (has_controls && control_name(tail)) {
		tail->kind = TAIL_CONTROL;
		tail->type = SPAN("control");
	} else {
		read_value(tail);
	}
}

void tail_record_end(struct tail_record *tail)
{
	json_decref(tail->json);
	tail->json = NULL;
}

/* ---- the fields of each schema, under its names and in its order */

static void write_optional_number(struct tail_write *write, const char *name, int64_t number,
                                  int64_t none)
{
	if (number == none)
		tail_write_null(write, name);
	else
		tail_write_number(write, name, number);
}

static void write_flag(struct tail_write *write, const char *name, enum visit_flag flag)
{
	if (flag == VISIT_FLAG_UNKNOWN)
		tail_write_null(write, name);
	else
		tail_write_bool(write, name, flag == VISIT_FLAG_YES);
}

static void write_event(struct tail_write *write, const struct event *event)
{
	tail_write_time(write, "event_time", event->event_time_us);
	tail_write_text(write, "event_type", span_of(event_type_name(event->type)));
	tail_write_number(write, "product_id", event->product_id);
	write_optional_number(write, "category_id", event->category_id, 0);
	tail_write_text(write, "category_code", event->category_code);
	tail_write_text(write, "brand", event->brand);
	if (event->price_cents < 0)
		tail_write_null(write, "price");
	else
		tail_write_money(write, "price", event->price_cents);
	tail_write_number(write, "user_id", event->user_id);
	tail_write_text(write, "user_session", event->user_session);
}

static void write_bronze(struct tail_write *write, const struct bronze_event *bronze)
{
	const struct lineage *lineage = &bronze->lineage;
	char id[37];

	event_id_format(bronze->event_id, id);
	tail_write_text(write, "event_id", span_of(id));
	write_event(write, &bronze->event);
	tail_write_text(write, "source_file", lineage->source_file);
	write_optional_number(write, "source_row", lineage->source_row, 0);
	tail_write_number(write, "raw_partition", lineage->raw_partition);
	tail_write_number(write, "raw_offset", lineage->raw_offset);
	tail_write_time_ms(write, "raw_time", record_time_clamp_ms(lineage->raw_time_ms));
	if (lineage->source_clock_us == CLOCK_NONE)
		tail_write_null(write, "source_clock");
	else
		tail_write_time(write, "source_clock", lineage->source_clock_us);
}

static void write_events(struct tail_write *write, const int64_t events[EVENT_TYPE_COUNT])
{
	tail_write_number(write, "views", events[EVENT_VIEW]);
	tail_write_number(write, "carts", events[EVENT_CART]);
	tail_write_number(write, "removes", events[EVENT_REMOVE_FROM_CART]);
	tail_write_number(write, "checkouts", events[EVENT_CHECKOUT]);
	tail_write_number(write, "purchases", events[EVENT_PURCHASE]);
}

static void write_aggregate(struct tail_write *write, const struct aggregate *aggregate)
{
	const struct measures *measures = &aggregate->measures;

	tail_write_text(write, "rollup", aggregate->rollup);
	tail_write_time(write, "window_start", aggregate->window_start_us);
	tail_write_time(write, "window_end", aggregate->window_end_us);
	tail_write_text(write, "group_value", aggregate->group_value);
	write_events(write, measures->events);
	tail_write_money(write, "revenue", measures->revenue_cents);
	tail_write_number(write, "sessions", measures->sessions);
	tail_write_number(write, "view_sessions", measures->view_sessions);
	tail_write_number(write, "cart_sessions", measures->cart_sessions);
	tail_write_number(write, "purchase_sessions", measures->purchase_sessions);
	tail_write_number(write, "funnel_cart_sessions", measures->funnel_cart_sessions);
	tail_write_number(write, "funnel_checkout_sessions", measures->funnel_checkout_sessions);
	tail_write_number(write, "funnel_purchase_sessions", measures->funnel_purchase_sessions);
	write_optional_number(write, "buying_view_sessions", measures->buying_view_sessions,
	                      NOT_COUNTED);
	write_optional_number(write, "view_purchase_sessions", measures->view_purchase_sessions,
	                      NOT_COUNTED);
	write_optional_number(write, "view_cart_purchase_sessions",
	                      measures->view_cart_purchase_sessions, NOT_COUNTED);
	tail_write_bool(write, "final", aggregate->final);
	tail_write_number(write, "revision", aggregate->revision);
}

static void write_visit(struct tail_write *write, const struct visit *visit)
{
	tail_write_text(write, "user_session", visit->user_session);
	tail_write_time(write, "visit_start", visit->start_us);
	tail_write_time(write, "visit_end", visit->end_us);
	tail_write_number(write, "user_id", visit->user_id);
	write_events(write, visit->events);
	tail_write_number(write, "products", visit->products);
	tail_write_money(write, "revenue", visit->revenue_cents);
	tail_write_text(write, "first_category", visit->first_category);
	tail_write_text(write, "last_category", visit->last_category);
	tail_write_number(write, "furthest_stage", visit->furthest_stage);
	tail_write_text(write, "drop_off_stage", visit->drop_off_stage);
	write_optional_number(write, "view_to_cart_ms", visit->view_to_cart_ms, -1);
	write_optional_number(write, "view_to_purchase_ms", visit->view_to_purchase_ms, -1);
	write_flag(write, "view_purchase", visit->view_purchase);
	write_flag(write, "view_cart_purchase", visit->view_cart_purchase);
	tail_write_bool(write, "deleted", visit->deleted);
	tail_write_bool(write, "final", visit->final);
	tail_write_number(write, "revision", visit->revision);
}

static void write_dead(struct tail_write *write, const struct counts *counts, int64_t unknown)
{
	int64_t dead = unknown;

	for (int i = 0; i < REASON_COUNT; i++)
		dead += counts->dead[i];
	tail_write_number(write, "dead", dead);
	tail_write_open(write, "dead_by_reason");
	for (int i = 0; i < REASON_COUNT; i++)
		if (counts->dead[i])
			tail_write_number(write, reason_name((enum reason)i), counts->dead[i]);
	if (unknown)
		tail_write_number(write, "of_other_versions", unknown);
	tail_write_close(write);
}

static void write_counts(struct tail_write *write, const struct counts_record *record,
                         int64_t unknown_dead)
{
	const struct counts *counts = &record->counts;

	tail_write_text(write, "service", record->service);
	tail_write_text(write, "topic", record->topic);
	tail_write_number(write, "partition", record->partition);
	tail_write_number(write, "records_in", counts->records_in);
	tail_write_number(write, "records_out", counts->records_out);
	tail_write_number(write, "duplicates", counts->duplicates);
	tail_write_number(write, "late", counts->late);
	write_dead(write, counts, unknown_dead);
	tail_write_number(write, "revision", record->revision);
	tail_write_open(write, "unreadable_by_field");
	for (int i = 0; i < EVENT_FIELD_COUNT; i++)
		if (counts->unreadable[i])
			tail_write_number(write, event_field_names[i], counts->unreadable[i]);
	tail_write_close(write);
	tail_write_number(write, "duplicates_other_price", counts->duplicates_other_price);
	tail_write_text(write, "stages", record->stages);
}

static void write_alert(struct tail_write *write, const struct alert *alert)
{
	tail_write_text(write, "alert_id", alert->alert_id);
	tail_write_text(write, "state", alert->state);
	tail_write_text(write, "rule", alert->rule);
	tail_write_text(write, "metric", alert->metric);
	tail_write_text(write, "subject", alert->subject);
	tail_write_text(write, "compared_with", alert->compared_with);
	tail_write_text(write, "direction", alert->direction);
	tail_write_text(write, "bound", alert->bound);
	tail_write_text(write, "limit_value", alert->limit_value);
	tail_write_text(write, "value", alert->value);
	tail_write_text(write, "value_before", alert->value_before);
	tail_write_text(write, "volume", alert->volume);
	tail_write_time(write, "met_since", alert->met_since_us);
	tail_write_time(write, "opened_at", alert->opened_at_us);
	if (alert->is_closed)
		tail_write_time(write, "closed_at", alert->closed_at_us);
	tail_write_text(write, "closed_value", alert->closed_value);
	tail_write_text(write, "closed_by", alert->closed_by);
}

static void write_cart(struct tail_write *write, const struct abandoned_cart *cart)
{
	tail_write_text(write, "session", cart->session);
	tail_write_text(write, "user", cart->user);
	tail_write_bool(write, "pseudonymous", cart->pseudonymous);
	tail_write_time(write, "visit_start", cart->start_us);
	tail_write_time(write, "visit_end", cart->end_us);
	tail_write_number(write, "views", cart->views);
	tail_write_number(write, "carts", cart->carts);
	tail_write_number(write, "removes", cart->removes);
	tail_write_number(write, "checkouts", cart->checkouts);
	tail_write_number(write, "products", cart->products);
	tail_write_text(write, "last_category", cart->last_category);
	tail_write_number(write, "furthest_stage", cart->furthest_stage);
	tail_write_number(write, "revision", cart->revision);
}

static void write_fields(struct tail_write *write, const struct tail_record *tail)
{
	switch (tail->topic) {
	case TOPIC_BRONZE_EVENTS:
	case TOPIC_LATE_EVENTS: write_bronze(write, &tail->as.bronze); break;
	case TOPIC_AGGREGATED_EVENTS: write_aggregate(write, &tail->as.aggregate); break;
	case TOPIC_SESSION_FUNNELS: write_visit(write, &tail->as.visit); break;
	case TOPIC_COUNTS: write_counts(write, &tail->as.counts, tail->unknown_dead); break;
	case TOPIC_ABANDONED_CARTS: write_cart(write, &tail->as.cart); break;
	case TOPIC_ALERTS: write_alert(write, &tail->as.alert); break;
	case TOPIC_RAW_EVENTS:
	case TOPIC_DEAD_LETTER:
	case TOPIC_FUNNEL_PARTIALS:
	case TOPIC_PRODUCER_STATE:
	case TOPIC_COUNT: break;
	}
}

/* ---- the lines */

/* What is known about the record besides its value. */
static void write_marks(struct tail_write *write, const struct tail_record *tail)
{
	if (tail->kind == TAIL_CONTROL)
		tail_write_text(write, "control", span_of(control_name(tail)));
	if (tail->kind == TAIL_TOMBSTONE)
		tail_write_bool(write, "tombstone", true);
	if (tail->kind == TAIL_MARKER)
		tail_write_text(write, REDRIVE_HEADER_MARKER,
		                record_header(tail->record, REDRIVE_HEADER_MARKER));
	if (tail->reason.at)
		tail_write_text(write, "reason", tail->reason);
	if (tail->error[0])
		tail_write_text(write, "error", span_of(tail->error));
}

static void write_value(struct tail_write *write, const struct tail_record *tail)
{
	const struct input_record *record = tail->record;

	if (tail->topic == TOPIC_DEAD_LETTER && write->plain && json_is_object(tail->json)) {
		tail_write_json(write, "value", record->value);
	} else if (tail->topic == TOPIC_DEAD_LETTER) {
		tail_write_text(write, "value", record->value);
	} else if (tail->kind == TAIL_VALUE && tail->topic == TOPIC_RAW_EVENTS) {
		tail_write_json(write, "value", record->body);
	} else if (tail->kind == TAIL_VALUE && write->plain) {
		write_fields(write, tail);
	} else if (tail->kind == TAIL_VALUE) {
		tail_write_open(write, "value");
		write_fields(write, tail);
		tail_write_close(write);
	} else {
		tail_write_null(write, "value");
		if (record->value.len)
			tail_write_base64(write, "value_base64", record->value);
	}
}

static void write_headers(struct tail_write *write, const struct input_record *record)
{
	tail_write_list_open(write, "headers");
	for (size_t i = 0; i < record->header_count; i++) {
		tail_write_open(write, NULL);
		tail_write_text(write, "key", record->headers[i].name);
		tail_write_text(write, "value", record->headers[i].value);
		tail_write_close(write);
	}
	tail_write_list_close(write);
}

static void write_json_line(const struct tail_record *tail, struct buffer *out)
{
	struct tail_write write = {.out = out};
	const struct input_record *record = tail->record;

	tail_write_open(&write, NULL);
	tail_write_text(&write, "topic", record->topic);
	tail_write_number(&write, "partition", record->partition);
	tail_write_number(&write, "offset", record->offset);
	tail_write_time_ms(&write, "timestamp", record->timestamp_ms);
	write_headers(&write, record);
	tail_write_text(&write, "key", record->key);
	write_marks(&write, tail);
	write_value(&write, tail);
	tail_write_close(&write);
}

static void write_plain_headers(struct tail_write *write, const struct input_record *record)
{
	if (record->header_count == 0)
		return;
	tail_write_open(write, "headers");
	for (size_t i = 0; i < record->header_count; i++)
		tail_write_plain_pair(write, record->headers[i].name, record->headers[i].value);
	tail_write_close(write);
}

static void write_plain_line(const struct tail_record *tail, struct buffer *out)
{
	struct tail_write write = {.out = out, .plain = true};
	const struct input_record *record = tail->record;
	char place[48];
	int len = snprintf(place, sizeof(place), " %" PRId32 "/%" PRId64, record->partition,
	                   record->offset);

	tail_write_time_ms(&write, NULL, record->timestamp_ms);
	buffer_append(out, place, (size_t)len);
	tail_write_text(&write, "key", record->key);
	write_marks(&write, tail);
	write_value(&write, tail);
	write_plain_headers(&write, record);
}

void tail_record_write(const struct tail_record *tail, enum tail_format format, struct buffer *out)
{
	switch (format) {
	case TAIL_JSON: write_json_line(tail, out); break;
	case TAIL_PLAIN: write_plain_line(tail, out); break;
	case TAIL_RAW: buffer_append(out, tail->record->value.at, tail->record->value.len); break;
	}
	buffer_append(out, "\n", 1);
}
