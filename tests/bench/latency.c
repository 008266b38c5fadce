/* Latency of every event: from its append to the raw topic until a read_committed consumer has an
 * aggregate that includes it. Produces events at a steady rate while the services run, and reads
 * their output.
 *
 * Aggregates are cumulative. So the k-th event of a window and group is visible with the first
 * update that counts k events. Every category here is in one partition only, and a partition keeps
 * the order. So the k-th event of 1m:category1 is known exactly. That is the figure to quote. In
 * 1m:all, which sums over partitions, the k-th event is an approximation.
 *
 * The producer has the settings of our own producer. The clock starts at the time of the raw record
 * (LogAppendTime, truncated to milliseconds, so up to 1 ms too early). A second figure starts just
 * before the produce call. The clock stops when the consumer's poll returns. All is on one machine,
 * with one clock.
 *
 * Limits: all samples are in memory; at most RUN_SECONDS_MAX seconds. Categories have a tag of the
 * run, and the earlier counts of 1m:all are subtracted, so several runs may use the same topics. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_id.h"
#include "event/window.h"
#include "kafka/kafka_client.h"
#include "kafka/kafka_conf.h"
#include "kafka/kafka_topic.h"
#include "service/config.h"
#include "wire/frame.h"
#include "wire/partitioner.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_measures.h"

#define RUN_SECONDS_MAX          3600
#define WINDOWS_MAX              (RUN_SECONDS_MAX / 60 + 2)
#define PARTITIONS_MAX           16
#define CATEGORIES_PER_PARTITION 4
#define CATEGORIES_MAX           (PARTITIONS_MAX * CATEGORIES_PER_PARTITION)
#define SESSIONS                 2000
#define USERS_FROM               500000000
#define BATCH                    2000
#define DRAIN_US                 (20 * US_PER_SECOND)
#define OPEN_TIMEOUT_MS          10000

/* The topics in which an event is looked for. */
enum place { PLACE_BRONZE, PLACE_PARTIALS, PLACE_AGGREGATES, PLACE_TOTALS, PLACE_COUNT };
static const struct {
	const char *topic_suffix, *label;
} places[PLACE_COUNT] = {
	[PLACE_BRONZE] = {"bronze_events", "bronze event"},
	[PLACE_PARTIALS] = {"funnel_partials", "partial 1m:category1"},
	[PLACE_AGGREGATES] = {"aggregated_events", "aggregate 1m:category1"},
	[PLACE_TOTALS] = {"aggregated_events", "aggregate 1m:all (k-th)"},
};

struct settings {
	struct kafka_config kafka;
	int64_t rate, measure_us, warmup_us, limit_us;
	bool watch_all;
};

/* Events of one window and group, in order. The first `visible` of them were seen. */
struct track {
	uint32_t *events;
	size_t count, capacity, visible;
	int64_t base; /* events that the total had before this run */
};

struct sample {
	int64_t produced_us, appended_ms; /* appended_ms: 0 until acknowledged */
	int64_t seen_us[PLACE_COUNT];     /* 0: not seen yet */
};

struct session {
	char id[37];
	int64_t user_id;
	int32_t partition;
	int left; /* events that it still produces */
	bool started;
};

struct bench {
	struct settings settings;
	rd_kafka_t *producer, *consumer;
	rd_kafka_queue_t *queue;
	char raw_topic[256], watched_topic[PLACE_COUNT][256];
	int32_t partitions, ends_awaited;
	uint32_t run_tag;
	uint64_t random;
	int64_t first_window_us;
	struct session sessions[SESSIONS];
	struct sample *samples;
	size_t produced, capacity, failed;
	/* [0] partials and [1] aggregates by category. A bronze event has its number as
	 * product_id. */
	struct track by_category[2][WINDOWS_MAX][CATEGORIES_MAX], totals[WINDOWS_MAX];
};

#define OPTION(name, type, member, fallback, min, max, help)                                   \
	{                                                                                      \
		name, type, offsetof(struct settings, member), fallback, min, max, help, NULL, \
			NULL                                                                   \
	}
static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct settings, kafka);
static const struct config_option options[] = {
	OPTION("RATE", CONFIG_INTEGER, rate, "5000", 1, 1000000, "events a second"),
	OPTION("MEASURE", CONFIG_DURATION, measure_us, "20s", US_PER_SECOND,
               RUN_SECONDS_MAX *US_PER_SECOND - 10 * US_PER_MINUTE, "how long to measure"),
	OPTION("WARMUP", CONFIG_DURATION, warmup_us, "5s", 0, 10 * US_PER_MINUTE,
               "how long before that, not measured"),
	OPTION("LIMIT", CONFIG_DURATION, limit_us, "0s", 0, US_PER_MINUTE,
               "fail if the 99th percentile is above this; 0s: only print"),
	OPTION("WATCH_ALL", CONFIG_BOOLEAN, watch_all, "false", 0, 0,
               "also watch bronze events and partials, which adds load"),
	{0},
};
static const struct config_option *const tables[] = {kafka_options, options, NULL};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

static uint64_t next_random(struct bench *bench)
{
	bench->random += UINT64_C(0x9e3779b97f4a7c15);
	return mix64(bench->random);
}

static bool is_watched(const struct bench *bench, enum place place)
{
	return bench->settings.watch_all || place == PLACE_AGGREGATES || place == PLACE_TOTALS;
}

/* ---- producing */

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
	struct bench *bench = opaque;
	size_t number = (size_t)(uintptr_t)message->_private;

	(void)producer;
	if (message->err)
		bench->failed++;
	else
		bench->samples[number].appended_ms = rd_kafka_message_timestamp(message, NULL);
}

static void session_begin(struct bench *bench, struct session *session)
{
	uint8_t bytes[EVENT_ID_BYTES];
	uint64_t high = next_random(bench), low = next_random(bench);

	memcpy(bytes, &high, 8);
	memcpy(bytes + 8, &low, 8);
	event_id_format(bytes, session->id);
	session->user_id = USERS_FROM + (int64_t)(next_random(bench) % 1000000);
	session->partition = partition_of(span_of(session->id), bench->partitions);
	session->left = 1 + (int)(next_random(bench) % 9);
	session->started = false;
}

/* One of the four top categories of the partition, chosen by the session id. */
static int category_of(const struct session *session)
{
	return session->partition * CATEGORIES_PER_PARTITION +
	       session->id[0] % CATEGORIES_PER_PARTITION;
}

static void track_add(struct track *track, uint32_t number)
{
	GROW(track->events, track->count, track->capacity);
	track->events[track->count++] = number;
}

static bool produce_one(struct bench *bench, struct err *err)
{
	struct session *session = &bench->sessions[next_random(bench) % SESSIONS];
	int64_t time_us = now_us();
	uint64_t dice = next_random(bench) % 100;
	size_t window = (size_t)((time_us - bench->first_window_us) / US_PER_MINUTE);
	const char *type = !session->started || dice < 85 ? "view"
	                   : dice < 95                    ? "cart"
	                                                  : "purchase";
	char time_text[32], value[512];
	rd_kafka_resp_err_t code;
	int len;

	time_format_plain(time_us, time_text);
	len = snprintf(value, sizeof(value),
	               "{\"event_time\":\"%s UTC\",\"event_type\":\"%s\",\"product_id\":%zu,"
	               "\"category_id\":2103807459595387724,"
	               "\"category_code\":\"r%" PRIx32
	               "x%d.kind%d\",\"brand\":\"brand%d\",\"price\":%d.%02d,\"user_id\":%" PRId64
	               ",\"user_session\":\"%s\"}",
	               time_text, type, bench->produced + 1, bench->run_tag, category_of(session),
	               (int)(dice % 10), (int)(next_random(bench) % 200), (int)dice, (int)dice,
	               session->user_id, session->id);
	GROW(bench->samples, bench->produced, bench->capacity);
	bench->samples[bench->produced] = (struct sample){.produced_us = time_us};
	code = rd_kafka_producev(bench->producer, RD_KAFKA_V_TOPIC(bench->raw_topic),
	                         RD_KAFKA_V_PARTITION(session->partition),
	                         RD_KAFKA_V_KEY(session->id, strlen(session->id)),
	                         RD_KAFKA_V_VALUE(value, (size_t)len),
	                         RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	                         RD_KAFKA_V_OPAQUE((void *)(uintptr_t)bench->produced),
	                         RD_KAFKA_V_END);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, ERR_FATAL, "produce: %s", rd_kafka_err2str(code));
	for (size_t i = 0; i < 2; i++)
		track_add(&bench->by_category[i][window][category_of(session)],
		          (uint32_t)bench->produced);
	track_add(&bench->totals[window], (uint32_t)bench->produced);
	bench->produced++;
	session->started = true;
	if (--session->left == 0)
		session_begin(bench, session);
	return true;
}

/* ---- reading the outputs */

static void see(struct bench *bench, enum place place, uint32_t number, int64_t at_us)
{
	if (!bench->samples[number].seen_us[place])
		bench->samples[number].seen_us[place] = at_us;
}

static void see_up_to(struct bench *bench, struct track *track, enum place place, int64_t counted,
                      int64_t at_us)
{
	while (track->visible < track->count && (int64_t)track->visible + track->base < counted)
		see(bench, place, track->events[track->visible++], at_us);
}

static int64_t events_in(const struct measures *measures)
{
	int64_t sum = 0;

	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		sum += measures->events[i];
	return sum;
}

/* The number after the tag of this run in a category; -1 if it is not a category of this run. */
static int category_read(const struct bench *bench, struct span group)
{
	char prefix[32];
	size_t len = (size_t)snprintf(prefix, sizeof(prefix), "r%" PRIx32 "x", bench->run_tag);
	int64_t number;

	if (group.len <= len || memcmp(group.at, prefix, len) != 0)
		return -1;
	group = (struct span){group.at + len, group.len - len};
	return number_parse_span(group, CATEGORIES_MAX - 1, &number) ? (int)number : -1;
}

static void see_row(struct bench *bench, enum place place, struct span rollup, struct span group,
                    int64_t start_us, const struct measures *measures, int64_t at_us)
{
	int64_t window = (start_us - bench->first_window_us) / US_PER_MINUTE;
	int category = category_read(bench, group);

	if (start_us < bench->first_window_us || window >= WINDOWS_MAX)
		return;
	if (category >= 0 && span_is(rollup, "1m:category1"))
		see_up_to(bench, &bench->by_category[place == PLACE_AGGREGATES][window][category],
		          place, events_in(measures), at_us);
	if (place == PLACE_AGGREGATES && span_is(rollup, "1m:all")) {
		struct track *total = &bench->totals[window];

		if (!total->count && !bench->produced)
			total->base = events_in(measures);
		see_up_to(bench, total, PLACE_TOTALS, events_in(measures), at_us);
	}
}

static bool see_message(struct bench *bench, const rd_kafka_message_t *message, int64_t at_us)
{
	const char *topic = rd_kafka_topic_name(message->rkt);
	struct span body = {NULL, 0};
	struct bronze_event bronze;
	struct aggregate aggregate;
	struct partial partial;
	int32_t id;

	if (!message->payload)
		return true; /* a control, or a deleted key */
	if (frame_parse((struct span){message->payload, message->len}, &id, &body) != FRAME_ID)
		return false;
	if (strcmp(topic, bench->watched_topic[PLACE_BRONZE]) == 0) {
		if (!bronze_decode(body, &bronze, NULL))
			return false;
		if (bronze.event.product_id <= (int64_t)bench->produced)
			see(bench, PLACE_BRONZE, (uint32_t)bronze.event.product_id - 1, at_us);
	} else if (strcmp(topic, bench->watched_topic[PLACE_PARTIALS]) == 0) {
		if (!partial_decode(body, &partial, NULL))
			return false;
		see_row(bench, PLACE_PARTIALS, partial.rollup, partial.group_value,
		        partial.window_start_us, &partial.measures, at_us);
	} else {
		if (!aggregate_decode(body, &aggregate, NULL))
			return false;
		see_row(bench, PLACE_AGGREGATES, aggregate.rollup, aggregate.group_value,
		        aggregate.window_start_us, &aggregate.measures, at_us);
	}
	return true;
}

static bool read_outputs(struct bench *bench, int timeout_ms, struct err *err)
{
	static rd_kafka_message_t *messages[BATCH];
	ssize_t count = rd_kafka_consume_batch_queue(bench->queue, timeout_ms, messages, 1);
	int64_t at_us;
	bool ok = true;

	if (count > 0)
		count += rd_kafka_consume_batch_queue(bench->queue, 0, messages + 1, BATCH - 1);
	at_us = now_us();
	for (ssize_t i = 0; i < count; i++) {
		if (messages[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			bench->ends_awaited--;
		else if (messages[i]->err)
			ok = err_set(err, ERR_FATAL, "consume: %s",
			             rd_kafka_message_errstr(messages[i]));
		else if (!see_message(bench, messages[i], at_us))
			ok = err_set(err, ERR_FATAL,
			             "%s/%" PRId32 " at %" PRId64 ": invalid record",
			             rd_kafka_topic_name(messages[i]->rkt), messages[i]->partition,
			             messages[i]->offset);
		rd_kafka_message_destroy(messages[i]);
	}
	return ok;
}

/* ---- opening and running */

static bool open_producer(struct bench *bench, struct err *err)
{
	rd_kafka_conf_t *conf = kafka_conf_new(&bench->settings.kafka, KAFKA_PRODUCER_IDEMPOTENT,
	                                       "bench-latency", NULL, err);

	if (!conf)
		return false;
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_opaque(conf, bench);
	bench->producer = kafka_client_new(conf, KAFKA_PRODUCER_IDEMPOTENT, err);
	return bench->producer != NULL;
}

static bool watch(struct bench *bench, rd_kafka_topic_partition_list_t *list, enum place place,
                  struct err *err)
{
	int32_t count;

	snprintf(bench->watched_topic[place], sizeof(bench->watched_topic[place]), "%s%s",
	         bench->settings.kafka.topic_prefix, places[place].topic_suffix);
	if (place == PLACE_TOTALS || !is_watched(bench, place))
		return true;
	if (!kafka_partition_count(bench->producer, bench->watched_topic[place], OPEN_TIMEOUT_MS,
	                           &count, err))
		return false;
	for (int32_t i = 0; i < count; i++) {
		int64_t low, high;
		rd_kafka_resp_err_t code =
			rd_kafka_query_watermark_offsets(bench->producer,
		                                         bench->watched_topic[place], i, &low,
		                                         &high, OPEN_TIMEOUT_MS);

		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			return err_set(err, ERR_FATAL, "%s: %s", bench->watched_topic[place],
			               rd_kafka_err2str(code));
		/* Aggregates from the log start: the earlier counts of 1m:all are needed. */
		rd_kafka_topic_partition_list_add(list, bench->watched_topic[place], i)->offset =
			place == PLACE_AGGREGATES ? low : high;
	}
	bench->ends_awaited += count;
	return true;
}

static bool open_consumer(struct bench *bench, struct err *err)
{
	static const char *const extra[] = {"group.id", "bench-latency", NULL};
	rd_kafka_conf_t *conf =
		kafka_conf_new(&bench->settings.kafka, KAFKA_CONSUMER, "bench-latency", extra, err);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	bool ok = conf && (bench->consumer = kafka_client_new(conf, KAFKA_CONSUMER, err));

	for (enum place place = 0; ok && place < PLACE_COUNT; place++)
		ok = watch(bench, list, place, err);
	if (ok && rd_kafka_assign(bench->consumer, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		ok = err_set(err, ERR_FATAL, "assign: %s", rd_kafka_err2str(rd_kafka_last_error()));
	rd_kafka_topic_partition_list_destroy(list);
	if (ok)
		bench->queue = rd_kafka_queue_get_consumer(bench->consumer);
	return ok;
}

static bool bench_open(struct bench *bench, struct err *err)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	bench->run_tag = (uint32_t)wall.tv_sec;
	bench->random = (uint64_t)wall.tv_nsec ^ (uint64_t)wall.tv_sec << 32;
	bench->first_window_us = time_floor(now_us(), US_PER_MINUTE);
	snprintf(bench->raw_topic, sizeof(bench->raw_topic), "%sraw_events",
	         bench->settings.kafka.topic_prefix);
	if (!open_producer(bench, err) ||
	    !kafka_partition_count(bench->producer, bench->raw_topic, OPEN_TIMEOUT_MS,
	                           &bench->partitions, err))
		return false;
	if (bench->partitions > PARTITIONS_MAX)
		return err_set(err, ERR_OPERATOR,
		               "%s has %" PRId32 " partitions: expected at most %d",
		               bench->raw_topic, bench->partitions, PARTITIONS_MAX);
	if (!open_consumer(bench, err))
		return false;
	for (size_t i = 0; i < SESSIONS; i++)
		session_begin(bench, &bench->sessions[i]);
	while (bench->ends_awaited > 0)
		if (!read_outputs(bench, 100, err))
			return false;
	return true;
}

static bool produce_steadily(struct bench *bench, struct err *err)
{
	int64_t start_us = now_us();
	int64_t total = bench->settings.rate *
	                (bench->settings.measure_us + bench->settings.warmup_us) / US_PER_SECOND;

	while ((int64_t)bench->produced < total) {
		int64_t due = (now_us() - start_us) * bench->settings.rate / US_PER_SECOND;

		while ((int64_t)bench->produced < due && (int64_t)bench->produced < total)
			if (!produce_one(bench, err))
				return false;
		rd_kafka_poll(bench->producer, 0);
		if (!read_outputs(bench, 1, err))
			return false;
	}
	return true;
}

static size_t count_missing(const struct bench *bench)
{
	size_t missing = 0;

	for (size_t i = 0; i < bench->produced; i++) {
		const struct sample *sample = &bench->samples[i];
		bool seen = sample->appended_ms != 0;

		for (enum place place = 0; place < PLACE_COUNT; place++)
			seen = seen && (sample->seen_us[place] || !is_watched(bench, place));
		missing += !seen;
	}
	return missing;
}

static bool drain(struct bench *bench, struct err *err)
{
	int64_t deadline_us = now_us() + DRAIN_US;
	size_t missing;

	while ((missing = count_missing(bench)) > 0 && now_us() < deadline_us) {
		rd_kafka_poll(bench->producer, 0);
		if (!read_outputs(bench, 10, err))
			return false;
	}
	if (missing || bench->failed)
		return err_set(err, ERR_FATAL,
		               "%zu of %zu events were not seen within %d s; %zu were not produced",
		               missing, bench->produced, (int)(DRAIN_US / US_PER_SECOND),
		               bench->failed);
	return true;
}

/* ---- the report */

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Prints one row. Returns the 99th percentile in microseconds. */
static int64_t report(const struct bench *bench, enum place place, bool from_append)
{
	size_t first = (size_t)(bench->settings.rate * bench->settings.warmup_us / US_PER_SECOND),
	       count = bench->produced - first;
	int64_t *latencies = xrealloc(NULL, count * sizeof(*latencies)), p99;

	for (size_t i = 0; i < count; i++) {
		const struct sample *sample = &bench->samples[first + i];

		latencies[i] = sample->seen_us[place] -
		               (from_append ? sample->appended_ms * 1000 : sample->produced_us);
	}
	qsort(latencies, count, sizeof(*latencies), compare);
	p99 = latencies[count * 99 / 100];
	/* The integer divisions are of indices, not of times. */
	printf("%-26s %-14s %8zu %8.1f %8.1f %8.1f %8.1f\n", places[place].label,
	       from_append ? "raw append" : "produce call", count,
	       /* NOLINTNEXTLINE(bugprone-integer-division) */
	       (double)latencies[count / 2] / 1000, (double)latencies[count * 9 / 10] / 1000,
	       (double)p99 / 1000, (double)latencies[count - 1] / 1000);
	free(latencies);
	return p99;
}

static bool report_all(const struct bench *bench, struct err *err)
{
	int64_t p99_us;

	printf("%" PRId64 " events/s for %" PRId64 " s after %" PRId64
	       " s of warm-up; every event seen (%zu); milliseconds\n",
	       bench->settings.rate, bench->settings.measure_us / US_PER_SECOND,
	       bench->settings.warmup_us / US_PER_SECOND, bench->produced);
	printf("%-26s %-14s %8s %8s %8s %8s %8s\n", "visible as", "since", "events", "p50", "p90",
	       "p99", "max");
	for (enum place place = 0; place < PLACE_AGGREGATES; place++)
		if (is_watched(bench, place))
			report(bench, place, true);
	p99_us = report(bench, PLACE_AGGREGATES, true);
	report(bench, PLACE_AGGREGATES, false);
	report(bench, PLACE_TOTALS, true);
	if (bench->settings.limit_us && p99_us > bench->settings.limit_us)
		return err_set(err, ERR_INPUT,
		               "the 99th percentile is %" PRId64 " ms: expected at most %" PRId64
		               " ms (LIMIT)",
		               p99_us / 1000, bench->settings.limit_us / 1000);
	return true;
}

static void bench_close(struct bench *bench)
{
	if (bench->queue)
		rd_kafka_queue_destroy(bench->queue);
	if (bench->consumer) {
		rd_kafka_consumer_close(bench->consumer);
		rd_kafka_destroy(bench->consumer);
	}
	if (bench->producer)
		rd_kafka_destroy(bench->producer);
	for (size_t w = 0; w < WINDOWS_MAX; w++) {
		free(bench->totals[w].events);
		for (size_t c = 0; c < CATEGORIES_MAX; c++) {
			free(bench->by_category[0][w][c].events);
			free(bench->by_category[1][w][c].events);
		}
	}
	free(bench->samples);
	free(bench);
}

int main(int argc, char **argv)
{
	struct bench *bench = xrealloc(NULL, sizeof(*bench));
	struct err err = {0};
	enum config_result result;
	bool ok;

	memset(bench, 0, sizeof(*bench));
	result = config_load(
		tables, "latency",
		"measures from raw append to visible aggregate, with all services running", argc,
		argv, &bench->settings);
	if (result != CONFIG_OK) {
		free(bench);
		return result == CONFIG_HELP_SHOWN ? 0 : 64;
	}
	ok = bench_open(bench, &err) && produce_steadily(bench, &err) && drain(bench, &err) &&
	     report_all(bench, &err);
	if (!ok)
		fprintf(stderr, "latency: %s\n", err.message);
	bench_close(bench);
	return ok ? 0 : 1;
}
