/* Both halves of the aggregator. An input has one of three forms:
 *
 * - Any records for the session half. Rows in = rows out + dead letters. The consumers can read all
 *   outputs: a merge half accepts all partials, and the decoder reads all visits. A replay without
 *   outputs ends in the same state.
 * - Any partials for the merge half. The decoder reads all aggregates.
 * - One hostile event among normal events of three users. No other event becomes late, and no other
 *   window, group or visit gets other numbers. */
#include "base/buffer.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/reason.h"
#include "event/window.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "merge_fold.h"
#include "session_fold.h"
#include "stages.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "wire/frame.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/topics.h"

#define BASE_US       INT64_C(1569888000000000)                  /* 2019-10-01 */
#define RECORD_MS     (BASE_US / 1000 + INT64_C(100) * 86400000) /* of a replay */
#define TIME_MIN_US   INT64_C(-62135596800000000)
#define TIME_SPAN_US  UINT64_C(315537897600000000) /* years 1 to 9999 */
#define RECORDS_MAX   128
#define NORMAL_EVENTS 24
#define KEPT_MAX      2048

static const struct output_context context = {"fuzz",
                                              {[TOPIC_DEAD_LETTER] = 1,
                                               [TOPIC_LATE_EVENTS] = 1,
                                               [TOPIC_SESSION_FUNNELS] = 1,
                                               [TOPIC_FUNNEL_PARTIALS] = 1,
                                               [TOPIC_AGGREGATED_EVENTS] = 1},
                                              {1, 2, 3, 4, 5, 6, 7},
                                              NULL};
static const struct merge_fold_config merge_config = {&context, 2, 10 * US_PER_MINUTE};
static struct outbox box, merged;

static const struct session_fold_config *session_config(void)
{
	static struct session_fold_config config = {.outputs = &context,
	                                            .disorder_us = 5 * US_PER_SECOND,
	                                            .grace_us = 10 * US_PER_MINUTE};

	if (config.rollups.count == 0) {
		fuzz_check(
			rollups_parse("1m:all 1h:category 1d:brand 3m/1m:product 1d+6h:category1",
		                      &config.rollups, NULL));
		fuzz_check(stages_parse("view,cart,checkout,purchase", &config.stages, NULL));
	}
	return &config;
}

static struct span body_of(struct span value)
{
	return value.len > FRAME_BYTES
	               ? (struct span){value.at + FRAME_BYTES, value.len - FRAME_BYTES}
	               : value;
}

static int64_t total_dead(const struct counts *counts)
{
	int64_t total = 0;

	for (int r = 0; r < REASON_COUNT; r++)
		total += counts->dead[r];
	return total;
}

static int64_t any_time(struct fuzz_reader *in)
{
	static const int64_t units[] = {1, US_PER_SECOND, US_PER_MINUTE, US_PER_HOUR, US_PER_DAY};
	uint8_t unit = fuzz_byte(in);

	if (unit % 6 == 5)
		return (int64_t)((uint64_t)fuzz_int64(in) % TIME_SPAN_US) + TIME_MIN_US;
	return BASE_US + (int8_t)fuzz_byte(in) * units[unit % 6];
}

static struct bronze_event any_event(struct fuzz_reader *in)
{
	uint8_t who = fuzz_byte(in), what = fuzz_byte(in);
	int64_t time_us = any_time(in);
	struct bronze_event bronze = {
		.event = {.event_time_us = time_us,
	                  .product_id = 1 + what / 32,
	                  .user_id = 1 + who % 4,
	                  .price_cents = -1,
	                  .type = (enum event_type)(what % 5)},
		.event_id = {who, what, fuzz_byte(in)},
		.lineage = {.raw_time_ms = RECORD_MS, .source_clock_us = CLOCK_NONE},
	};

	if (what & 16)
		bronze.event.price_cents =
			(int64_t)((uint64_t)fuzz_int64(in) % UINT64_C(100000000000000000));
	bronze.event.user_session = who & 16 ? SPAN_NULL : (struct span){&"abcd"[who / 64], 1};
	bronze.event.category_code = who & 32 ? SPAN_NULL : SPAN("toys.soft");
	if (who & 8) {
		struct span text = fuzz_text(in);

		bronze.event.brand = text.len ? text : SPAN_NULL;
	}
	return bronze;
}

/* ---- the session half */

/* A merge half must accept the partials, and the decoder must read the visits. */
static void check_outputs(void *merge, struct counts *merge_counts)
{
	for (size_t i = 0; i < box.count; i++) {
		struct input_record record = {.topic = SPAN("partials"),
		                              .offset = (int64_t)i,
		                              .value = box.at[i].value,
		                              .body = body_of(box.at[i].value)};
		struct visit visit;

		if (box.at[i].topic == TOPIC_FUNNEL_PARTIALS)
			merge_fold_ops.apply(merge, &record, merge_counts, &merged);
		else if (box.at[i].topic == TOPIC_SESSION_FUNNELS)
			fuzz_check(visit_decode(record.body, &visit, NULL));
		else
			fuzz_check(box.at[i].topic == TOPIC_LATE_EVENTS ||
			           box.at[i].topic == TOPIC_DEAD_LETTER);
	}
	outbox_clear(&box);
	merge_fold_ops.flush(merge, &merged);
	for (size_t i = 0; i < merged.count; i++) {
		struct aggregate aggregate;

		fuzz_check(merged.at[i].topic == TOPIC_AGGREGATED_EVENTS &&
		           aggregate_decode(body_of(merged.at[i].value), &aggregate, NULL));
	}
	outbox_clear(&merged);
}

static struct input_record any_session_record(struct fuzz_reader *in, struct header headers[2],
                                              struct buffer *value, int64_t offset)
{
	uint8_t form = fuzz_byte(in);
	struct input_record record = {.topic = SPAN("bronze"),
	                              .offset = offset,
	                              .headers = headers,
	                              .timestamp_ms = BASE_US / 1000 + offset * 60000};
	struct bronze_event bronze;

	value->len = 0;
	switch (form % 8) {
	case 0: /* a control */
		record.timestamp_ms = form & 8 ? INT64_C(253402300799999) : record.timestamp_ms;
		headers[0] =
			(struct header){SPAN("control"), form & 16 ? SPAN("jump") : SPAN("end")};
		headers[1] = (struct header){SPAN("event_time"), fuzz_text(in)};
		record.header_count = 2;
		return record;
	case 1: record.value = record.body = fuzz_text(in); return record;
	case 2:
		record.refused = (enum reason)(1 + fuzz_byte(in) % (REASON_COUNT - 1));
		record.value = record.body = SPAN("x");
		return record;
	default: break;
	}
	bronze = any_event(in);
	bronze_encode(value, 1, &bronze);
	record.value = (struct span){value->at, value->len};
	record.body = body_of(record.value);
	return record;
}

static void any_session_records(struct fuzz_reader *in)
{
	void *fold = session_fold_ops.new(session_config(), 0),
	     *replayed = session_fold_ops.new(session_config(), 0);
	void *merge = merge_fold_ops.new(&merge_config, 0);
	struct counts counts = {0}, replayed_counts = {0}, merge_counts = {0};
	struct buffer value = {0}, dump = {0}, replayed_dump = {0};
	struct header headers[2];
	uint8_t flush_every = (uint8_t)(1 + fuzz_byte(in) % 16);

	for (int64_t offset = 0; in->left && offset < RECORDS_MAX; offset++) {
		struct input_record record = any_session_record(in, headers, &value, offset);

		session_fold_ops.apply(fold, &record, &counts, &box);
		session_fold_ops.apply(replayed, &record, &replayed_counts, NULL);
		fuzz_check(counts.records_in == counts.records_out + total_dead(&counts));
		if (offset % flush_every == 0)
			session_fold_ops.flush(fold, &box);
		check_outputs(merge, &merge_counts);
	}
	session_fold_ops.flush(fold, &box);
	session_fold_ops.idle(fold, &box);
	check_outputs(merge, &merge_counts);
	fuzz_check(total_dead(&merge_counts) == 0);
	session_fold_ops.restored(fold);
	session_fold_ops.restored(replayed);
	session_fold_ops.dump(fold, &dump);
	session_fold_ops.dump(replayed, &replayed_dump);
	fuzz_check(memcmp(&counts, &replayed_counts, sizeof(counts)) == 0);
	fuzz_check(dump.len == replayed_dump.len &&
	           memcmp(dump.at, replayed_dump.at, dump.len) == 0);
	session_fold_ops.free(fold);
	session_fold_ops.free(replayed);
	merge_fold_ops.free(merge);
	buffer_free(&value);
	buffer_free(&dump);
	buffer_free(&replayed_dump);
}

/* ---- the merge half */

static struct partial any_partial(struct fuzz_reader *in)
{
	uint8_t form = fuzz_byte(in);
	struct partial partial = {.rollup = form & 1 ? SPAN("1m:all") : SPAN("1d:brand"),
	                          .revision = fuzz_byte(in),
	                          .source_partition = form >> 1 & 3,
	                          .idle = form & 8};
	int64_t *measures = (int64_t *)&partial.measures;

	partial.watermark_us = form & 16 ? INT64_MIN : any_time(in);
	if (form & 32) {
		partial.rollup = partial.group_value = SPAN("");
		return partial;
	}
	partial.group_value = fuzz_text(in);
	partial.window_start_us = any_time(in);
	partial.window_end_us = partial.window_start_us + (form & 1 ? US_PER_MINUTE : US_PER_DAY);
	for (size_t i = 0; i < sizeof(partial.measures) / sizeof(int64_t); i++)
		measures[i] = form & 64 ? (int64_t)((uint64_t)fuzz_int64(in) >> 1) : fuzz_byte(in);
	return partial;
}

static void any_merge_records(struct fuzz_reader *in)
{
	void *merge = merge_fold_ops.new(&merge_config, 0);
	struct counts counts = {0};
	struct buffer value = {0};

	for (int64_t offset = 0; in->left && offset < RECORDS_MAX; offset++) {
		struct input_record record = {.topic = SPAN("partials"), .offset = offset};
		struct counts before = counts;
		int64_t newest_us;

		value.len = 0;
		if (fuzz_byte(in) % 4 == 0) {
			record.value = record.body = fuzz_text(in);
		} else {
			struct partial partial = any_partial(in);

			partial_encode(&value, 1, &partial);
			record.value = (struct span){value.at, value.len};
			record.body = body_of(record.value);
		}
		newest_us = merge_fold_ops.apply(merge, &record, &counts, &merged);
		fuzz_check(total_dead(&counts) == total_dead(&before) || newest_us == FOLD_NOTHING);
		outbox_clear(&merged); /* at most a dead letter */
		if (offset % 3 == 0)
			check_outputs(merge, &counts);
		merge_fold_ops.horizon(merge);
	}
	check_outputs(merge, &counts);
	merge_fold_ops.free(merge);
	buffer_free(&value);
}

/* ---- one hostile event among normal ones */

struct kept {
	struct span key, value;
};

/* The last value of every key, without progress, the hostile session and its groups. */
static size_t last_values(const struct outbox *outputs, struct kept *kept)
{
	size_t count = 0;

	for (size_t i = 0; i < outputs->count; i++) {
		const struct output *output = &outputs->at[i];
		struct partial partial;
		struct visit visit;
		size_t k = 0;

		if (output->topic == TOPIC_SESSION_FUNNELS) {
			fuzz_check(visit_decode(body_of(output->value), &visit, NULL));
			if (span_is(visit.user_session, "hostile"))
				continue;
		} else if (output->topic == TOPIC_FUNNEL_PARTIALS) {
			fuzz_check(partial_decode(body_of(output->value), &partial, NULL));
			if (partial.rollup.len == 0 || span_is(partial.group_value, "all") ||
			    span_is(partial.group_value, "hostile") ||
			    span_is(partial.group_value, "999"))
				continue;
		} else {
			fuzz_check(output->topic == TOPIC_LATE_EVENTS);
			continue;
		}
		while (k < count && !span_equal(kept[k].key, output->key))
			k++;
		fuzz_check(k < KEPT_MAX);
		kept[k] = (struct kept){output->key, output->value};
		count += k == count;
	}
	return count;
}

static size_t late_events(const struct outbox *outputs)
{
	size_t late = 0;

	for (size_t i = 0; i < outputs->count; i++) {
		struct bronze_event bronze;

		if (outputs->at[i].topic != TOPIC_LATE_EVENTS)
			continue;
		fuzz_check(bronze_decode(body_of(outputs->at[i].value), &bronze, NULL));
		late += !span_is(bronze.event.user_session, "hostile");
	}
	return late;
}

static void apply_event(void *fold, const struct bronze_event *bronze, int64_t offset,
                        struct outbox *out)
{
	struct buffer value = {0};
	struct counts counts = {0};
	struct input_record record = {.topic = SPAN("bronze"),
	                              .offset = offset,
	                              .timestamp_ms = RECORD_MS};

	bronze_encode(&value, 1, bronze);
	record.value = (struct span){value.at, value.len};
	record.body = body_of(record.value);
	session_fold_ops.apply(fold, &record, &counts, out);
	buffer_free(&value);
}

static void apply_control(void *fold, int64_t time_us, int64_t offset, struct outbox *out)
{
	char time[32];
	struct header headers[] = {{SPAN("control"), SPAN("jump")},
	                           {SPAN("event_time"), {time, time_format_iso(time_us, time)}}};
	struct input_record record = {.topic = SPAN("bronze"),
	                              .offset = offset,
	                              .timestamp_ms = time_us / 1000,
	                              .headers = headers,
	                              .header_count = 2};
	struct counts counts = {0};

	session_fold_ops.apply(fold, &record, &counts, out);
}

static void run_normal(const struct bronze_event *hostile, int64_t place, int64_t step_us,
                       struct outbox *out)
{
	void *fold = session_fold_ops.new(session_config(), 0);

	outbox_clear(out);
	apply_control(fold, BASE_US, 0, out);
	for (int64_t i = 0; i < NORMAL_EVENTS; i++) {
		struct bronze_event bronze = {.event = {.event_time_us = BASE_US + i * step_us,
		                                        .product_id = 1 + i % 5,
		                                        .user_id = 1 + i % 3,
		                                        .price_cents = 150,
		                                        .type = (enum event_type)(i % 5),
		                                        .category_code = SPAN("toys.soft"),
		                                        .brand = SPAN("acme")},
		                              .event_id = {1, (uint8_t)i},
		                              .lineage = {.raw_time_ms = RECORD_MS,
		                                          .source_clock_us = CLOCK_NONE}};

		bronze.event.user_session = (struct span){&"abc"[i % 3], 1};
		if (hostile && i == place)
			apply_event(fold, hostile, 2 * i + 1, out);
		apply_event(fold, &bronze, 2 * i + 2, out);
		if (i % 4 == 0)
			session_fold_ops.flush(fold, out);
	}
	apply_control(fold, BASE_US + 40 * US_PER_DAY, 1000, out);
	session_fold_ops.flush(fold, out);
	session_fold_ops.free(fold);
}

static void one_hostile_event(struct fuzz_reader *in)
{
	static struct kept without[KEPT_MAX], with[KEPT_MAX];
	uint8_t place = fuzz_byte(in) % NORMAL_EVENTS, step = fuzz_byte(in);
	struct bronze_event hostile = any_event(in);
	size_t without_count, with_count;

	hostile.event.user_session = SPAN("hostile");
	hostile.event.brand = hostile.event.category_code = SPAN("hostile");
	hostile.event.product_id = 999;
	run_normal(NULL, 0, (1 + step) * US_PER_SECOND, &box);
	run_normal(&hostile, place, (1 + step) * US_PER_SECOND, &merged);
	fuzz_check(late_events(&box) == 0 && late_events(&merged) == 0);
	without_count = last_values(&box, without);
	with_count = last_values(&merged, with);
	fuzz_check(without_count == with_count);
	for (size_t i = 0; i < without_count; i++) {
		struct partial a, b;
		size_t k = 0;

		while (k < with_count && !span_equal(without[i].key, with[k].key))
			k++;
		fuzz_check(k < with_count);
		/* Partials are equal except for their watermark. */
		if (partial_decode(body_of(without[i].value), &a, NULL)) {
			fuzz_check(partial_decode(body_of(with[k].value), &b, NULL));
			fuzz_check(memcmp(&a.measures, &b.measures, sizeof(a.measures)) == 0);
		} else {
			fuzz_check(span_equal(without[i].value, with[k].value));
		}
	}
	outbox_clear(&box);
	outbox_clear(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader in = {(const char *)data, size};

	switch (fuzz_byte(&in) % 3) {
	case 0: any_session_records(&in); break;
	case 1: any_merge_records(&in); break;
	default: one_hostile_event(&in); break;
	}
	return 0;
}
