/* Inputs that people have (tests/cases), through the producer, bronze-sink and the session half of
 * the aggregator, without Kafka: rows, duplicates and dead letters by reason; and the same events,
 * on time and late, for 1, 4 and 12 partitions. `make cases` runs them on the real parts. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/span.h"
#include "base/timetext.h"
#include "bronze_fold.h"
#include "event/event_values.h"
#include "event/reason.h"
#include "event/window.h"
#include "feed.h"
#include "fold_kit.h"
#include "mapping.h"
#include "message.h"
#include "row_reader.h"
#include "session_fold.h"
#include "source.h"
#include "stages.h"
#include "stream/fold.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/task.h"
#include "unit/fold_kit.h"
#include "wire/partitioner.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/topics.h"

#define PARTITIONS_MAX_HERE 12
#define NOW_US              (INT64_C(1796000000) * US_PER_SECOND) /* time of the records: 2026 */

struct outcome {
	bool refused; /* by the producer, before or after rows were sent; err says why */
	struct err err;
	struct counts counts; /* of all partitions of bronze-sink */
	int64_t late;
	uint64_t digest; /* of the ids of bronze events, and of late ones, in any order */
	char details[4096];
};

struct pipe {
	struct bronze_fold_config bronze_config;
	struct session_fold_config session_config;
	void *bronze[PARTITIONS_MAX_HERE], *session[PARTITIONS_MAX_HERE];
	struct counts counts[PARTITIONS_MAX_HERE];
	struct outbox raw_out, bronze_out;
	int64_t offset, now_us; /* now_us: the records' own time */
	int32_t partitions;
	struct outcome *outcome;
};

static void pipe_open(struct pipe *pipe, int32_t partitions, struct outcome *outcome)
{
	struct err err;

	*pipe = (struct pipe){.partitions = partitions, .now_us = NOW_US, .outcome = outcome};
	pipe->bronze_config = (struct bronze_fold_config){.outputs = kit_context(),
	                                                  .partition_count = partitions,
	                                                  .dedup_horizon_us = 7 * US_PER_DAY};
	pipe->session_config.outputs = kit_context();
	pipe->session_config.disorder_us = 5 * US_PER_SECOND;
	pipe->session_config.grace_us = 10 * US_PER_MINUTE;
	cr_assert(
		rollups_parse("1m:all 1h:category 1d:brand", &pipe->session_config.rollups, &err));
	cr_assert(stages_parse("view,cart,purchase", &pipe->session_config.stages, &err));
	for (int32_t p = 0; p < partitions; p++) {
		pipe->bronze[p] = bronze_fold_ops.new(&pipe->bronze_config, p);
		pipe->session[p] = session_fold_ops.new(&pipe->session_config, p);
		session_fold_ops.restored(pipe->session[p]);
	}
}

static void pipe_close(struct pipe *pipe)
{
	for (int32_t p = 0; p < pipe->partitions; p++) {
		bronze_fold_ops.free(pipe->bronze[p]);
		session_fold_ops.free(pipe->session[p]);
	}
	outbox_free(&pipe->raw_out);
	outbox_free(&pipe->bronze_out);
}

static void add_digest(struct outcome *outcome, struct span body, uint64_t salt)
{
	struct bronze_event bronze;
	uint64_t halves[2];

	cr_assert(bronze_decode(body, &bronze, NULL));
	memcpy(halves, bronze.event_id, sizeof(halves));
	outcome->digest += mix64(halves[0] ^ salt) + mix64(halves[1]);
}

static void take_dead_letter(struct outcome *outcome, const struct output *output)
{
	struct span reason = kit_header(output, "__connect.errors.exception.class.name"),
		    text = kit_header(output, "__connect.errors.exception.message");
	size_t len = strlen(outcome->details);

	snprintf(outcome->details + len, sizeof(outcome->details) - len, "%.*s: %.*s\n",
	         (int)reason.len, reason.at, (int)text.len, text.at);
}

/* One bronze record through the session half. */
static void apply_bronze(struct pipe *pipe, const struct output *output)
{
	struct counts counts = {0};
	struct input_record record = {.topic = SPAN("bronze"),
	                              .offset = pipe->offset++,
	                              .timestamp_ms = pipe->now_us / 1000,
	                              .partition = output->partition,
	                              .key = output->key,
	                              .value = output->value,
	                              .headers = output->headers,
	                              .header_count = output->header_count};

	if (record.value.at)
		record.body = kit_body(output);
	outbox_clear(&pipe->bronze_out);
	session_fold_ops.apply(pipe->session[output->partition], &record, &counts,
	                       &pipe->bronze_out);
	pipe->outcome->late += counts.late;
	if (record.value.at)
		add_digest(pipe->outcome, record.body, (uint64_t)counts.late);
	outbox_clear(&pipe->bronze_out);
	session_fold_ops.flush(pipe->session[output->partition], &pipe->bronze_out);
}

static void apply_raw(struct pipe *pipe, struct input_record record)
{
	record.topic = SPAN("raw");
	record.offset = pipe->offset++;
	record.timestamp_ms = pipe->now_us / 1000;
	record.body = record.value;
	outbox_clear(&pipe->raw_out);
	bronze_fold_ops.apply(pipe->bronze[record.partition], &record,
	                      &pipe->counts[record.partition], &pipe->raw_out);
	for (size_t i = 0; i < pipe->raw_out.count; i++) {
		const struct output *output = &pipe->raw_out.at[i];

		if (output->topic == TOPIC_BRONZE_EVENTS)
			apply_bronze(pipe, output);
		else if (output->topic == TOPIC_DEAD_LETTER)
			take_dead_letter(pipe->outcome, output);
	}
}

static void announce_all(struct pipe *pipe, const char *kind, int64_t time_us)
{
	char time[32];
	struct header headers[] = {{SPAN("control"), span_of(kind)},
	                           {SPAN("segment"), SPAN("case")},
	                           {SPAN("event_time"), {time, time_format_iso(time_us, time)}}};

	for (int32_t p = 0; p < pipe->partitions; p++)
		apply_raw(pipe, (struct input_record){.partition = p,
		                                      .headers = headers,
		                                      .header_count = 3});
}

static void send_all(struct pipe *pipe, struct feed *feed)
{
	struct message_headers headers;
	const struct message *message;
	int64_t time_us;
	bool pause;

	for (; (message = feed_message(feed)); feed_advance(feed)) {
		switch (feed_announce(feed, &time_us, &pause)) {
		case FEED_BEGIN: announce_all(pipe, "begin", time_us); break;
		case FEED_JUMP: announce_all(pipe, "jump", time_us); break;
		case FEED_NOTHING: break;
		}
		message_headers_make(&headers, message);
		apply_raw(pipe, (struct input_record){.partition = message->partition,
		                                      .key = message->key,
		                                      .value = message->value,
		                                      .headers = headers.at,
		                                      .header_count = headers.count});
	}
}

static void add_counts(struct outcome *outcome, const struct pipe *pipe)
{
	for (int32_t p = 0; p < pipe->partitions; p++) {
		const struct counts *counts = &pipe->counts[p];

		outcome->counts.records_in += counts->records_in;
		outcome->counts.records_out += counts->records_out;
		outcome->counts.duplicates += counts->duplicates;
		for (int r = 0; r < REASON_COUNT; r++)
			outcome->counts.dead[r] += counts->dead[r];
	}
}

static int64_t dead_of(const struct outcome *outcome)
{
	int64_t dead = 0;

	for (int r = 0; r < REASON_COUNT; r++)
		dead += outcome->counts.dead[r];
	return dead;
}

/* A replay of one input. format: NULL is the default. by_time: it is sorted first, with little
 * memory. */
static struct outcome replay_as(const char *path, const struct row_format *format, bool by_time,
                                int32_t partitions)
{
	const struct feed_params params = {INT64_C(946684800) * US_PER_SECOND, true, 7 * US_PER_DAY,
	                                   false};
	struct null_words words;
	const struct message_form form = {.partition_count = partitions, .null_words = &words};
	struct outcome outcome = {0};
	struct source *source = source_files_open(path, format, 0, &outcome.err);
	bool good = source && (!by_time || source_sort(source, "/tmp", 8192, &outcome.err));
	struct feed *feed = good ? feed_new(source, &params, &outcome.err) : NULL;
	struct pipe pipe;

	cr_assert(null_words_read(NULL_WORDS_DEFAULT, &words, NULL));
	pipe_open(&pipe, partitions, &outcome);
	if (feed)
		feed_set_latest(feed, NOW_US + US_PER_DAY);
	if (!feed || !feed_start(feed, &form, NULL, &outcome.err)) {
		outcome.refused = true;
	} else {
		send_all(&pipe, feed);
		outcome.refused = !feed_ended_well(feed, &outcome.err);
	}
	add_counts(&outcome, &pipe);
	cr_assert_eq(outcome.counts.records_in,
	             outcome.counts.records_out + outcome.counts.duplicates + dead_of(&outcome));
	feed_free(feed);
	source_free(source);
	pipe_close(&pipe);
	return outcome;
}

static struct outcome replay(const char *path, int32_t partitions)
{
	return replay_as(path, NULL, false, partitions);
}

static const int32_t partition_counts[] = {1, 4, 12};

#define CASES "tests/cases/"

struct replay_case {
	const char *name; /* with " by time": sorted */
	int64_t bronze, duplicates, dead;
	const char *details[4]; /* texts that the dead letters' reasons have */
};

static const struct replay_case replays[] = {
	{"sparse-shop.csv", 629, 655, 0, {NULL}},
	{"small-shop-every-8h.csv", 90, 0, 0, {NULL}},
	{"one-user-every-6h.csv", 17, 0, 0, {NULL}},
	{"last-row-after-two-days.csv", 4, 0, 0, {NULL}},
	{"bom-crlf.csv", 3, 0, 0, {NULL}},
	{"pandas-index.csv", 3, 0, 0, {NULL}},
	{"latin1.csv", 0, 0, 3, {"invalid_utf8"}},
	{"near-repeats.csv", 3, 2, 0, {NULL}},
	{"over-midnight.csv", 3, 0, 0, {NULL}},
	{"overlapping-parts", 629, 655, 0, {NULL}},
	{"overlapping-parts by time", 629, 655, 0, {NULL}},
	{"newest-first.csv by time", 144, 156, 0, {NULL}},
	{"time-formats.csv", 16, 0, 2, {"invalid_event_time"}},
	{"float-ids.csv", 10, 0, 1, {"invalid_user_id"}},
	{"null-words.csv", 13, 0, 0, {NULL}},
	{"prices.csv", 9, 0, 6, {"invalid_price", "needs decimal = , in MAPPING"}},
	{"python-nan.jsonl", 16, 0, 0, {NULL}},
	{"kaggle.csv.zip", 3, 0, 0, {NULL}},
	{"zip-named.csv", 3, 0, 0, {NULL}},
	{"semicolon.csv", 3, 0, 0, {NULL}},
	{"upper-case-header.csv", 3, 0, 0, {NULL}},
	{"spaced-header.csv", 3, 0, 0, {NULL}},
	{"six-columns.csv", 1, 0, 0, {NULL}},
};

Test(cases, replays_give_the_right_rows_on_any_number_of_partitions)
{
	for (size_t i = 0; i < sizeof(replays) / sizeof(replays[0]); i++) {
		const struct replay_case *c = &replays[i];
		uint64_t digest = 0;
		int64_t late = 0;
		char path[256];

		snprintf(path, sizeof(path), CASES "%.*s", (int)strcspn(c->name, " "), c->name);
		for (size_t p = 0; p < 3; p++) {
			struct outcome outcome =
				replay_as(path, NULL, strstr(c->name, " by time") != NULL,
			                  partition_counts[p]);

			cr_assert_not(outcome.refused, "%s: %s", c->name, outcome.err.message);
			cr_assert(outcome.counts.records_out == c->bronze &&
			                  outcome.counts.duplicates == c->duplicates &&
			                  dead_of(&outcome) == c->dead,
			          "%s on %d partitions: %" PRId64 " bronze, %" PRId64
			          " duplicates, %" PRId64 " dead\n%s",
			          c->name, partition_counts[p], outcome.counts.records_out,
			          outcome.counts.duplicates, dead_of(&outcome), outcome.details);
			for (size_t d = 0; d < 4 && c->details[d]; d++)
				cr_assert_not_null(strstr(outcome.details, c->details[d]),
				                   "%s: no '%s' in\n%s", c->name, c->details[d],
				                   outcome.details);
			if (p == 0) {
				digest = outcome.digest;
				late = outcome.late;
			}
			cr_assert_eq(outcome.digest, digest,
			             "%s: other events, or others are late, on %d partitions",
			             c->name, partition_counts[p]);
			cr_assert_eq(outcome.late, late);
		}
	}
}

static const struct {
	const char *name, *encoding, *mapping;
	int64_t bronze, dead;
	const char *details[5];
} settings[] = {
	{"latin1.csv", "latin1", NULL, 3, 0, {NULL}},
	{"utf16.csv", "utf-16", NULL, 3, 0, {NULL}},
	{"other-schema.csv",
         "",
         "user_id=UserID,user_session=SessionID,event_time=Timestamp,event_type=EventType,"
         "product_id=ProductID,price=Amount;view=product_view,cart=add_to_cart",
         5,
         5,
         {"unmapped_event_type", "missing_price", "missing_user_id", "missing_event_type",
          "missing_product_id"}},
	{"other-schema.csv",
         "",
         "user_id=UserID,user_session=SessionID,event_time=Timestamp,event_type=EventType,"
         "product_id=ProductID,price=Amount;view=product_view,cart=add_to_cart;skip=page_view",
         5,
         4,
         {NULL}},
};

Test(cases, settings_make_other_files_readable)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		for (size_t p = 0; p < 3; p++) {
			struct row_format format = row_format_default;
			struct outcome outcome;
			char path[256];

			snprintf(path, sizeof(path), CASES "%s", settings[i].name);
			format.encoding = settings[i].encoding;
			if (settings[i].mapping)
				format.mapping = mapping_new(settings[i].mapping, NULL);
			outcome = replay_as(path, &format, false, partition_counts[p]);
			mapping_free(format.mapping);
			cr_assert_not(outcome.refused, "%s: %s", settings[i].name,
			              outcome.err.message);
			cr_assert_eq(outcome.counts.records_out, settings[i].bronze, "%s\n%s",
			             settings[i].name, outcome.details);
			cr_assert_eq(dead_of(&outcome), settings[i].dead, "%s\n%s",
			             settings[i].name, outcome.details);
			for (size_t d = 0; d < 5 && settings[i].details[d]; d++)
				cr_assert_not_null(strstr(outcome.details, settings[i].details[d]),
				                   "no '%s' in\n%s", settings[i].details[d],
				                   outcome.details);
		}
}

static const struct {
	const char *name, *says[4];
} refusals[] = {
	{"newest-first.csv", {"runs backwards", "--order time", "nothing was sent"}},
	{"orders-table.csv", {"event_type"}},
	{"other-schema.csv", {"event_time, event_type, product_id, user_id", "user_id=UserID"}},
	{"utf16.csv", {"UTF-16", "iconv -f UTF-16 -t UTF-8"}},
	{"lone-cr.csv", {"carriage return", "tr '"}},
};

Test(cases, inputs_that_cannot_be_replayed_are_refused_with_the_reason)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct outcome outcome;
		char path[256];

		snprintf(path, sizeof(path), CASES "%s", refusals[i].name);
		outcome = replay(path, 4);
		cr_assert(outcome.refused, "%s", refusals[i].name);
		cr_assert_eq(outcome.counts.records_in, 0, "%s", refusals[i].name);
		for (size_t s = 0; s < 4 && refusals[i].says[s]; s++)
			cr_assert_not_null(strstr(outcome.err.message, refusals[i].says[s]),
			                   "%s: '%s' lacks '%s'", refusals[i].name,
			                   outcome.err.message, refusals[i].says[s]);
	}
}

/* ---- live traffic: records of another producer, without an announced time */

struct live {
	struct pipe pipe;
	struct outcome outcome;
};

/* One record with the present time; returns whether it became an event that is not late. */
static bool send_live(struct live *live, int64_t user, int64_t event_us, int64_t now_us)
{
	static int64_t product;
	struct outcome *outcome = &live->outcome;
	int64_t late = outcome->late, out;
	char session[32], time[32], value[512];
	struct span key = {session, (size_t)snprintf(session, sizeof(session), "u%" PRId64, user)};
	int32_t p = partition_of(key, live->pipe.partitions);
	int len;

	time_format_iso(event_us, time);
	len = snprintf(value, sizeof(value),
	               "{\"event_time\":\"%s\",\"event_type\":\"view\",\"product_id\":%" PRId64
	               ",\"user_id\":%" PRId64 ",\"price\":1.5,\"user_session\":\"%s\"}",
	               time, ++product, user, session);
	out = live->pipe.counts[p].records_out;
	live->pipe.now_us = now_us;
	apply_raw(&live->pipe,
	          (struct input_record){.partition = p, .key = key, .value = {value, (size_t)len}});
	return live->pipe.counts[p].records_out == out + 1 && outcome->late == late;
}

Test(cases, live_users_with_clocks_that_are_years_off_cost_the_others_nothing)
{
	for (size_t i = 0; i < 3; i++)
		for (uint64_t seed = 1; seed <= 5; seed++) {
			struct rng rng = {seed};
			static struct live live;
			int64_t now_us = NOW_US;

			live = (struct live){0};
			pipe_open(&live.pipe, partition_counts[i], &live.outcome);
			for (int n = 0; n < 20000; n++) {
				/* a user's rate is 1 to 1,000 times that of the slowest */
				int64_t user = rng_between(&rng, 1, rng_between(&rng, 1, 1000));
				int64_t off_us =
					user % 37 ? 0 : rng_between(&rng, -3000, 3000) * US_PER_DAY;
				bool good = send_live(&live, user, now_us + off_us, now_us);

				cr_assert(good || user % 37 == 0,
				          "%d partitions, seed %" PRIu64
				          ": event %d of user %" PRId64,
				          partition_counts[i], seed, n, user);
				now_us += rng_chance(&rng, 1000) ? rng_below(&rng, 3 * US_PER_DAY)
				                                 : rng_below(&rng, US_PER_MINUTE);
			}
			pipe_close(&live.pipe);
		}
}

Test(cases, live_traffic_whose_first_event_is_of_2015_loses_nothing)
{
	for (size_t i = 0; i < 3; i++) {
		static struct live live;

		live = (struct live){0};
		pipe_open(&live.pipe, partition_counts[i], &live.outcome);
		send_live(&live, 1, INT64_C(1420070407) * US_PER_SECOND, NOW_US);
		for (int64_t user = 2; user <= 11; user++)
			cr_assert(send_live(&live, user, NOW_US + user, NOW_US + user),
			          "user %" PRId64, user);
		pipe_close(&live.pipe);
	}
}

/* ---- generated files */

struct file_shape {
	const char *label;
	int64_t step_us, pause_us, disorder_us, late_us; /* late_us: of one row in 50 */
	int wrong;                                       /* one row in this many has a wrong time */
};

static void write_file(const char *path, const struct file_shape *shape, struct rng *rng)
{
	FILE *file = fopen(path, "w");
	int64_t front_us = KIT_DAY0_US;
	char time[32];

	fputs("event_time,event_type,product_id,price,user_id,user_session,category_id,"
	      "category_code,brand\n",
	      file);
	for (int i = 0; i < 3000; i++) {
		int64_t time_us, user = rng_between(rng, 1, 400);

		front_us += rng_below(rng, 2 * shape->step_us);
		if (rng_chance(rng, 500))
			front_us += shape->pause_us;
		time_us = front_us - rng_below(rng, shape->disorder_us + 1);
		if (rng_chance(rng, 50))
			time_us -= shape->late_us;
		if (shape->wrong && rng_chance(rng, shape->wrong)) {
			time_us += rng_between(rng, -400, 400) * US_PER_DAY;
			user = 1000 + rng_below(rng, 20);
		}
		time_format_plain(time_us, time);
		fprintf(file, "%s UTC,view,%d,1.00,%" PRId64 ",s%" PRId64 ",,,\n", time, i + 1,
		        user, user);
	}
	fclose(file);
}

Test(cases, generated_files_give_the_same_rows_on_any_number_of_partitions)
{
	static const struct file_shape shapes[] = {
		{"dense", US_PER_SECOND, 0, 0, 0, 0},
		{"dense, disordered, late rows", US_PER_SECOND, 0, 30 * US_PER_SECOND, US_PER_HOUR,
	         0},
		{"with pauses and wrong clocks", 5 * US_PER_SECOND, 3 * US_PER_DAY,
	         5 * US_PER_SECOND, US_PER_HOUR, 90},
		{"sparse", 4 * US_PER_HOUR, 0, 0, 0, 0},
		{"sparse, with wrong clocks", 4 * US_PER_HOUR, 50 * US_PER_DAY, 0, 0, 90},
	};
	char path[] = "/tmp/cases_XXXXXX";
	struct rng rng = {11};

	close(mkstemp(path));
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		struct outcome one, many;

		write_file(path, &shapes[s], &rng);
		one = replay(path, 1);
		cr_assert_not(one.refused, "%s: %s", shapes[s].label, one.err.message);
		if (!shapes[s].wrong) {
			cr_assert_eq(one.counts.records_out, 3000, "%s: %s", shapes[s].label,
			             one.details);
			cr_assert(shapes[s].late_us ? one.late > 20 : one.late == 0,
			          "%s: %" PRId64 " late", shapes[s].label, one.late);
		}
		/* 3,000 rows, of which one in 90 is wrong: no other row is lost. */
		cr_assert(one.counts.records_out >= 3000 - 3000 / 90 * 2, "%s: %s", shapes[s].label,
		          one.details);
		for (size_t p = 1; p < 3; p++) {
			many = replay(path, partition_counts[p]);
			cr_assert_eq(many.digest, one.digest, "%s: %d partitions", shapes[s].label,
			             partition_counts[p]);
			cr_assert_eq(many.late, one.late);
		}
	}
	unlink(path);
}

/* ---- streams in the order of their times */

/* Like nothing_of_a_random_stream_in_order_is_refused_or_late in source_clock_test.c, as a file.
 * `past` rows of other users are 900 days back. Returns the other rows. */
static int write_stream(const char *path, struct rng *rng, int past)
{
	FILE *file = fopen(path, "w");
	int count = (int)rng_between(rng, 2, rng_chance(rng, 5) ? 1600 : 80);
	int64_t front_us = KIT_DAY0_US, users = past ? 1 : rng_between(rng, 1, 12), user = 1;
	int64_t step_us = US_PER_SECOND << rng_between(rng, 0, 17);
	int64_t stay = rng_between(rng, 1, 100), pause = rng_between(rng, 5, 60);
	char time[32];

	fputs("event_time,event_type,product_id,user_id\n", file);
	for (int i = 0; i < count; i++) {
		bool early = front_us < KIT_DAY0_US + 1500 * US_PER_DAY; /* all are before NOW_US */
		bool paused = early && !past && rng_chance(rng, pause) && i + 2 < count;

		front_us += rng_below(rng, paused  ? 300 * US_PER_DAY
		                           : early ? step_us
		                                   : US_PER_MINUTE);
		if (rng_chance(rng, stay))
			user = rng_between(rng, 1, users);
		if (users > 1 && i + 12 >= count)
			user = 1 + i % 2;
		time_format_plain(front_us, time);
		fprintf(file, "%s UTC,view,%d,%" PRId64 "\n", time, i + 1, user);
		if (past && i % 20 == 19 && i < 20 * past) {
			time_format_plain(KIT_DAY0_US - 900 * US_PER_DAY + i * US_PER_SECOND, time);
			fprintf(file, "%s UTC,view,%d,%d\n", time, 5000 + i, 100 + i);
		}
	}
	fclose(file);
	return count;
}

Test(cases, nothing_of_a_stream_in_order_is_refused_or_late_on_any_number_of_partitions)
{
	char path[] = "/tmp/cases_XXXXXX";

	close(mkstemp(path));
	for (uint64_t seed = 1; seed <= 120; seed++) {
		struct rng rng = {seed};
		int past = seed % 4 == 0 ? (int)rng_between(&rng, 1, 30) : 0;
		int count = write_stream(path, &rng, past);

		for (size_t p = 0; p < 3; p++) {
			struct outcome outcome = replay(path, partition_counts[p]);

			cr_assert_not(outcome.refused, "seed %" PRIu64 ": %s", seed,
			              outcome.err.message);
			cr_assert_eq(outcome.counts.records_out, count,
			             "seed %" PRIu64 ", %d partitions: %" PRId64 " of %d\n%s", seed,
			             partition_counts[p], outcome.counts.records_out, count,
			             outcome.details);
			cr_assert_eq(outcome.late, 0, "seed %" PRIu64 ", %d partitions", seed,
			             partition_counts[p]);
		}
	}
	unlink(path);
}

/* ---- an event far ahead of the clock */

static struct input_record live_view(char text[512], int64_t offset, int64_t user, int64_t time_us)
{
	static char key[16];
	char time[32];
	int len;

	time_format_iso(time_us, time);
	len = snprintf(text, 512,
	               "{\"event_time\":\"%s\",\"event_type\":\"view\",\"product_id\":%" PRId64
	               ",\"user_id\":%" PRId64 ",\"user_session\":\"a\"}",
	               time, offset + 1, user);
	return (struct input_record){
		.topic = SPAN("raw"),
		.offset = offset,
		.timestamp_ms = NOW_US / 1000,
		.key = {key, 1},
		.value = {text, (size_t)len},
		.body = {text, (size_t)len},
	};
}

/* A row 30 days ahead, then 60 days of normal rows. Days of event time between the clock and the
 * oldest record that a restore reads. */
static void run_with_one_ahead(const struct fold_ops *ops, const void *config, bool decode,
                               int64_t *ahead_is_needed_until_day)
{
	struct task_params params = {ops, config, 0, 1, "f", 1, NULL};
	struct bronze_fold_config bronze_config = {.outputs = kit_context(),
	                                           .partition_count = 1,
	                                           .dedup_horizon_us = 7 * US_PER_DAY};
	void *bronze = bronze_fold_ops.new(&bronze_config, 0);
	struct outbox out = {0}, events = {0};
	struct counts counts = {0};
	struct task task;
	char text[512];

	task_start(&task, &params, 0);
	*ahead_is_needed_until_day = -1;
	for (int64_t hour = 0; hour < 60 * 24; hour++) {
		int64_t day = hour == 30 ? 30 : 0;
		struct input_record record =
			live_view(text, hour, 1 + hour % 5,
		                  KIT_DAY0_US + hour * US_PER_HOUR + day * US_PER_DAY);

		if (decode) { /* the session half reads what bronze-sink writes */
			outbox_clear(&events);
			bronze_fold_ops.apply(bronze, &record, &counts, &events);
			cr_assert_eq(events.count, 1);
			record.value = events.at[0].value;
			record.body = kit_body(&events.at[0]);
		}
		task_apply(&task, &record, &out);
		task_flush(&task, &out);
		task_committed(&task);
		outbox_clear(&out);
		if (hour > 30 && task_restore_from(&task) <= 30)
			*ahead_is_needed_until_day = hour / 24;
	}
	task_free(&task);
	bronze_fold_ops.free(bronze);
	outbox_free(&out);
	outbox_free(&events);
}

Test(cases, an_event_far_ahead_holds_a_restore_back_for_31_days_and_its_horizon_only)
{
	struct bronze_fold_config bronze = {.outputs = kit_context(),
	                                    .partition_count = 1,
	                                    .dedup_horizon_us = 7 * US_PER_DAY};
	struct session_fold_config session = {.outputs = kit_context(),
	                                      .disorder_us = 5 * US_PER_SECOND,
	                                      .grace_us = 10 * US_PER_MINUTE};
	struct err err;
	int64_t day;

	cr_assert(rollups_parse("1m:all 1d:brand", &session.rollups, &err));
	cr_assert(stages_parse("view,cart,purchase", &session.stages, &err));
	run_with_one_ahead(&bronze_fold_ops, &bronze, false, &day);
	cr_assert(day >= 31 && day <= 31 + 8, "bronze-sink: until day %" PRId64, day);
	run_with_one_ahead(&session_fold_ops, &session, true, &day);
	cr_assert(day >= 31 && day <= 31 + 2, "session half: until day %" PRId64, day);
}
