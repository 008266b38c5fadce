#include "sim/pg_input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/timetext.h"
#include "sim/choice.h"
#include "sim/cluster.h"
#include "sim/pg_poison.h"
#include "sim/process.h"
#include "sim/services.h"
#include "sim/substitutes.h"
#include "stream/dead_letter.h"
#include "wire/partitioner.h"
#include "wire/records_aggregate.h"
#include "wire/records_bronze.h"
#include "wire/records_counts.h"
#include "wire/records_visit.h"
#include "wire/topics.h"

#define WRITERS       3
#define FRAME_BYTES   5
#define FIRST_PID     20 /* the oracle of the task loop ignores such ids */
#define LOGS_MAX      32
#define MARKER_US     600000
#define AGAIN_US      4000 /* between records that fill a new topic */
#define DAYS          5
#define LETTERS_MAX   512
#define BASE_US       INT64_C(1569888000000000) /* 2019-10-01 */
#define YEAR_10000_US INT64_C(253402300800000000)

struct writer {
	struct partition_log *logs[LOGS_MAX];
	size_t log_count, marked;
	bool ending, commit;
};

static struct {
	uint64_t seed, drawn;
	uint32_t records, done, numbers, ending;
	int64_t interval_us;
	bool poison;
	int32_t partitions;
	struct writer writers[WRITERS];
	struct writer *writer; /* of the record that is appended; NULL: in no transaction */
	int64_t revision;
	struct {
		int32_t partition;
		bool marked;
	} letters[LETTERS_MAX];
	uint32_t letter_count;
	const struct sim_topic *again; /* most records are of this topic; NULL: of any */
} in;

static uint64_t draw(uint64_t below)
{
	return choice_hash(in.seed, in.drawn++) % below;
}

static struct sim_topic *topic_named(enum topic_id id)
{
	char name[64];

	snprintf(name, sizeof(name), SIM_PREFIX "%s", topic_of(id)->suffix);
	return cluster_topic(name);
}

/* ---- appending */

static void note_log(struct writer *writer, struct partition_log *log)
{
	for (size_t i = 0; i < writer->log_count; i++)
		if (writer->logs[i] == log)
			return;
	writer->logs[writer->log_count++] = log;
}

static int32_t home(enum topic_id id, struct span key)
{
	return partition_of(key, topic_named(id)->partition_count);
}

/* The record goes to `partition` modulo the number of partitions of the topic. */
static void append(enum topic_id id, int32_t partition, struct span key, struct span value,
                   const struct header *headers, size_t header_count)
{
	struct sim_topic *topic = topic_named(id);
	struct partition_log *log = &topic->logs[partition % topic->partition_count];
	struct header *kept = calloc(header_count + 1, sizeof(*kept));
	struct sim_record record = {.key = key,
	                            .value = value,
	                            .headers = kept,
	                            .header_count = header_count,
	                            .time_ms = sim_wallclock_us() / 1000};
	struct batch batch = {.pid = -1, .first_sequence = -1, .records = &record, .count = 1};

	if (header_count)
		memcpy(kept, headers, header_count * sizeof(*kept));
	if (in.writer) {
		batch.pid = FIRST_PID + (in.writer - in.writers);
		batch.transactional = true;
		note_log(in.writer, log);
	}
	(void)log_append(log, &batch);
}

static struct span text_of(const char *prefix, int64_t number)
{
	char text[96];

	snprintf(text, sizeof(text), "%s%" PRId64, prefix, number);
	return span_of(strdup(text));
}

/* NULL most of the time; else a text that PostgreSQL rejects. */
static const char *poison(void)
{
	static const char *const words[] = {PG_POISON_COPY, PG_POISON_APPLY,
	                                    PG_POISON_COPY PG_POISON_ALWAYS,
	                                    PG_POISON_APPLY PG_POISON_ALWAYS};
	uint64_t number = draw(80);

	return in.poison && number < 4 ? words[number] : NULL;
}

/* The id of a schema changes from record to record, as after a writer's upgrade. */
static int32_t schema_id(enum schema_kind kind)
{
	return draw(4) ? sim_registry_id(kind) : sim_registry_other_id(kind);
}

/* An encoded record; sometimes its end is missing. */
static struct span value_of(const struct buffer *buffer)
{
	size_t len = buffer->len;

	if (draw(60) == 0)
		len = FRAME_BYTES + draw(len - FRAME_BYTES);
	return (struct span){buffer->at, len};
}

/* The text; sometimes one that a text of PostgreSQL cannot hold. */
static struct span text_or_bad(struct span text)
{
	static const struct span bad[] = {{"a\0b", 3}, {"\xff\xc3", 2}, {"\xc3\xa4\xc3", 3}};
	uint64_t number = draw(150);

	return number < 3 ? bad[number] : text;
}

/* ---- events */

/* word: NULL, or a text for the brand of every second event, and for the session of the others. */
static struct bronze_event event_new(uint32_t number, int32_t partition, const char *word)
{
	struct bronze_event bronze = {
		.event = {.event_time_us = BASE_US + (int64_t)(number % DAYS) * US_PER_DAY +
	                                   number * INT64_C(1000003),
	                  .product_id = 1 + number % 7,
	                  .user_id = 1 + number % 5,
	                  .price_cents = number % 3 ? (int64_t)number * 37 : -1,
	                  .brand = word && number % 2 ? span_of(word) : SPAN_NULL,
	                  .user_session = word && number % 2 == 0 ? span_of(word) : SPAN_NULL,
	                  .type = (enum event_type)(number % 3)},
		.lineage = {.source_file = SPAN("a.csv"),
	                    .source_row = number + 1,
	                    .raw_offset = in.done,
	                    .raw_time_ms = sim_wallclock_us() / 1000,
	                    .source_clock_us = INT64_MIN,
	                    .raw_partition = partition}};

	for (size_t i = 0; i < EVENT_ID_BYTES; i++)
		bronze.event_id[i] = (uint8_t)(choice_hash(number, i / 8) >> (i % 8 * 8));
	return bronze;
}

static void append_event(int32_t partition)
{
	bool again = in.numbers > 0 && draw(8) == 0;
	uint32_t number = again ? (uint32_t)draw(in.numbers) : in.numbers++;
	struct bronze_event bronze;
	struct buffer value = {0};

	bronze = event_new(number, partition, again ? NULL : poison());
	bronze.event.category_code = text_or_bad(SPAN_NULL);
	if (draw(150) == 0)
		bronze.event.event_time_us = YEAR_10000_US;
	bronze_encode(&value, schema_id(SCHEMA_BRONZE), &bronze);
	append(TOPIC_BRONZE_EVENTS, partition, text_of("session-", number % 9), value_of(&value),
	       NULL, 0);
}

static void append_control(int32_t partition)
{
	struct header headers[] = {{SPAN("control"), SPAN("end")},
	                           {SPAN("segment"), SPAN("segment-1")},
	                           {SPAN("raw_offset"), text_of("", in.done)},
	                           {SPAN("rows"), SPAN("12")}};

	append(TOPIC_BRONZE_EVENTS, partition, SPAN_NULL, SPAN_NULL, headers,
	       draw(4) ? 4 : 1 + draw(3));
}

static void append_late(int32_t partition)
{
	struct header headers[] = {{SPAN("late_for"), text_or_bad(SPAN("1m:all,visit"))},
	                           {SPAN("source_partition"), text_of("", partition)},
	                           {SPAN("source_offset"),
	                            text_of("", draw(4) ? in.done : in.done / 2)}};
	struct bronze_event bronze = event_new((uint32_t)draw(100), partition, poison());
	struct buffer value = {0};

	bronze_encode(&value, schema_id(SCHEMA_LATE), &bronze);
	append(TOPIC_LATE_EVENTS, partition, SPAN("k"), value_of(&value), headers,
	       draw(12) ? 3 : draw(3));
}

/* ---- aggregates, visits, counts */

static int64_t next_revision(void)
{
	in.revision += (int64_t)draw(3);
	return draw(6) ? in.revision : in.revision - (int64_t)draw(20);
}

static void append_aggregate(void)
{
	const char *word = poison();
	int64_t window = (int64_t)draw(4);
	struct span group = word ? text_of(word, 0) : text_of("group-", (int64_t)draw(4));
	struct aggregate aggregate = {.rollup = SPAN("1h:category1"),
	                              .window_start_us = BASE_US + window * US_PER_HOUR,
	                              .window_end_us = BASE_US + (window + 1) * US_PER_HOUR,
	                              .revision = next_revision(),
	                              .final = draw(5) == 0};
	struct buffer value = {0};

	if (word) { /* a key of its own: see README.md, "Limits" */
		char text[96];

		snprintf(text, sizeof(text), "%s %u", word, in.done);
		group = span_of(strdup(text));
	}
	aggregate.group_value = group = text_or_bad(group);
	aggregate.measures.events[0] = (int64_t)draw(1000);
	aggregate.measures.revenue_cents = (int64_t)draw(100000);
	aggregate_encode(&value, schema_id(SCHEMA_AGGREGATE), &aggregate);
	append(TOPIC_AGGREGATED_EVENTS, home(TOPIC_AGGREGATED_EVENTS, group), SPAN("k"),
	       value_of(&value), NULL, 0);
}

/* Some sessions are UUIDs. One has two spellings, which are two sessions. */
static struct span some_session(void)
{
	static const char *const uuids[] = {"72d76fde-8bb3-4e00-8c23-a032dfed738c",
	                                    "72D76FDE-8bb3-4e00-8c23-a032dfed738c"};
	uint64_t number = draw(6);

	return number < 2 ? span_of(uuids[number]) : text_of("session-", (int64_t)number);
}

/* Poison is in the session or in the category. It has a key of its own: see README.md, "Limits". */
static void append_visit(void)
{
	const char *word = poison();
	struct span session = word ? text_of(draw(2) ? word : "own-", in.done) : some_session();
	struct visit visit = {.user_session = session,
	                      .start_us = BASE_US + (int64_t)draw(2) * US_PER_DAY,
	                      .user_id = 1,
	                      .products = (int64_t)draw(9),
	                      .revision = next_revision(),
	                      .furthest_stage = (int32_t)draw(3),
	                      .view_to_cart_ms = -1,
	                      .view_to_purchase_ms = -1,
	                      .deleted = draw(4) == 0};
	struct buffer value = {0};

	visit.end_us = visit.start_us + ((int64_t)draw(1000) - 30) * 1000;
	visit.first_category = word ? span_of(word) : SPAN_NULL;
	visit.last_category = text_or_bad(draw(2) ? SPAN("a.b") : SPAN_NULL);
	visit.events[0] = (int64_t)draw(50);
	visit_encode(&value, schema_id(SCHEMA_VISIT), &visit);
	append(TOPIC_SESSION_FUNNELS, home(TOPIC_SESSION_FUNNELS, session), session,
	       value_of(&value), NULL, 0);
}

static void append_counts(void)
{
	struct counts_record counts = {.service = SPAN("bronze-sink"),
	                               .topic = SPAN("sim_raw_events"),
	                               .partition = (int32_t)draw((uint64_t)in.partitions),
	                               .revision = next_revision()};
	struct buffer value = {0};

	counts.counts.records_in = (int64_t)draw(1000);
	counts.counts.dead[1] = (int64_t)draw(3);
	counts.counts.unreadable[1] = (int64_t)draw(3);
	counts.topic = text_or_bad(counts.topic);
	counts_encode(&value, schema_id(SCHEMA_COUNTS), &counts);
	append(TOPIC_COUNTS, 0, text_of("bronze-sink|sim_raw_events|", counts.partition),
	       value_of(&value), NULL, 0);
}

/* ---- dead letters */

/* A marker follows its letter in the same partition, and a letter gets one marker: as redrive does.
 * A letter that has no marker may come twice. */
static uint32_t some_letter(int32_t *partition, bool redriven)
{
	uint32_t number = in.letter_count ? (uint32_t)draw(in.letter_count) : 0;

	if (in.letter_count == LETTERS_MAX ||
	    (in.letter_count && !in.letters[number].marked && (redriven || draw(8) == 0))) {
		in.letters[number].marked |= redriven;
		*partition = in.letters[number].partition;
		return number;
	}
	in.letters[in.letter_count].partition = *partition;
	in.letters[in.letter_count].marked = redriven; /* a marker of a letter that is not there */
	return in.letter_count++;
}

static void append_dead_letter(int32_t partition, bool redriven)
{
	uint32_t number = some_letter(&partition, redriven);
	struct header headers[] = {
		{draw(30) ? SPAN("own") : SPAN("\xffown"),
	         draw(9) ? text_or_bad(SPAN("header")) : SPAN_NULL},
		{SPAN("__connect.errors.topic"), SPAN("sim_raw_events")},
		{SPAN("__connect.errors.partition"), draw(60) ? SPAN("0") : SPAN("none")},
		{SPAN("__connect.errors.offset"), text_of("", number)},
		{SPAN("__connect.errors.connector.name"), SPAN("bronze-sink")},
		{SPAN("__connect.errors.exception.class.name"), SPAN("invalid_price")},
		{SPAN("__connect.errors.exception.message"), text_or_bad(SPAN("price"))},
		{SPAN("redriven"), SPAN("0/3")}};
	const char *word = redriven ? NULL : poison();
	struct span value = redriven ? SPAN_NULL
	                    : word   ? span_of(word)
	                             : text_of("bytes ", in.done);

	append(TOPIC_DEAD_LETTER, partition, SPAN("k"), value, headers,
	       redriven   ? 8
	       : draw(10) ? 7
	                  : draw(6));
}

static void append_unreadable(int32_t partition)
{
	static const char unknown_schema[] = {0, 0, 1, 3, 0, 'x'};
	static const char broken[] = {0, 0, 0, 0, 1, 'x'};
	static const enum topic_id topics[] = {TOPIC_BRONZE_EVENTS, TOPIC_AGGREGATED_EVENTS,
	                                       TOPIC_SESSION_FUNNELS, TOPIC_LATE_EVENTS,
	                                       TOPIC_DEAD_LETTER};
	char *other_type = calloc(1, 8); /* the id of another record type; no key has it */
	struct span values[] = {SPAN_NULL,
	                        SPAN("text"),
	                        {unknown_schema, sizeof(unknown_schema)},
	                        {broken, sizeof(broken)},
	                        {other_type, 8}};

	other_type[4] = (char)sim_registry_id(SCHEMA_PARTIAL);
	append(topics[draw(5)], partition, SPAN("k"), values[draw(5)], NULL, 0);
}

/* ---- transactions of the writers */

static void mark(void *context)
{
	struct writer *writer = context;

	log_append_marker(writer->logs[writer->marked], FIRST_PID + (writer - in.writers), 0,
	                  writer->commit);
	if (++writer->marked < writer->log_count) {
		timer_at(sim_now_us() + (int64_t)draw(MARKER_US / 4), mark, writer);
		return;
	}
	*writer = (struct writer){.ending = false};
	in.ending--;
}

static void end_writer(struct writer *writer)
{
	if (writer->ending || !writer->log_count)
		return;
	writer->ending = true;
	writer->commit = draw(5) != 0;
	in.ending++;
	timer_at(sim_now_us() + (int64_t)draw(MARKER_US), mark, writer);
}

/* A kind of record of the topic, among those of append_one. */
static uint64_t kind_of(const struct sim_topic *topic)
{
	return topic == topic_named(TOPIC_BRONZE_EVENTS) ? 0
	       : topic == topic_named(TOPIC_LATE_EVENTS) ? 27
	                                                 : 32;
}

static void append_one(void)
{
	int32_t partition = (int32_t)draw((uint64_t)in.partitions);
	uint64_t kind = in.again && draw(4) ? kind_of(in.again) : draw(40);
	uint64_t number = draw(WRITERS + 1);

	in.writer = number < WRITERS && !in.writers[number].ending ? &in.writers[number] : NULL;
	if (kind < 14)
		append_event(partition);
	else if (kind < 21)
		append_aggregate();
	else if (kind < 27)
		append_visit();
	else if (kind < 30)
		append_late(partition);
	else if (kind < 32)
		append_counts();
	else if (kind < 36)
		append_dead_letter(partition, in.letter_count > 0 && draw(4) == 0);
	else if (kind < 38)
		append_control(partition);
	else
		append_unreadable(partition);
	if (in.writer && draw(6) == 0)
		end_writer(in.writer);
}

static void turn(void *context)
{
	uint32_t burst = 1 + choose(CHOICE_INPUT, 1, 30);

	(void)context;
	for (; burst > 0 && in.done < in.records; burst--, in.done++)
		append_one();
	if (in.done < in.records)
		timer_at(sim_now_us() + (int64_t)draw((uint64_t)in.interval_us * 2 + 1), turn,
		         NULL);
	else
		for (int i = 0; i < WRITERS; i++)
			end_writer(&in.writers[i]);
}

void pg_input_begin(uint64_t seed, uint32_t records, int64_t interval_us, bool with_poison)
{
	memset(&in, 0, sizeof(in));
	in.seed = seed;
	in.records = records;
	in.interval_us = interval_us;
	in.poison = with_poison;
	in.revision = 100;
	in.partitions = topic_named(TOPIC_BRONZE_EVENTS)->partition_count;
	timer_at(sim_now_us(), turn, NULL);
}

void pg_input_again(uint32_t records, const struct sim_topic *topic)
{
	bool over = in.done >= in.records;

	in.again = topic;
	in.interval_us = AGAIN_US;
	in.records = in.done + records;
	if (over)
		turn(NULL);
}

void pg_input_stop(void)
{
	in.records = in.done;
}

bool pg_input_is_complete(void)
{
	return in.done >= in.records && !in.ending;
}
