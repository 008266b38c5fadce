#include "sim/input.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/timetext.h"
#include "sim/choice.h"
#include "sim/cluster.h"
#include "sim/process.h"
#include "sim/story.h"
#include "wire/partitioner.h"

#define BEFORE_US     (30 * US_PER_DAY) /* the first event time, before the clock */
#define SESSIONS      24
#define FOREIGN_PID   7
#define FOREIGN_EVERY 9

static struct {
	struct input_config config;
	struct sim_topic *topic;
	int32_t partitions; /* of the topic at first: its keys stay where they are */
	uint32_t done;
	int64_t front_us;
	uint64_t drawn;
	char repeated[512];
	struct span repeated_key;
	struct partition_log *foreign; /* has an open transaction */
} input;

static uint64_t draw(uint64_t below)
{
	return choice_hash(input.config.seed, input.drawn++) % below;
}

static struct span text_copy(const char *text)
{
	return span_of(strdup(text));
}

static void append(struct span key, struct span value, const struct header *headers,
                   size_t header_count, int32_t partition)
{
	struct header *kept = header_count ? malloc(header_count * sizeof(*kept)) : NULL;
	struct sim_record record = {.key = key,
	                            .value = value,
	                            .headers = kept,
	                            .header_count = header_count,
	                            .time_ms = sim_wallclock_us() / 1000};
	struct partition_log *log = &input.topic->logs[partition];
	bool foreign = input.foreign == log;
	struct batch batch = {.pid = foreign ? FOREIGN_PID : -1,
	                      .transactional = foreign,
	                      .first_sequence = -1,
	                      .records = &record,
	                      .count = 1};

	if (header_count)
		memcpy(kept, headers, header_count * sizeof(*kept));
	(void)log_append(log, &batch);
}

static int32_t home(struct span key)
{
	return partition_of(key, input.partitions);
}

static void event_text(char *out, size_t cap, const char *session, uint64_t user, int64_t time_us)
{
	static const char *const types[] = {"view", "view", "cart", "purchase"};
	static const char *const categories[] = {"\"toys\"", "\"home.garden\"", "null"};
	char time[32];

	time_format_plain(time_us, time);
	snprintf(out, cap,
	         "{\"event_time\":\"%s UTC\",\"event_type\":\"%s\",\"product_id\":%d,"
	         "\"category_id\":1,\"category_code\":%s,\"brand\":\"%s\",\"price\":%d.50,"
	         "\"user_id\":%d,\"user_session\":\"%s\"}",
	         time, types[draw(4)], (int)draw(5) + 1, categories[draw(3)],
	         draw(2) ? "acme" : "globex", (int)draw(90), (int)user, session);
}

static int64_t next_time(void)
{
	uint64_t kind = draw(16);

	input.front_us += (int64_t)draw((uint64_t)input.config.step_us * 2 + 1);
	if (kind == 0)
		input.front_us += (int64_t)draw(6 * (uint64_t)US_PER_HOUR);
	if (kind == 1)
		return input.front_us - (int64_t)draw(2 * (uint64_t)US_PER_HOUR);
	if (kind < 4)
		return input.front_us - (int64_t)draw((uint64_t)US_PER_MINUTE);
	return input.front_us;
}

static void append_event(void)
{
	char session[24], text[512];
	uint64_t number = draw(SESSIONS);
	struct span key;

	snprintf(session, sizeof(session), "session-%d", (int)number);
	event_text(text, sizeof(text), session, 1 + number % 5, next_time());
	key = text_copy(session);
	append(key, text_copy(text), NULL, 0, home(key));
	if (draw(4) == 0) {
		memcpy(input.repeated, text, sizeof(text));
		input.repeated_key = key;
	}
}

static void append_control(int32_t partition)
{
	static const char *const kinds[] = {"begin", "jump", "end", "what"};
	char time[32];
	struct header headers[] = {{SPAN("control"), span_of(kinds[draw(4)])},
	                           {SPAN("event_time"), SPAN_NULL}};

	time_format_iso(input.front_us, time);
	headers[1].value = text_copy(time);
	append(SPAN_NULL, SPAN_NULL, headers, 2, partition);
}

static void append_bad(int32_t partition)
{
	static const char unknown_schema[] = {0, 0, 0, 3, 0, 'x'};

	switch (draw(5)) {
	case 0: append(SPAN("k"), SPAN("{\"event_time\":"), NULL, 0, partition); break;
	case 1: append(SPAN("k"), SPAN_NULL, NULL, 0, partition); break;
	case 2: append(SPAN("k"), SPAN("\x07what"), NULL, 0, partition); break;
	case 3:
		append(SPAN("k"), (struct span){unknown_schema, sizeof(unknown_schema)}, NULL, 0,
		       partition);
		break;
	default:
		if (input.repeated_key.at) /* in a wrong partition */
			append(input.repeated_key, text_copy(input.repeated), NULL, 0,
			       (home(input.repeated_key) + 1) % input.partitions);
		break;
	}
}

void input_append_unreadable(struct partition_log *log)
{
	static const char value[] = {0, 0, 0, 3, 0, 'x'};
	struct sim_record record = {.key = SPAN("k"),
	                            .value = {value, sizeof(value)},
	                            .time_ms = sim_wallclock_us() / 1000};
	struct batch batch = {.pid = -1, .first_sequence = -1, .records = &record, .count = 1};

	story("another client writes an unreadable record to %s/%d", log->topic, log->partition);
	(void)log_append(log, &batch);
}

static void foreign_end(bool commit)
{
	if (!input.foreign || input.topic->missing)
		return;
	log_append_marker(input.foreign, FOREIGN_PID, 0, commit);
	input.foreign = NULL;
}

static void foreign_turn(void)
{
	if (input.foreign)
		foreign_end(draw(3) != 0);
	else
		input.foreign = &input.topic->logs[draw((uint64_t)input.partitions)];
}

static void append_one(void)
{
	uint64_t kind = draw(24);
	int32_t partition = (int32_t)draw((uint64_t)input.partitions);

	if (draw(FOREIGN_EVERY) == 0)
		foreign_turn();
	if (kind == 0)
		append_control(partition);
	else if (kind < 3)
		append_bad(partition);
	else if (kind < 6 && input.repeated_key.at)
		append(input.repeated_key, text_copy(input.repeated), NULL, 0,
		       home(input.repeated_key));
	else
		append_event();
}

static void turn(void *context)
{
	uint32_t burst = 1 + choose(CHOICE_INPUT, 0, 20);

	(void)context;
	for (; burst > 0 && !input.topic->missing && input.done < input.config.records;
	     burst--, input.done++)
		append_one();
	if (input.done < input.config.records)
		timer_at(sim_now_us() + (int64_t)draw((uint64_t)input.config.interval_us * 2 + 1),
		         turn, NULL);
	else
		foreign_end(true);
}

void input_begin(const struct input_config *config, const char *topic)
{
	memset(&input, 0, sizeof(input));
	input.config = *config;
	input.topic = cluster_topic(topic);
	input.partitions = input.topic->partition_count;
	input.front_us = sim_wallclock_us() - BEFORE_US;
	timer_at(sim_now_us(), turn, NULL);
}

void input_again(void)
{
	bool over = input.done >= input.config.records;

	input.foreign = NULL;
	input.done = 0;
	input.config.interval_us = 0;
	if (over)
		timer_at(sim_now_us(), turn, NULL);
}

bool input_is_complete(void)
{
	return input.done >= input.config.records && !input.foreign;
}
