/* The sequence of months of EVERY, the states of its runs, and the newest time of a topic. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/span.h"
#include "base/timetext.h"
#include "months.h"
#include "run_state.h"
#include "schedule.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "topic_clock.h"

#define NOW (INT64_C(1000000) * US_PER_SECOND)

static struct schedule made;

static struct schedule *three_months(void)
{
	struct months months;

	cr_assert(months_parse("2019-10..2019-12", &months, NULL));
	schedule_init(&made, &months, 3 * US_PER_HOUR);
	return &made;
}

static void expect(const struct schedule *schedule, int64_t now_us, enum schedule_result result,
                   int32_t index, int64_t wait_us)
{
	int64_t wait = 0;
	int32_t got;

	cr_assert_eq(schedule_next(schedule, now_us, &got, &wait), result);
	cr_assert_eq(got, index, "run %d, expected %d", (int)got, (int)index);
	cr_assert_eq(wait, wait_us, "%lld", (long long)wait);
}

Test(schedule, months_begin_in_order_an_interval_after_the_start_of_the_one_before)
{
	struct schedule *s = three_months();

	expect(s, NOW, SCHEDULE_RUN, 0, 0);
	schedule_begun(s, 0, NOW);
	schedule_ended(s, 0, true, NOW + US_PER_HOUR);
	expect(s, NOW + US_PER_HOUR, SCHEDULE_WAIT, 1, 2 * US_PER_HOUR);
	expect(s, NOW + 3 * US_PER_HOUR, SCHEDULE_RUN, 1, 0);
	schedule_begun(s, 1, NOW + 3 * US_PER_HOUR);
	schedule_ended(s, 1, true, NOW + 9 * US_PER_HOUR);
	expect(s, NOW + 9 * US_PER_HOUR, SCHEDULE_RUN, 2, 0);
	schedule_begun(s, 2, NOW + 9 * US_PER_HOUR);
	schedule_ended(s, 2, true, NOW + 10 * US_PER_HOUR);
	expect(s, NOW + 10 * US_PER_HOUR, SCHEDULE_DONE, 3, 0);
}

Test(schedule, a_failed_run_begins_again_after_a_back_off)
{
	struct schedule *s = three_months();
	int64_t wait;
	int32_t index;

	schedule_begun(s, 0, NOW);
	schedule_ended(s, 0, false, NOW);
	cr_assert_eq(schedule_next(s, NOW, &index, &wait), SCHEDULE_WAIT);
	cr_assert_eq(index, 0);
	cr_assert_leq(wait, BACKOFF_MIN_US);
	expect(s, NOW + BACKOFF_MIN_US, SCHEDULE_RUN, 0, 0);
	schedule_begun(s, 0, NOW + US_PER_HOUR);
	cr_assert_eq(s->runs[0].attempts, 2);
	schedule_ended(s, 0, true, NOW + US_PER_HOUR);
	expect(s, NOW + US_PER_HOUR, SCHEDULE_WAIT, 1, 2 * US_PER_HOUR);
}

static struct run_state state_of(const char *month, enum run_status status, int64_t started_us)
{
	struct run_state state = {.segment = "s", .input = "data", .selection = 7};
	struct months months;

	cr_assert(months_parse(month, &months, NULL));
	state.month = months.at[0];
	state.status = status;
	state.started_us = started_us;
	state.attempt = 1;
	return state;
}

Test(schedule, another_host_continues_at_the_next_month)
{
	struct schedule *s = three_months();
	struct run_state october = state_of("2019-10", RUN_COMPLETE, NOW),
			 november = state_of("2019-11", RUN_RUNNING, NOW + 3 * US_PER_HOUR),
			 other = state_of("2020-03", RUN_COMPLETE, NOW);

	schedule_take(s, &october);
	schedule_take(s, &other);
	expect(s, NOW + US_PER_HOUR, SCHEDULE_WAIT, 1, 2 * US_PER_HOUR);
	schedule_take(s, &november);
	expect(s, NOW + 4 * US_PER_HOUR, SCHEDULE_RUN, 1, 0);
	november.status = RUN_COMPLETE;
	schedule_take(s, &november);
	expect(s, NOW + 4 * US_PER_HOUR, SCHEDULE_WAIT, 2, 2 * US_PER_HOUR);
}

Test(schedule, a_start_in_the_future_delays_the_next_run_by_at_most_an_interval)
{
	struct schedule *s = three_months();
	struct run_state october = state_of("2019-10", RUN_COMPLETE, NOW + 9000 * US_PER_HOUR);

	schedule_take(s, &october);
	expect(s, NOW, SCHEDULE_WAIT, 1, 3 * US_PER_HOUR);
}

/* ---- the states of runs */

Test(run_state, what_is_written_is_read)
{
	struct run_state state = state_of("2019-12", RUN_FAILED, NOW), got;
	char *value;

	snprintf(state.segment, sizeof(state.segment), "a \"quoted\" name-2019-12-123");
	state.selection = UINT64_MAX - 3;
	state.rows = 17;
	state.finished_us = NOW + 1;
	state.newest_us = INT64_MIN;
	for (int i = 0; i < 2; i++, state.newest_us = -5) {
		value = run_state_write(&state);
		cr_assert_not_null(value);
		cr_assert(run_state_read(span_of(value), &got), "%s", value);
		cr_assert_str_eq(got.segment, state.segment);
		cr_assert_str_eq(got.input, state.input);
		cr_assert_eq(got.selection, state.selection);
		cr_assert_eq(got.month, state.month);
		cr_assert_eq(got.status, state.status);
		cr_assert_eq(got.rows, state.rows);
		cr_assert_eq(got.attempt, state.attempt);
		cr_assert_eq(got.started_us, state.started_us);
		cr_assert_eq(got.finished_us, state.finished_us);
		cr_assert_eq(got.newest_us, state.newest_us);
		free(value);
	}
}

Test(run_state, other_values_are_ignored)
{
	static const char *const values[] = {
		"",
		"{}",
		"[]",
		"x",
		"{\"segment\":\"s\"",
		"{\"segment\":\"s\",\"input\":\"i\",\"month\":\"2019\",\"selection\":"
		"\"0000000000000000\",\"status\":\"running\",\"rows\":0,\"attempt\":1}",
		"{\"segment\":\"s\",\"input\":\"i\",\"month\":\"2019-10\",\"selection\":"
		"\"0000000000000000\",\"status\":\"done\",\"rows\":0,\"attempt\":1}"};
	struct run_state state;

	cr_assert_not(run_state_read(SPAN_NULL, &state));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		cr_assert_not(run_state_read(span_of(values[i]), &state), "%s", values[i]);
}

/* ---- the newest time of a topic */

static struct topic_clock clock_now;
static int64_t latest_us;

static void take(const char *key, const char *time, const char *header, const char *header_value)
{
	char value[128];
	struct header headers[2] = {{span_of(header), span_of(header_value)},
	                            {SPAN("event_time"), span_of(time)}};
	struct input_record record = {.key = span_of(key),
	                              .headers = headers,
	                              .header_count = header ? 2 : 0};

	snprintf(value, sizeof(value), "{\"event_time\":\"%s\",\"user_id\":1}", time);
	record.value = span_of(value);
	topic_clock_take(&clock_now, &record, latest_us);
}

static void begin_clock(void)
{
	cr_assert(time_parse(SPAN("2020-01-01 00:00:00"), &latest_us));
	topic_clock_init(&clock_now);
}

static const char *newest(void)
{
	static char text[32];

	if (topic_clock_newest(&clock_now) == TOPIC_CLOCK_NONE)
		return "none";
	time_format_plain(topic_clock_newest(&clock_now), text);
	return text;
}

TestSuite(topic_clock, .init = begin_clock);

Test(topic_clock, an_empty_topic_has_no_time)
{
	cr_assert_str_eq(newest(), "none");
	take("a", "not a time", NULL, NULL);
	cr_assert_str_eq(newest(), "none");
}

Test(topic_clock, the_newest_time_is_one_that_two_keys_have_reached)
{
	take("a", "2019-10-01 10:00:00 UTC", NULL, NULL);
	cr_assert_str_eq(newest(), "2019-10-01 10:00:00");
	take("b", "2019-12-01 10:00:00 UTC", NULL, NULL);
	cr_assert_str_eq(newest(), "2019-10-01 10:00:00");
	take("b", "2019-12-01 11:00:00 UTC", NULL, NULL);
	cr_assert_str_eq(newest(), "2019-10-01 10:00:00");
	take("c", "2019-10-02 10:00:00 UTC", NULL, NULL);
	cr_assert_str_eq(newest(), "2019-10-02 10:00:00");
	take("c", "2020-10-02 10:00:00 UTC", NULL, NULL);
	cr_assert_str_eq(newest(), "2019-10-02 10:00:00", "beyond the present");
}

Test(topic_clock, controls_and_source_clocks_announce_times)
{
	take("", "2019-10-05 10:00:00", "control", "begin");
	cr_assert_str_eq(newest(), "2019-10-05 10:00:00");
	take("", "2019-10-06 10:00:00", "control", "jump");
	cr_assert_str_eq(newest(), "2019-10-06 10:00:00");
	take("", "2019-10-09 10:00:00", "control", "end");
	cr_assert_str_eq(newest(), "2019-10-06 10:00:00");
	take("a", "2019-12-09 10:00:00", "source_clock", "2019-10-07T00:00:00Z");
	cr_assert_str_eq(newest(), "2019-10-07 00:00:00");
	take("a", "2019-10-08 10:00:00", "source_clock", "");
	cr_assert_str_eq(newest(), "2019-10-08 10:00:00", "empty: the record's own time");
}

static void take_json(const char *event_time, const char *header, const char *value)
{
	char json[128];
	struct header headers[] = {{span_of(header ? header : ""), span_of(value)}};
	struct input_record record = {
		.key = SPAN("a"),
		.headers = headers,
		.header_count = header ? 1 : 0,
	};

	snprintf(json, sizeof(json), "{\"event_time\":%s}", event_time);
	record.value = span_of(json);
	topic_clock_take(&clock_now, &record, latest_us);
}

Test(topic_clock, an_epoch_is_the_own_time_of_a_record_as_for_bronze_sink)
{
	static const struct {
		const char *event_time, *want;
	} epochs[] = {
		{"\"1570446000\"", "2019-10-07 11:00:00"},
		{"1570446001", "2019-10-07 11:00:01"},
		{"1570446002000", "2019-10-07 11:00:02"},
		{"1570446003.5", "2019-10-07 11:00:03.5"},
		{"\"1570446004000000\"", "2019-10-07 11:00:04"},
		{"true", "2019-10-07 11:00:04"},
		{"12", "2019-10-07 11:00:04"},
	};

	for (size_t i = 0; i < sizeof(epochs) / sizeof(epochs[0]); i++) {
		take_json(epochs[i].event_time, "source_clock", "");
		cr_assert_str_eq(newest(), epochs[i].want, "%s", epochs[i].event_time);
	}
}
