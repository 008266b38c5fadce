/* Raw records of one partition, with any bytes, headers and times.
 *
 * Every record is counted once. Every dead letter has a reason. The clock only moves forward. A
 * control or an announced time never moves it past the record's own time. Another record moves it
 * at most to a time that another user has reached, or to 31 days before itself. A replay without
 * outputs ends in the same state.
 *
 * The second form puts one hostile event among normal events of three users. The outputs of the
 * other events must not change. */
#include <inttypes.h>

#include "base/buffer.h"
#include "base/span.h"
#include "base/timetext.h"
#include "bronze_fold.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/event_json_library.h"
#include "event/event_json_write.h"
#include "event/reason.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/outputs.h"
#include "stream/record.h"
#include "wire/frame.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/topics.h"

#define BASE_US       INT64_C(1569888000000000) /* 2019-10-01 */
#define TIME_MAX_MS   INT64_C(253402300799999)
#define RECORDS_MAX   64
#define NORMAL_EVENTS 24

static const struct output_context context = {"fuzz",
                                              {[TOPIC_BRONZE_EVENTS] = 1, [TOPIC_DEAD_LETTER] = 1},
                                              {1, 2, 3, 4, 5, 6, 7},
                                              NULL};
static char json[4096];
/* Cleared before each use. To create them again would take longer than all the rest. */
static struct outbox box, with, without;

static int64_t total_dead(const struct counts *counts)
{
	int64_t total = 0;

	for (int r = 0; r < REASON_COUNT; r++)
		total += counts->dead[r];
	return total;
}

static struct partition_clock clock_of(void *fold)
{
	struct partition_clock clock;
	char snapshot[FOLD_SNAPSHOT_MAX];

	fuzz_check(clock_parse((struct span){snapshot, bronze_fold_ops.snapshot(fold, snapshot)},
	                       &clock));
	return clock;
}

static struct span make_json(int64_t time_us, const char *type, int64_t user, int64_t product,
                             struct span price, struct span session)
{
	char time[32], user_text[24], product_text[24];
	struct span fields[EVENT_FIELD_COUNT] = {
		{time, time_format_plain(time_us, time)},
		span_of(type),
		{product_text,
	         (size_t)snprintf(product_text, sizeof(product_text), "%" PRId64, product)},
		SPAN("2053013555631882655"),
		SPAN("toys.soft"),
		SPAN("acme"),
		price,
		{user_text, (size_t)snprintf(user_text, sizeof(user_text), "%" PRId64, user)},
		session,
	};

	return (struct span){json, event_write_json(fields, json, sizeof(json))};
}

/* ---- any records */

static struct span any_value(struct fuzz_reader *in, uint8_t form)
{
	static const char *const types[] = {"view", "cart", "remove_from_cart", "checkout",
	                                    "purchase"};
	static const int64_t units[] = {1,           US_PER_SECOND, US_PER_MINUTE,
	                                US_PER_HOUR, US_PER_DAY,    400 * US_PER_DAY};
	uint8_t kind = fuzz_byte(in), user = fuzz_byte(in), unit = fuzz_byte(in);
	int64_t steps = (int64_t)fuzz_byte(in) - 128;
	struct span price, session;

	if (form == 0)
		return SPAN_NULL;
	if (form == 1)
		return fuzz_take(in, (size_t)fuzz_byte(in) * 4);
	price = fuzz_take(in, fuzz_byte(in) % 8);
	session = fuzz_take(in, fuzz_byte(in) % 4);
	return make_json(BASE_US + steps * units[unit % 6], types[kind % 5], 1 + user % 4,
	                 1 + user / 64, price, session);
}

static struct input_record any_record(struct fuzz_reader *in, struct header headers[8],
                                      int64_t offset)
{
	static const char *const names[] = {"control",      "event_time",   "source_file",
	                                    "source_row",   "source_error", "segment",
	                                    "source_clock", "time_refuted"};
	uint8_t form = fuzz_byte(in) % 6, header_count = fuzz_byte(in);
	struct input_record record = {.topic = SPAN("raw"),
	                              .offset = offset,
	                              .detail = "refused",
	                              .headers = headers};

	record.value = record.body = any_value(in, form);
	record.timestamp_ms = header_count & 64
	                              ? fuzz_int64(in)
	                              : BASE_US / 1000 + (int64_t)(int8_t)fuzz_byte(in) * 86400000;
	if (record.timestamp_ms < 0 ||
	    record.timestamp_ms > TIME_MAX_MS) /* as the task loop clamps it */
		record.timestamp_ms = record.timestamp_ms < 0 ? 0 : TIME_MAX_MS;
	if (form == 5 && header_count & 128)
		record.refused = (enum reason)(1 + fuzz_byte(in) % (REASON_COUNT - 1));
	for (record.header_count = 0; record.header_count < header_count % 8;
	     record.header_count++) {
		uint8_t name = fuzz_byte(in);

		headers[record.header_count].name = name < 8 ? span_of(names[name]) : fuzz_text(in);
		headers[record.header_count].value = name == 255 ? SPAN_NULL : fuzz_text(in);
	}
	return record;
}

static void check_outputs(void)
{
	for (size_t i = 0; i < box.count; i++) {
		const struct output *output = &box.at[i];
		struct bronze_event bronze;
		size_t reasons = 0;

		fuzz_check(output->topic == TOPIC_BRONZE_EVENTS ||
		           output->topic == TOPIC_DEAD_LETTER);
		fuzz_check(output->partition == 0);
		for (uint16_t h = 0; h < output->header_count; h++)
			if (span_is(output->headers[h].name,
			            "__connect.errors.exception.class.name") &&
			    output->headers[h].value.len > 0)
				reasons++;
		if (output->topic == TOPIC_DEAD_LETTER)
			fuzz_check(reasons > 0);
		else if (output->value.at)
			fuzz_check(bronze_decode((struct span){output->value.at + FRAME_BYTES,
			                                       output->value.len - FRAME_BYTES},
			                         &bronze, NULL));
	}
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void check_record(void *fold, void *replayed, const struct input_record *record,
                         struct counts *counts, struct counts *replayed_counts)
{
	struct partition_clock before = clock_of(fold), after;
	struct counts was = *counts;
	int64_t accepted_us, limit_us = clock_now(&before), made;

	outbox_clear(&box);
	accepted_us = bronze_fold_ops.apply(fold, record, counts, &box);
	bronze_fold_ops.apply(replayed, record, replayed_counts, NULL);
	after = clock_of(fold);
	fuzz_check(counts->records_in ==
	           counts->records_out + counts->duplicates + total_dead(counts));
	made = counts->records_in - was.records_in;
	fuzz_check(made == 0 || made == 1);
	if (made)
		fuzz_check(box.count == (size_t)(1 - (counts->duplicates - was.duplicates)));
	else
		fuzz_check(box.count == 1 && box.at[0].topic == TOPIC_BRONZE_EVENTS &&
		           !box.at[0].value.at);
	check_outputs();
	fuzz_check(clock_now(&after) >= clock_now(&before));
	if (made == 0 || record_header(record, CLOCK_HEADER_SOURCE).at)
		limit_us = larger(limit_us, record->timestamp_ms * 1000);
	if (made) /* times that two users have reached now, or 31 days before the event */
		limit_us = larger(limit_us, larger(before.first_us, before.far_us));
	if (made && accepted_us != FOLD_NOTHING)
		limit_us = larger(limit_us, accepted_us - CLOCK_AHEAD_US);
	if (made && clock_now(&before) == CLOCK_NONE)
		limit_us = larger(limit_us, accepted_us); /* the first event */
	fuzz_check(clock_now(&after) <= limit_us ||
	           (made && before.first_us != CLOCK_NONE && clock_now(&after) == accepted_us &&
	            accepted_us <= before.first_us));
}

static void any_records(struct fuzz_reader *in)
{
	struct bronze_fold_config config = {&context, 1, 7 * US_PER_DAY, fuzz_byte(in) & 1, NULL};
	void *fold = bronze_fold_ops.new(&config, 0), *replayed = bronze_fold_ops.new(&config, 0);
	struct counts counts = {0}, replayed_counts = {0};
	struct buffer dump = {0}, replayed_dump = {0};
	struct header headers[8];

	for (int64_t offset = 0; in->left && offset < RECORDS_MAX; offset++) {
		struct input_record record = any_record(in, headers, offset);

		check_record(fold, replayed, &record, &counts, &replayed_counts);
	}
	bronze_fold_ops.dump(fold, &dump);
	bronze_fold_ops.dump(replayed, &replayed_dump);
	fuzz_check(memcmp(&counts, &replayed_counts, sizeof(counts)) == 0);
	fuzz_check(dump.len == replayed_dump.len &&
	           memcmp(dump.at, replayed_dump.at, dump.len) == 0);
	buffer_free(&dump);
	buffer_free(&replayed_dump);
	bronze_fold_ops.free(fold);
	bronze_fold_ops.free(replayed);
}

/* ---- one hostile event among normal ones */

struct hostile {
	struct span value;
	int64_t place, record_ms;
	bool live;
};

/* Folds the normal events. out: their outputs, in order. */
static void run_normal(const struct hostile *hostile, bool with_it, struct outbox *out)
{
	static const struct bronze_fold_config config = {&context, 1, 7 * US_PER_DAY, false, NULL};
	void *fold = bronze_fold_ops.new(&config, 0);
	struct counts counts = {0};
	char time[32];
	struct header begin[] = {{SPAN("control"), SPAN("begin")},
	                         {SPAN("event_time"), {time, time_format_iso(BASE_US, time)}}};
	struct input_record record = {.topic = SPAN("raw"),
	                              .headers = begin,
	                              .header_count = 2,
	                              .timestamp_ms = BASE_US / 1000};

	outbox_clear(out);
	bronze_fold_ops.apply(fold, &record, &counts, NULL);
	for (int64_t i = 0; i < NORMAL_EVENTS; i++) {
		int64_t time_us = BASE_US + i * 20 * US_PER_SECOND,
			record_us = hostile->live ? time_us : time_us + 100 * US_PER_DAY;

		if (with_it && i == hostile->place) {
			record = (struct input_record){.topic = SPAN("raw"),
			                               .offset = 2 * i + 1,
			                               .timestamp_ms = record_us / 1000};
			record.value = record.body = hostile->value;
			outbox_clear(&box);
			bronze_fold_ops.apply(fold, &record, &counts, &box);
		}
		record = (struct input_record){.topic = SPAN("raw"),
		                               .offset = 2 * i + 2,
		                               .timestamp_ms = record_us / 1000};
		record.value = record.body =
			make_json(time_us, "view", 1 + i % 3, 1 + i, SPAN("1.50"), SPAN("s1"));
		bronze_fold_ops.apply(fold, &record, &counts, out);
	}
	bronze_fold_ops.free(fold);
}

static void one_hostile_event(struct fuzz_reader *in)
{
	uint8_t place = fuzz_byte(in), live = fuzz_byte(in), form = fuzz_byte(in);
	struct hostile hostile = {.place = place % NORMAL_EVENTS, .live = live & 1};
	struct event_parser *parser = event_parser_new(NULL);
	char *copy = NULL;
	struct event event;

	if (form & 1) {
		int64_t time_us = (int64_t)((uint64_t)fuzz_int64(in) % 253402300800000000u),
			user = 1 + fuzz_byte(in) % 4, product = 1 + fuzz_byte(in);

		hostile.value = make_json(time_us, form & 2 ? "purchase" : "view", user, product,
		                          fuzz_take(in, 6), SPAN("hostile"));
	} else {
		hostile.value = fuzz_take(in, in->left);
	}
	copy = malloc(hostile.value.len + 1);
	fuzz_check(copy);
	memcpy(copy, hostile.value.at, hostile.value.len);
	hostile.value.at = copy;
	/* Only an event of another session is certainly not a duplicate of a normal one. */
	if (event_parse_json(parser, hostile.value, &event, NULL, 0) != REASON_NONE ||
	    span_is(event.user_session, "hostile")) {
		run_normal(&hostile, false, &without);
		run_normal(&hostile, true, &with);
		fuzz_check(without.count == NORMAL_EVENTS && with.count == NORMAL_EVENTS);
		for (size_t i = 0; i < NORMAL_EVENTS; i++) {
			fuzz_check(without.at[i].topic == TOPIC_BRONZE_EVENTS &&
			           with.at[i].topic == TOPIC_BRONZE_EVENTS);
			fuzz_check(span_equal(without.at[i].value, with.at[i].value));
		}
	}
	free(copy);
	event_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader in = {(const char *)data, size};

	if (fuzz_byte(&in) & 1)
		one_hostile_event(&in);
	else
		any_records(&in);
	return 0;
}
