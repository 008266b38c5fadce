/* The sums of events, read back from the COPY rows as text. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/span.h"
#include "base/timetext.h"
#include "copy_binary.h"
#include "event_row.h"
#include "event_sums.h"
#include "event/session_id.h"
#include "event_entries.h"
#include "load_batch.h"
#include "unit/fold_kit.h"

#define DAY(n)    (KIT_DAY0_US + (n)*US_PER_DAY)
#define SESSION_A "72d76fde-8bb3-4e00-8c23-a032dfed738c"
#define SESSION_B "00000000-0000-0000-0000-00000000000b"
#define COLUMNS   49

/* ---- rows as text: "{1,NULL}" */

static int64_t take(struct span *in, size_t bytes)
{
	uint64_t value = 0;

	cr_assert_geq(in->len, bytes);
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | (unsigned char)in->at[i];
	*in = (struct span){in->at + bytes, in->len - bytes};
	return (int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static void print(struct buffer *out, const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buffer_append(out, text, strlen(text));
}

/* Cents of a numeric. */
static int64_t numeric(struct span field)
{
	int64_t count = take(&field, 2), weight = take(&field, 2), units = 0;

	take(&field, 4);
	for (; weight >= 0; weight--)
		units = units * 10000 + (count-- > 0 ? take(&field, 2) : 0);
	return units * 100 + (count > 0 ? take(&field, 2) / 100 : 0);
}

static void print_time(struct buffer *out, int64_t time_us)
{
	char text[32];

	time_format_plain(time_us + COPY_EPOCH_DAYS * US_PER_DAY, text);
	print(out, "%s", text);
}

static void print_element(struct buffer *out, int64_t type, struct span field)
{
	char id[37];

	switch (type) {
	case COPY_INT2:
	case COPY_INT4:
	case COPY_INT8:
		cr_assert_eq(field.len, type == COPY_INT2 ? 2u : type == COPY_INT4 ? 4u : 8u);
		print(out, "%" PRId64, take(&field, field.len));
		break;
	case COPY_NUMERIC: print(out, "%" PRId64, numeric(field)); break;
	case COPY_TIMESTAMPTZ: print_time(out, take(&field, 8)); break;
	case COPY_TEXT: print(out, "%.*s", (int)field.len, field.at); break;
	case COPY_UUID:
		cr_assert_eq(field.len, 16);
		event_id_format((const uint8_t *)field.at, id);
		print(out, "%s", id);
		break;
	default: cr_assert_fail("type %" PRId64, type);
	}
}

static void print_array(struct buffer *out, struct span field)
{
	int64_t dimensions = take(&field, 4), has_null = take(&field, 4), type = take(&field, 4);
	int64_t count = dimensions ? take(&field, 4) : 0, nulls = 0;

	cr_assert_eq(dimensions, count > 0);
	if (dimensions)
		cr_assert_eq(take(&field, 4), 1, "the lower bound");
	print(out, "{");
	for (int64_t i = 0; i < count; i++) {
		int64_t len = take(&field, 4);

		print(out, i ? "," : "");
		nulls += len < 0;
		if (len < 0) {
			print(out, "NULL");
			continue;
		}
		print_element(out, type, (struct span){field.at, (size_t)len});
		field = (struct span){field.at + len, field.len - (size_t)len};
	}
	print(out, "}");
	cr_assert_eq(field.len, 0);
	cr_assert_eq(has_null, nulls > 0);
}

struct row {
	char *columns[COLUMNS];
};

static struct row take_row(struct span *in)
{
	struct row row = {{NULL}};

	cr_assert_eq(take(in, 2), COLUMNS);
	for (int i = 0; i < COLUMNS; i++) {
		struct buffer text = {0};
		int64_t len = take(in, 4);
		struct span field = {in->at, (size_t)len};

		cr_assert_geq(len, 0, "column %d is null", i);
		if (i == 0) {
			cr_assert_eq(len, 4);
			print_time(&text, take(&field, 4) * US_PER_DAY);
		} else if (i == 1) {
			print_element(&text, COPY_INT8, field);
		} else {
			print_array(&text, field);
		}
		buffer_append(&text, "", 1);
		row.columns[i] = text.at;
		*in = (struct span){in->at + len, in->len - (size_t)len};
	}
	return row;
}

static void free_row(struct row *row)
{
	for (int i = 0; i < COLUMNS; i++)
		free(row->columns[i]);
}

/* The value of a column, by its name in the COPY statement. */
static const char *value(const struct row *row, const char *name)
{
	const char *at = strchr(event_sums_copy, '(') + 1;

	for (int i = 0; i < COLUMNS; i++) {
		size_t len = strcspn(at, ",)");

		if (len == strlen(name) && memcmp(at, name, len) == 0)
			return row->columns[i];
		at += len + 2;
	}
	cr_assert_fail("%s is not a column", name);
	return NULL;
}

struct want {
	const char *column, *value;
};

static void expect_row(const char *label, const struct row *row, const struct want *want)
{
	for (; want->column; want++)
		cr_expect_str_eq(value(row, want->column), want->value, "%s: %s is %s, not %s",
		                 label, want->column, value(row, want->column), want->value);
}

static struct row only_row(const struct event_sums *sums)
{
	struct buffer out = {0};
	struct span in;
	struct row row;

	event_sums_write(sums, &out);
	in = (struct span){out.at, out.len};
	row = take_row(&in);
	cr_assert_eq(in.len, 0, "more than one row");
	buffer_free(&out);
	return row;
}

/* ---- events */

static struct bronze_event event_at(int64_t time_us, enum event_type type)
{
	return (struct bronze_event){.event = {.event_time_us = time_us,
	                                       .type = type,
	                                       .product_id = 5,
	                                       .user_id = 7,
	                                       .price_cents = 1050,
	                                       .category_code = SPAN("a.b"),
	                                       .brand = SPAN("x"),
	                                       .user_session = SPAN(SESSION_A)}};
}

static void add(struct event_sums *sums, const struct bronze_event *event)
{
	uint8_t session[SESSION_ID_BYTES];
	char key[32];

	(void)session_id(event_session_key(&event->event, key), session);
	event_sums_add(sums, event, session);
}

static void expect_sums(const char *label, const struct bronze_event *events, size_t count,
                        const struct want *want)
{
	struct event_sums *sums = event_sums_new();
	struct row row;

	for (size_t i = 0; i < count; i++)
		add(sums, &events[i]);
	row = only_row(sums);
	expect_row(label, &row, want);
	free_row(&row);
	event_sums_free(sums);
}

Test(loader_event_sums, the_statement_has_a_column_for_each_value)
{
	int names = 1;

	for (const char *at = event_sums_copy; *at; at++)
		names += *at == ',';
	cr_expect_eq(names, COLUMNS);
	cr_expect_str_eq(strchr(event_sums_copy, ')'), ") FROM STDIN (FORMAT binary)");
}

Test(loader_event_sums, one_event_of_each_type)
{
	static const enum event_type types[] = {EVENT_CART, EVENT_VIEW, EVENT_PURCHASE,
	                                        EVENT_REMOVE_FROM_CART, EVENT_CHECKOUT};
	struct bronze_event events[5];

	for (int i = 0; i < 5; i++) {
		events[i] = event_at(DAY(0) + i * US_PER_SECOND, types[i]);
		events[i].lineage = (struct lineage){.raw_partition = 2, .raw_offset = 100 + i};
		memset(events[i].event_id, i, EVENT_ID_BYTES);
	}
	expect_sums("all types", events, 5,
	            (const struct want[]){
			    {"event_date", "2019-10-01 00:00:00"},
			    {"events", "5"},
			    {"run_partition", "{2}"},
			    {"run_offset", "{100}"},
			    {"run_events", "{5}"},
			    {"hour", "{0}"},
			    {"hour_views", "{1}"},
			    {"hour_carts", "{1}"},
			    {"hour_removes", "{1}"},
			    {"hour_checkouts", "{1}"},
			    {"hour_purchases", "{1}"},
			    {"hour_revenue", "{1050}"},
			    {"hour_without_category", "{0}"},
			    {"hour_without_brand", "{0}"},
			    {"hour_without_price", "{0}"},
			    {"hour_without_session", "{0}"},
			    {"hour_zero_price", "{0}"},
			    {"hour_newest", "{2019-10-01 00:00:04}"},
			    {"product_id", "{5}"},
			    {"product_category", "{a.b}"},
			    {"product_brand", "{x}"},
			    {"product_hour", "{0}"},
			    {"product_price", "{1050}"},
			    {"product_views", "{1}"},
			    {"product_carts", "{1}"},
			    {"product_removes", "{1}"},
			    {"product_checkouts", "{1}"},
			    {"product_purchases", "{1}"},
			    {"product_first", "{2019-10-01 00:00:00}"},
			    {"product_last", "{2019-10-01 00:00:04}"},
			    {"session_id", "{" SESSION_A "}"},
			    {"session_user_id", "{7}"},
			    {"session_views", "{1}"},
			    {"session_carts", "{1}"},
			    {"session_removes", "{1}"},
			    {"session_checkouts", "{1}"},
			    {"session_purchases", "{1}"},
			    {"session_revenue", "{1050}"},
			    {"session_first", "{2019-10-01 00:00:00}"},
			    {"session_last", "{2019-10-01 00:00:04}"},
			    {"session_first_view", "{2019-10-01 00:00:01}"},
			    {"session_last_view", "{2019-10-01 00:00:01}"},
			    {"session_last_purchase", "{2019-10-01 00:00:02}"},
			    {"step_session_id",
	                     "{" SESSION_A "," SESSION_A "," SESSION_A "," SESSION_A "}"},
			    {"step_time", "{2019-10-01 00:00:00,2019-10-01 00:00:02,"
	                                  "2019-10-01 00:00:03,2019-10-01 00:00:04}"},
			    {"step_event_id", "{00000000-0000-0000-0000-000000000000,"
	                                      "02020202-0202-0202-0202-020202020202,"
	                                      "03030303-0303-0303-0303-030303030303,"
	                                      "04040404-0404-0404-0404-040404040404}"},
			    {"step_type", "{cart,purchase,remove_from_cart,checkout}"},
			    {"step_product_id", "{5,5,5,5}"},
			    {"step_price", "{1050,1050,1050,1050}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, times_may_come_in_any_order)
{
	static const int seconds[] = {5, 1, 9, 3};
	struct bronze_event events[8];

	for (int i = 0; i < 8; i++)
		events[i] = event_at(DAY(0) + (seconds[i % 4] + 10 * (i / 4)) * US_PER_SECOND,
		                     i < 4 ? EVENT_VIEW : EVENT_PURCHASE);
	expect_sums("unordered", events, 8,
	            (const struct want[]){
			    {"hour_newest", "{2019-10-01 00:00:19}"},
			    {"product_first", "{2019-10-01 00:00:01}"},
			    {"product_last", "{2019-10-01 00:00:19}"},
			    {"session_first", "{2019-10-01 00:00:01}"},
			    {"session_last", "{2019-10-01 00:00:19}"},
			    {"session_first_view", "{2019-10-01 00:00:01}"},
			    {"session_last_view", "{2019-10-01 00:00:09}"},
			    {"session_last_purchase", "{2019-10-01 00:00:19}"},
			    {"session_revenue", "{4200}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, an_event_without_its_optional_fields)
{
	struct bronze_event event = event_at(DAY(0) - 1, EVENT_CART);

	event.event.category_code = event.event.brand = event.event.user_session = SPAN_NULL;
	event.event.price_cents = -1;
	expect_sums("bare", &event, 1,
	            (const struct want[]){
			    {"event_date", "2019-09-30 00:00:00"},
			    {"hour", "{23}"},
			    {"hour_revenue", "{0}"},
			    {"hour_without_category", "{1}"},
			    {"hour_without_brand", "{1}"},
			    {"hour_without_price", "{1}"},
			    {"hour_without_session", "{1}"},
			    {"hour_zero_price", "{0}"},
			    {"product_category", "{unknown}"},
			    {"product_brand", "{unknown}"},
			    {"product_price", "{NULL}"},
			    {"session_id", "{7ba6918e-058c-b5e6-8801-02477295103f}"},
			    {"session_first_view", "{NULL}"},
			    {"session_last_view", "{NULL}"},
			    {"session_last_purchase", "{NULL}"},
			    {"step_price", "{NULL}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, a_price_of_zero_is_a_price)
{
	struct bronze_event event = event_at(DAY(0), EVENT_PURCHASE);

	event.event.price_cents = 0;
	expect_sums("free", &event, 1,
	            (const struct want[]){
			    {"hour_without_price", "{0}"},
			    {"hour_zero_price", "{1}"},
			    {"hour_purchases", "{1}"},
			    {"hour_revenue", "{0}"},
			    {"product_price", "{0}"},
			    {"step_price", "{0}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, views_have_no_step)
{
	struct bronze_event event = event_at(DAY(0), EVENT_VIEW);

	expect_sums("a view", &event, 1,
	            (const struct want[]){{"step_type", "{}"}, {"step_price", "{}"}, {NULL, NULL}});
}

/* A text that is missing and the text "unknown" are the same product. */
Test(loader_event_sums, each_part_of_a_key_makes_another_product)
{
	struct bronze_event events[8];

	for (int i = 0; i < 8; i++)
		events[i] = event_at(DAY(0), EVENT_VIEW);
	events[1].event.product_id = 6;
	events[2].event.category_code = SPAN("a.c");
	events[3].event.brand = SPAN("y");
	events[4].event.price_cents = 1051;
	events[5].event.brand = SPAN_NULL;
	events[6].event.brand = SPAN("unknown");
	events[7].event.event_time_us += 3 * US_PER_HOUR;
	expect_sums("products", events, 8,
	            (const struct want[]){
			    {"product_id", "{5,6,5,5,5,5,5}"},
			    {"product_category", "{a.b,a.b,a.c,a.b,a.b,a.b,a.b}"},
			    {"product_brand", "{x,x,x,y,x,unknown,x}"},
			    {"product_price", "{1050,1050,1050,1050,1051,1050,1050}"},
			    {"product_hour", "{0,0,0,0,0,0,3}"},
			    {"product_views", "{1,1,1,1,1,2,1}"},
			    {"hour_without_brand", "{1,0}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, sessions_differ_by_key_and_user)
{
	struct bronze_event events[8];

	for (int i = 0; i < 8; i++)
		events[i] = event_at(DAY(0), EVENT_VIEW);
	events[1].event.user_id = 8;
	events[2].event.user_session = SPAN(SESSION_B);
	events[3].event.user_session = SPAN("72D76FDE-8bb3-4e00-8c23-a032dfed738c");
	events[4].event.user_session = SPAN("ABC");
	events[5].event.user_session = SPAN("user:7");
	events[6].event.user_session = SPAN_NULL; /* that is user:7 */
	expect_sums("sessions", events, 8,
	            (const struct want[]){
			    {"session_id", "{" SESSION_A "," SESSION_A "," SESSION_B
	                                   ",fbd6d533-6fda-32be-1f55-60d0e12ef30e"
	                                   ",902fbdd2-b1df-0c4f-70b4-a5d23525e932"
	                                   ",7ba6918e-058c-b5e6-8801-02477295103f}"},
			    {"session_user_id", "{7,8,7,7,7,7}"},
			    {"session_views", "{2,1,1,1,1,2}"},
			    {"hour_without_session", "{1}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, a_gap_in_the_offsets_of_a_partition_begins_another_run)
{
	static const struct {
		int32_t partition;
		int64_t offset;
	} places[] = {{0, 10}, {1, 10}, {0, 11}, {0, 13},        {1, 11},
	              {3, 0},  {0, 14}, {0, 12}, {3, INT64_MAX}, {1, 12}};
	struct bronze_event events[10];

	for (int i = 0; i < 10; i++) {
		events[i] = event_at(DAY(0), EVENT_VIEW);
		events[i].lineage = (struct lineage){.raw_partition = places[i].partition,
		                                     .raw_offset = places[i].offset};
	}
	expect_sums("runs", events, 10,
	            (const struct want[]){
			    {"run_partition", "{0,1,0,3,0,3}"},
			    {"run_offset", "{10,10,13,0,12,9223372036854775807}"},
			    {"run_events", "{2,3,2,1,1,1}"},
			    {NULL, NULL},
		    });
}

Test(loader_event_sums, a_row_per_day_with_its_own_entries)
{
	struct event_sums *sums = event_sums_new();
	struct buffer out = {0};
	struct span in;

	for (int round = 0; round < 2; round++) { /* the memory of the first is used again */
		event_sums_clear(sums);
		for (int i = 0; i < 6; i++) { /* days 0, 1, 0, 1, 0, 1 */
			struct bronze_event event =
				event_at(DAY(i % 2) + (i + 8 * (i % 2)) * US_PER_HOUR,
			                 EVENT_PURCHASE);

			event.lineage.raw_offset = i;
			add(sums, &event);
		}
	}
	event_sums_write(sums, &out);
	in = (struct span){out.at, out.len};
	for (int day = 0; day < 2; day++) {
		struct row row = take_row(&in);

		expect_row(day ? "the second day" : "the first day", &row,
		           (const struct want[]){
				   {"event_date",
		                    day ? "2019-10-02 00:00:00" : "2019-10-01 00:00:00"},
				   {"events", "3"},
				   {"run_offset", day ? "{1,3,5}" : "{0,2,4}"},
				   {"run_events", "{1,1,1}"},
				   {"hour", day ? "{9,11,13}" : "{0,2,4}"},
				   {"hour_purchases", "{1,1,1}"},
				   {"product_hour", day ? "{9,11,13}" : "{0,2,4}"},
				   {"product_purchases", "{1,1,1}"},
				   {"session_purchases", "{3}"},
				   {"session_revenue", "{3150}"},
				   {"step_product_id", "{5,5,5}"},
				   {NULL, NULL},
			   });
		free_row(&row);
	}
	cr_expect_eq(in.len, 0);
	buffer_free(&out);
	event_sums_free(sums);
}

/* Six prices of 2^61 cents: a sum of 64 bits holds three. */
Test(loader_event_sums, a_sum_that_does_not_fit_begins_another_entry)
{
	struct bronze_event events[7];

	for (int i = 0; i < 7; i++) {
		events[i] = event_at(DAY(0) + i, i == 3 ? EVENT_VIEW : EVENT_PURCHASE);
		events[i].event.price_cents = INT64_C(1) << 61;
	}
	expect_sums("overflow", events, 7,
	            (const struct want[]){
			    {"hour", "{0,0}"},
			    {"hour_purchases", "{3,3}"},
			    {"hour_views", "{0,1}"},
			    {"hour_revenue", "{6917529027641081856,6917529027641081856}"},
			    {"hour_newest",
	                     "{2019-10-01 00:00:00.000006,2019-10-01 00:00:00.000003}"},
			    {"product_purchases", "{6}"},
			    {"session_id", "{" SESSION_A "," SESSION_A "}"},
			    {"session_user_id", "{7,7}"},
			    {"session_purchases", "{3,3}"},
			    {"session_views", "{0,1}"},
			    {"session_revenue", "{6917529027641081856,6917529027641081856}"},
			    {"session_first", "{2019-10-01 00:00:00.000004,2019-10-01 00:00:00}"},
			    {"session_first_view", "{NULL,2019-10-01 00:00:00.000003}"},
			    {NULL, NULL},
		    });
}

/* All keys of random events, compared with a count of the events themselves. */
Test(loader_event_sums, many_products_and_sessions_are_counted_once_each)
{
	enum { EVENTS = 20000, PRODUCTS = 700 };
	static int64_t counts[PRODUCTS];
	struct event_sums *sums = event_sums_new();
	struct rng rng = {7};
	struct row row;
	char *ids, *views;

	for (int i = 0; i < EVENTS; i++) {
		int64_t product = rng_below(&rng, PRODUCTS);
		struct bronze_event event = event_at(DAY(0), EVENT_VIEW);

		counts[product]++;
		event.event.product_id = product;
		event.event.user_id = 1 + product;
		add(sums, &event);
	}
	row = only_row(sums);
	for (int session = 0; session < 2; session++) {
		int64_t seen = 0;

		ids = (char *)(uintptr_t)value(&row, session ? "session_user_id" : "product_id");
		views = (char *)(uintptr_t)value(&row, session ? "session_views" : "product_views");
		for (; *ids != '}'; seen++) {
			int64_t id = strtoll(ids + 1, &ids, 10) - session;

			cr_expect_eq(strtoll(views + 1, &views, 10), counts[id], "%" PRId64, id);
		}
		cr_expect_eq(seen, PRODUCTS);
	}
	free_row(&row);
	event_sums_free(sums);
}

/* ---- rows of events */

static void expect_same(const char *label, const struct bronze_event *got,
                        const struct bronze_event *want)
{
	cr_expect_arr_eq(got->event_id, want->event_id, EVENT_ID_BYTES, "%s", label);
	cr_expect_eq(got->event.event_time_us, want->event.event_time_us, "%s", label);
	cr_expect_eq(got->event.type, want->event.type, "%s", label);
	cr_expect_eq(got->event.product_id, want->event.product_id, "%s", label);
	cr_expect_eq(got->event.price_cents, want->event.price_cents, "%s: price %" PRId64, label,
	             got->event.price_cents);
	cr_expect_eq(got->event.user_id, want->event.user_id, "%s", label);
	cr_expect(span_equal(got->event.category_code, want->event.category_code), "%s", label);
	cr_expect(span_equal(got->event.brand, want->event.brand), "%s", label);
	cr_expect_eq(!got->event.user_session.at, !want->event.user_session.at, "%s", label);
	cr_expect_eq(got->lineage.raw_partition, want->lineage.raw_partition, "%s", label);
	cr_expect_eq(got->lineage.raw_offset, want->lineage.raw_offset, "%s", label);
}

/* Adds the event as a record of bronze, and reads its row. */
static void expect_read_back(const char *label, const struct bronze_event *event)
{
	struct load_batch batch = {.bronze_partition_count = 4};
	struct buffer value_bytes = {0}, staged = {0};
	struct bronze_event got;
	struct input_record record = {.topic = SPAN("t"), .partition = 3, .offset = 258};
	const struct load_row *row = NULL;
	struct event_label event_label;
	struct event_source source;
	uint8_t session[SESSION_ID_BYTES], want_session[SESSION_ID_BYTES];
	char key[32];

	bronze_encode(&value_bytes, 1, event);
	record.value = (struct span){value_bytes.at, value_bytes.len};
	record.body = (struct span){value_bytes.at + FRAME_BYTES, value_bytes.len - FRAME_BYTES};
	cr_assert_eq(load_batch_add(&batch, TOPIC_BRONZE_EVENTS, &record, NULL), LOAD_ROW);
	row = &batch.rows.at[0];
	event_label = entries_label(&batch.rows.labels, row->label);
	source = entries_source(&batch.rows.origins, row->origin);
	cr_expect_eq(event_label.category_id, event->event.category_id, "%s", label);
	cr_expect(span_equal(source.file, event->lineage.source_file), "%s", label);
	event_row_set_ids(batch.rows.bytes[TARGET_EVENTS].at + row->at, 0x01020304, 0x05060708);
	event_row_read((struct span){batch.rows.bytes[TARGET_EVENTS].at + row->at, row->len},
	               &event_label, &source, &got, session);
	expect_same(label, &got, event);
	(void)session_id(event_session_key(&event->event, key), want_session);
	cr_expect_arr_eq(session, want_session, SESSION_ID_BYTES, "%s", label);
	cr_expect_arr_eq(batch.rows.bytes[TARGET_EVENTS].at + row->at,
	                 "\0\17"
	                 "\0\0\0\4\1\2\3\4"
	                 "\0\0\0\4\5\6\7\10",
	                 18, "%s", label);

	event_row_stage(&staged,
	                (struct span){batch.rows.bytes[TARGET_EVENTS].at + row->at, row->len}, 3,
	                258);
	cr_assert_eq(staged.len, row->len + 8 + 12, "%s", label);
	cr_expect_eq(staged.at[1], 17, "%s", label);
	cr_expect_arr_eq(staged.at + 2, batch.rows.bytes[TARGET_EVENTS].at + row->at + 2,
	                 row->len - 2, "%s", label);
	cr_expect_arr_eq(staged.at + row->len,
	                 "\0\0\0\4"
	                 "\0\0\0\3"
	                 "\0\0\0\10"
	                 "\0\0\0\0\0\0\1\2",
	                 20, "%s", label);
	buffer_free(&staged);
	buffer_free(&value_bytes);
	load_batch_free(&batch);
}

Test(loader_event_sums, a_row_is_read_as_the_event_that_was_written)
{
	static const int64_t prices[] = {-1,
	                                 0,
	                                 1,
	                                 10,
	                                 99,
	                                 100,
	                                 9900,
	                                 10000,
	                                 999999,
	                                 1000000,
	                                 1000001,
	                                 12345678901,
	                                 INT64_C(999999999999999999)};
	struct bronze_event event = event_at(KIT_DAY0_US + 1, EVENT_VIEW);

	event.lineage = (struct lineage){.raw_partition = 3,
	                                 .raw_offset = INT64_C(1) << 40,
	                                 .source_clock_us = CLOCK_NONE};
	for (size_t i = 0; i < sizeof(event.event_id); i++)
		event.event_id[i] = (uint8_t)(200 + i);
	for (size_t i = 0; i < sizeof(prices) / sizeof(*prices); i++) {
		char label[40];

		snprintf(label, sizeof(label), "price %" PRId64, prices[i]);
		event.event.price_cents = prices[i];
		expect_read_back(label, &event);
	}
	for (int type = 0; type < EVENT_TYPE_COUNT; type++) {
		event.event.type = (enum event_type)type;
		expect_read_back(event_type_name(event.event.type), &event);
	}
	event.event.event_time_us = INT64_C(-1000000000000000) - 1; /* before 1970 */
	event.event.category_id = 9;
	event.lineage.source_file = SPAN("file.csv");
	event.lineage.source_row = 77;
	expect_read_back("with an origin", &event);
	event.event.category_code = event.event.brand = event.event.user_session = SPAN_NULL;
	expect_read_back("without texts", &event);
	event.event.user_session = SPAN("72D76FDE-8bb3-4e00-8c23-a032dfed738c");
	expect_read_back("a session that is not a UUID in lower case", &event);
}

/* Where the text of a session is: see sql/tables/0009_narrow_events.sql. */
Test(loader_event_sums, the_form_of_a_session_says_where_its_text_is)
{
	static const struct {
		const char *session, *form, *text;
	} table[] = {
		{NULL, "n", ""},
		{SESSION_A, "u", ""},
		{"72D76FDE-8bb3-4e00-8c23-a032dfed738c", "t",
	         "72D76FDE-8bb3-4e00-8c23-a032dfed738c"},
		{"user:7", "t", "user:7"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct bronze_event event = event_at(DAY(0), EVENT_PURCHASE);
		char row[1024], *end, want[128];
		size_t text_len = strlen(table[i].text), len;

		event.event.user_session = table[i].session ? span_of(table[i].session) : SPAN_NULL;
		event.event.price_cents = -1;
		end = event_row_write(row, &event, 0);
		cr_expect_leq((size_t)(end - row), event_row_room(&event));
		/* event_type | session_form | source_row | session_text | price */
		memcpy(want, "\0\0\0\1p\0\0\0\1?\xff\xff\xff\xff\0\0\0", 17);
		want[9] = table[i].form[0];
		want[17] = (char)text_len;
		memcpy(want + 18, table[i].text, text_len);
		memcpy(want + 18 + text_len, "\xff\xff\xff\xff", 4);
		len = 22 + text_len;
		cr_assert_gt((size_t)(end - row), len);
		cr_expect_arr_eq(end - len, want, len, "%s", table[i].form);
	}
}

/* A forgotten user: nothing changes but the user, and the session of an event without one. */
Test(loader_event_sums, a_pseudonym_takes_the_place_of_a_user)
{
	static const int64_t pseudonyms[] = {-1, -17, INT64_MIN};
	static const char *const keys[] = {"user:-1", "user:-17", "user:-9223372036854775808"};

	for (size_t i = 0; i < 6; i++) {
		struct bronze_event event = event_at(DAY(0), EVENT_PURCHASE);
		int64_t pseudonym = pseudonyms[i / 2];
		char row[1024], want[1024];
		uint8_t session[SESSION_ID_BYTES];
		size_t len;

		event.event.user_id = INT64_C(541312140);
		event.event.user_session = i % 2 ? SPAN(SESSION_A) : SPAN_NULL;
		len = (size_t)(event_row_write(row, &event, 0) - row);
		cr_expect_eq(event_row_user(row), INT64_C(541312140));
		cr_expect_eq(event_row_raw_time_us(row), event.lineage.raw_time_ms * 1000);
		cr_expect_eq(event_row_event_time_us(row), event.event.event_time_us);
		event.event.user_id = pseudonym;
		event_row_write(want, &event, 0);
		if (i % 2 == 0) { /* event_session_key writes ids of sources, which are positive */
			(void)session_id(span_of(keys[i / 2]), session);
			/* field count, two ids, event_id, and the length of session_id */
			memcpy(want + 2 + 8 + 8 + 20 + 4, session, SESSION_ID_BYTES);
		}
		event_row_forget(row, pseudonym);
		cr_expect_eq(event_row_user(row), pseudonym);
		cr_expect_arr_eq(row, want, len, "%s, with a session: %zu", keys[i / 2], i % 2);
		event_row_forget(row, pseudonym);
		cr_expect_arr_eq(row, want, len, "the same again");
	}
}
