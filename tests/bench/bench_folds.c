/* CPU time and memory allocations per event of the pure parts of producer, bronze-sink and
 * funnel-aggregator, in one process without Kafka: the floor of each service. Generated rows become
 * raw records, bronze events, partials, visits and totals. Each step runs over all records before
 * the next step begins, in commits of COMMIT records, as tasks of the services do.
 *
 *   bench_folds [EVENTS] [COMMIT]     defaults: 500000 30000
 *
 * Each step is a function of its own, so `tests/bench/instructions` can count its instructions,
 * which do not depend on other load of the machine. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/memory.h"
#include "base/span.h"
#include "bronze_fold.h"
#include "event/clock.h"
#include "event/event.h"
#include "event/window.h"
#include "generator.h"
#include "merge_fold.h"
#include "message.h"
#include "row.h"
#include "session_fold.h"
#include "stages.h"
#include "stream/outbox.h"
#include "stream/record.h"
#include "stream/task.h"
#include "wire/frame.h"
#include "wire/topics.h"

#define PARTITIONS 4
#define RECORD_MS  INT64_C(1767225600000) /* 2026-01-01: all records have this time */
#define START_US   INT64_C(1569888000000000)
#define ROLLUPS    "1m:all 1m:category1 1h:category 1d:all 1d:category 1d:brand"
#define STEP       __attribute__((noinline)) /* so that a profile names it */

/* ---- allocations: of this process, by replacing the functions of the C library */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static int64_t allocations;

void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	allocations++;
	return __libc_realloc(old, size);
}

/* ---- records between two steps */

static const struct output_context context = {"bench_folds",
                                              {[TOPIC_BRONZE_EVENTS] = PARTITIONS,
                                               [TOPIC_DEAD_LETTER] = PARTITIONS,
                                               [TOPIC_LATE_EVENTS] = PARTITIONS,
                                               [TOPIC_COUNTS] = PARTITIONS,
                                               [TOPIC_SESSION_FUNNELS] = PARTITIONS,
                                               [TOPIC_FUNNEL_PARTIALS] = PARTITIONS,
                                               [TOPIC_AGGREGATED_EVENTS] = PARTITIONS},
                                              {11, 12, 13, 14, 15, 16, 17},
                                              NULL};

struct stream {
	enum topic_id topic;
	struct outbox partitions[PARTITIONS];
};

static void stream_take(struct stream *stream, const struct outbox *box)
{
	for (size_t i = 0; i < box->count; i++) {
		const struct output *output = &box->at[i];

		if (output->topic == stream->topic)
			outbox_add(&stream->partitions[output->partition], output->topic,
			           output->partition, output->key, output->value, output->headers,
			           output->header_count);
	}
}

static int64_t stream_count(const struct stream *stream)
{
	int64_t count = 0;

	for (int p = 0; p < PARTITIONS; p++)
		count += (int64_t)stream->partitions[p].count;
	return count;
}

static void stream_free(struct stream *stream)
{
	for (int p = 0; p < PARTITIONS; p++)
		outbox_free(&stream->partitions[p]);
}

static struct input_record record_at(const struct stream *stream, int32_t partition, size_t i)
{
	const struct output *stored = &stream->partitions[partition].at[i];
	struct input_record record = {
		.topic = span_of(topic_of(stream->topic)->suffix),
		.offset = (int64_t)i,
		.timestamp_ms = RECORD_MS,
		.partition = partition,
		.key = stored->key,
		.value = stored->value,
		.body = stored->value,
		.headers = stored->headers,
		.header_count = stored->header_count,
	};

	if (stream->topic != TOPIC_RAW_EVENTS && record.body.at)
		record.body = (struct span){record.value.at + FRAME_BYTES,
		                            record.value.len - FRAME_BYTES};
	return record;
}

/* ---- measuring */

struct measure {
	double cpu_s;
	int64_t allocations;
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure_begin(struct measure *measure)
{
	measure->allocations -= allocations;
	measure->cpu_s -= cpu_seconds();
}

static void measure_end(struct measure *measure)
{
	measure->cpu_s += cpu_seconds();
	measure->allocations += allocations;
}

static void print(const char *step, const struct measure *measure, int64_t events)
{
	printf("step=%s ns_per_event=%.0f allocations_per_event=%.4f\n", step,
	       measure->cpu_s * 1e9 / (double)events,
	       (double)measure->allocations / (double)events);
}

/* ---- the steps */

/* False: there are no more rows. */
STEP static bool step_generate(struct generator *generator, struct generated_row *made)
{
	enum generator_result result = generator_next(generator, made);

	if (result == GENERATOR_NO_MEMORY)
		memory_exhausted();
	return result == GENERATOR_ROW;
}

STEP static void step_message(struct message *message, struct message_headers *headers,
                              const struct row *row)
{
	static const struct message_form form = {.partition_count = PARTITIONS};

	message_make(message, row, &form);
	message_headers_make(headers, message);
}

STEP static void step_apply(struct task *task, const struct stream *in, size_t from, size_t to,
                            struct outbox *out)
{
	for (size_t i = from; i < to; i++) {
		struct input_record record = record_at(in, task->params.partition, i);

		record.followed = i + 1 < to;
		task_apply(task, &record, out);
	}
}

STEP static void step_flush(struct task *tasks, struct outbox *out)
{
	for (int p = 0; p < PARTITIONS; p++)
		task_flush(&tasks[p], out);
}

static struct generator *new_generator(int64_t events)
{
	struct generator_config config = {.events = events,
	                                  .seed = 42,
	                                  .start_us = START_US,
	                                  .duplicates_ppm = 10000};
	struct generator *generator = generator_new(&config);

	if (!generator)
		memory_exhausted();
	return generator;
}

/* What the generator itself takes. */
static struct measure measure_generator(int64_t events)
{
	struct generator *generator = new_generator(events);
	struct generated_row made;
	struct measure measure = {0, 0};

	measure_begin(&measure);
	while (step_generate(generator, &made))
		;
	measure_end(&measure);
	generator_free(generator);
	return measure;
}

/* Rows of a generator as raw records. The source clock is the newest time so far. */
static void fill_raw(struct stream *raw, struct generator *generator)
{
	struct message *message = xzalloc(1, sizeof(*message));
	struct message_headers headers;
	struct generated_row made;
	struct row row;
	int64_t clock_us = INT64_MIN;

	for (int64_t n = 1; step_generate(generator, &made); n++) {
		row_clear(&row);
		memcpy(row.fields, made.fields, sizeof(row.fields));
		row.event_time_us = made.event_time_us;
		row.source_file = "generated.csv";
		row.position.row = n;
		clock_us = made.event_time_us > clock_us ? made.event_time_us : clock_us;
		message->source_clock_us = clock_us;
		step_message(message, &headers, &row);
		outbox_add(&raw->partitions[message->partition], TOPIC_RAW_EVENTS,
		           message->partition, message->key, message->value, headers.at,
		           headers.count);
	}
	free(message);
}

/* The step "message" with the copy of each record; without the generator. */
static void run_message(struct stream *raw, int64_t events)
{
	struct measure alone = measure_generator(events), measure = {0, 0};
	struct generator *generator = new_generator(events);

	measure_begin(&measure);
	fill_raw(raw, generator);
	measure_end(&measure);
	generator_free(generator);
	measure.cpu_s -= alone.cpu_s;
	measure.allocations -= alone.allocations;
	print("message", &measure, stream_count(raw));
}

/* One commit: up to `count` records of the partitions together, which take turns of 1,000 as the
 * client library returns them. False: there are no more. */
static bool commit(struct task *tasks, const struct stream *in, int64_t count, struct outbox *box,
                   struct measure measures[2])
{
	bool any = true;
	int64_t left = count;

	measure_begin(&measures[0]);
	while (any && left > 0) {
		any = false;
		for (int p = 0; p < PARTITIONS && left > 0; p++) {
			size_t from = (size_t)tasks[p].position, to = in->partitions[p].count;

			to = to - from > 1000 ? from + 1000 : to;
			step_apply(&tasks[p], in, from, to, box);
			left -= (int64_t)(to - from);
			any |= to > from;
		}
	}
	measure_end(&measures[0]);
	measure_begin(&measures[1]);
	step_flush(tasks, box);
	measure_end(&measures[1]);
	return any;
}

static void start_tasks(struct task tasks[PARTITIONS], const struct fold_ops *ops,
                        const void *config)
{
	for (int p = 0; p < PARTITIONS; p++) {
		struct task_params params = {.ops = ops,
		                             .fold_config = config,
		                             .partition = p,
		                             .partition_count = PARTITIONS,
		                             .fingerprint = "bench",
		                             .block_records = TASK_BLOCK_RECORDS};

		task_start(&tasks[p], &params, 0);
	}
}

static void run(const char *name, const struct fold_ops *ops, const void *config,
                const struct stream *in, struct stream *next, int64_t commit_records,
                int64_t events)
{
	struct measure measures[2] = {{0, 0}, {0, 0}};
	struct task tasks[PARTITIONS];
	struct outbox box = {0};
	int64_t outputs = 0;
	char flush[64];
	bool more = true;

	start_tasks(tasks, ops, config);
	while (more) {
		more = commit(tasks, in, commit_records, &box, measures);
		outputs += (int64_t)box.count;
		if (next)
			stream_take(next, &box);
		for (int p = 0; p < PARTITIONS; p++)
			task_committed(&tasks[p]);
		outbox_clear(&box);
	}
	print(name, &measures[0], events);
	snprintf(flush, sizeof(flush), "%s_flush", name);
	print(flush, &measures[1], events);
	printf("step=%s outputs_per_event=%.3f\n", name, (double)outputs / (double)events);
	for (int p = 0; p < PARTITIONS; p++)
		task_free(&tasks[p]);
	outbox_free(&box);
}

static void run_folds(struct stream *raw, const struct session_fold_config *session,
                      int64_t commit_records)
{
	struct bronze_fold_config bronze = {.outputs = &context,
	                                    .partition_count = PARTITIONS,
	                                    .dedup_horizon_us = 7 * US_PER_DAY};
	struct merge_fold_config merge = {.outputs = &context,
	                                  .source_count = PARTITIONS,
	                                  .grace_us = session->grace_us};
	struct stream events = {.topic = TOPIC_BRONZE_EVENTS},
		      partials = {.topic = TOPIC_FUNNEL_PARTIALS};
	int64_t count;

	run("bronze", &bronze_fold_ops, &bronze, raw, &events, commit_records, stream_count(raw));
	count = stream_count(&events);
	run("session", &session_fold_ops, session, &events, &partials, commit_records, count);
	run("merge", &merge_fold_ops, &merge, &partials, NULL, commit_records, count);
	stream_free(&events);
	stream_free(&partials);
}

int main(int argc, char **argv)
{
	int64_t events = argc > 1 ? strtoll(argv[1], NULL, 10) : 500000,
		commit_records = argc > 2 ? strtoll(argv[2], NULL, 10) : 30000;
	struct session_fold_config session = {.outputs = &context,
	                                      .disorder_us = 5 * US_PER_SECOND,
	                                      .grace_us = 10 * US_PER_MINUTE};
	struct stream raw = {.topic = TOPIC_RAW_EVENTS};
	struct err err;

	if (events < 1 || commit_records < 1) {
		fprintf(stderr, "bench_folds: expected numbers of events and of records above 0\n");
		return 64;
	}
	if (!rollups_parse(ROLLUPS, &session.rollups, &err) ||
	    !stages_parse("view,cart,purchase", &session.stages, &err)) {
		fprintf(stderr, "bench_folds: %s\n", err.message);
		return 70;
	}
	run_message(&raw, events);
	run_folds(&raw, &session, commit_records);
	stream_free(&raw);
	return 0;
}
