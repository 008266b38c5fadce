/* In which order the events of a batch are copied. */
#include "event_order.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/span.h"
#include "event/clock.h"
#include "load_batch.h"
#include "stream/record.h"
#include "wire/frame.h"
#include "wire/records_bronze.h"
#include "wire/topics.h"

#define DAY_US INT64_C(86400000000)

struct case_event {
	int64_t time_us;
	uint8_t head[9]; /* of its id; the rest is 0 */
};

static const struct case_event events[] = {
	{20000 * DAY_US, {0xff}},
	{20000 * DAY_US, {0x7f}},
	{20001 * DAY_US, {0x00}},
	{DAY_US, {0x90}}, /* 1970: before the year from which PostgreSQL counts */
	{20000 * DAY_US, {0x80}},
	{20001 * DAY_US - 1, {0x00, 0, 0, 0, 0, 0, 0, 1}},
	{20000 * DAY_US, {0x00, 0, 0, 0, 0, 0, 0, 0, 9}},
};
#define EVENTS (sizeof(events) / sizeof(events[0]))

static void add(struct load_batch *batch, const struct case_event *event)
{
	struct bronze_event bronze = {.event = {.event_time_us = event->time_us,
	                                        .product_id = 1,
	                                        .user_id = 1,
	                                        .price_cents = -1},
	                              .lineage = {.raw_time_ms = 1, .source_clock_us = CLOCK_NONE}};
	struct buffer value = {0};
	struct input_record record;

	memcpy(bronze.event_id, event->head, sizeof(event->head));
	bronze_encode(&value, 1, &bronze);
	record = (struct input_record){.topic = SPAN("t"),
	                               .offset = batch->source_count,
	                               .value = {value.at, value.len},
	                               .body = {value.at + FRAME_BYTES, value.len - FRAME_BYTES}};
	cr_assert_eq(load_batch_add(batch, TOPIC_BRONZE_EVENTS, &record, value.at), LOAD_ROW);
}

static void expect_order(struct event_order *order, const struct load_batch *batch,
                         const uint32_t *rows, const uint32_t *want, uint32_t count)
{
	const uint32_t *sorted = event_order_sort(order, batch, rows, count);

	for (uint32_t i = 0; i < count; i++)
		cr_expect_eq(sorted[i], want[i], "place %u: row %u, not %u", i, sorted[i], want[i]);
}

Test(loader_event_order, is_by_day_and_then_by_id_as_bytes)
{
	static const uint32_t all[EVENTS] = {0, 1, 2, 3, 4, 5, 6};
	static const uint32_t sorted[EVENTS] = {3, 6, 5, 1, 4, 0, 2};
	static const uint32_t some[] = {4, 2, 0}, sorted_some[] = {4, 0, 2};
	struct load_batch batch = {.release = free};
	struct event_order order = {0};

	for (size_t i = 0; i < EVENTS; i++)
		add(&batch, &events[i]);
	expect_order(&order, &batch, some, sorted_some, 3);
	expect_order(&order, &batch, all, sorted, EVENTS);
	expect_order(&order, &batch, some, sorted_some, 3);
	event_order_free(&order);
	load_batch_free(&batch);
}

Test(loader_event_order, leaves_no_row_out_if_ids_begin_alike)
{
	static const uint32_t rows[] = {0, 1, 2};
	static const struct case_event alike[] = {
		{1, {1, 2, 3, 4, 5, 6, 7, 8, 3}},
		{1, {1, 2, 3, 4, 5, 6, 7, 8, 1}},
		{1, {1, 2, 3, 4, 5, 6, 7, 8, 2}},
	};
	struct load_batch batch = {.release = free};
	struct event_order order = {0};
	const uint32_t *sorted;
	unsigned found = 0;

	for (size_t i = 0; i < 3; i++)
		add(&batch, &alike[i]);
	sorted = event_order_sort(&order, &batch, rows, 3);
	for (size_t i = 0; i < 3; i++)
		found |= 1u << sorted[i];
	cr_expect_eq(found, 7u);
	event_order_free(&order);
	load_batch_free(&batch);
}
