/* The records that exist are read between two offsets per partition (kafka/topic_reader.h). New
 * ones are read afterwards, from the end offsets on. So no record is printed twice or left out.
 *
 * The last N records that match are found by reading further and further back: the last 2 N offsets
 * of each partition, then 4 times as many, until each partition has N matches or no more records.
 * Ends of transactions take offsets too, so N offsets are rarely N records.
 *
 * Limits: a partition is printed in its order. Several partitions are printed as they arrive; only
 * the last N records are sorted by time. FROM and TO find their offsets by the time index of the
 * log, so a record whose time is out of order in its partition may be left out. */
#include "tail_records.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "kafka/topic_reader.h"
#include "service/stop.h"
#include "tail_decode.h"
#include "tail_last.h"
#include "tail_reader.h"
#include "tail_record.h"

#define POLL_MS    200
#define SILENCE_MS 30000
#define FIRST_BACK 256 /* offsets */
#define FURTHER    4

struct printer {
	const struct tail_config *config;
	const struct tail_request *request;
	struct tail_reader *reader;
	struct tail_decode *decode;
	struct tail_topic topic;
	struct tail_last last; /* limit 0: lines are printed at once */
	struct buffer line;
	int64_t printed;
	bool closed;   /* nobody reads stdout any more */
	bool reported; /* an outage was reported on stderr */
};

/* ---- stdout */

static bool print(struct printer *printer, const char *text, size_t len, struct err *err)
{
	if (fwrite(text, 1, len, stdout) == len && !ferror(stdout)) {
		printer->printed++;
		return true;
	}
	printer->closed = errno == EPIPE;
	return printer->closed ||
	       err_set(err, ERR_RETRY, "cannot write to stdout: %s", strerror(errno));
}

static bool is_done(const struct printer *printer)
{
	return printer->closed || printer->printed >= printer->request->records;
}

/* A pipe whose reader has ended reports an error without a write. */
static void check_stdout(struct printer *printer)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	if (poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLNVAL)))
		printer->closed = true;
}

/* ---- one record */

static bool is_in_time(const struct tail_request *request, const struct input_record *record)
{
	return (request->from_us == INT64_MIN || record->timestamp_ms >= request->from_us / 1000) &&
	       (request->to_us == INT64_MAX || record->timestamp_ms < request->to_us / 1000);
}

/* Writes the line of a record that matches into printer->line; leaves it empty otherwise. */
static bool make_line(struct printer *printer, struct input_record *record, struct err *err)
{
	const struct tail_request *request = printer->request;
	struct tail_record tail;

	printer->line.len = 0;
	if (!is_in_time(request, record))
		return true;
	if ((request->format != TAIL_RAW || tail_filter_is_set(&request->filter)) &&
	    !tail_decode_record(printer->decode, request->topic, record, err))
		return false;
	tail_record_read(&tail, request->topic, record);
	if (tail_filter_takes(&request->filter, &tail))
		tail_record_write(&tail, request->format, &printer->line);
	tail_record_end(&tail);
	return true;
}

static bool take_record(void *context, const struct input_record *given, bool *done,
                        struct err *err)
{
	struct printer *printer = context;
	struct input_record record = *given;
	struct span line;

	if (!make_line(printer, &record, err))
		return false;
	line = (struct span){printer->line.at, printer->line.len};
	if (line.len && printer->last.limit)
		tail_last_add(&printer->last, record.partition, record.offset, record.timestamp_ms,
		              line);
	else if (line.len && !print(printer, line.at, line.len, err))
		return false;
	*done = is_done(printer);
	return true;
}

/* ---- the records that exist */

static bool read_between(struct printer *printer, const int64_t *from, struct err *err)
{
	struct topic_reading reading = {
		.topic = printer->topic.name,
		.partition_count = printer->topic.partitions,
		.from = from,
		.to = printer->topic.to,
		.silence_ms = SILENCE_MS,
		.take = take_record,
		.context = printer,
	};

	return topic_read(&printer->config->kafka, &reading, err);
}

/* Sets where a round begins. False: every partition has enough. */
static bool plan_round(struct printer *printer, int64_t back, int64_t *begin)
{
	const struct tail_topic *topic = &printer->topic;
	bool any = false;

	for (int32_t p = 0; p < topic->partitions; p++) {
		bool enough = begin[p] <= topic->from[p] || tail_last_is_full(&printer->last, p);

		if (enough) {
			begin[p] = INT64_MIN;
			continue;
		}
		tail_last_reset(&printer->last, p);
		begin[p] =
			topic->to[p] - topic->from[p] > back ? topic->to[p] - back : topic->from[p];
		any = true;
	}
	return any;
}

/* A partition with enough lines has begin INT64_MIN, and is not read again. */
static bool read_round(struct printer *printer, const int64_t *begin, struct err *err)
{
	int64_t *from = xzalloc((size_t)printer->topic.partitions, sizeof(*from));
	bool ok;

	for (int32_t p = 0; p < printer->topic.partitions; p++)
		from[p] = begin[p] == INT64_MIN ? printer->topic.to[p] : begin[p];
	ok = read_between(printer, from, err);
	free(from);
	return ok;
}

static bool print_last(struct printer *printer, struct err *err)
{
	size_t count;
	const struct tail_kept **lines = tail_last_sorted(&printer->last, &count);
	bool ok = true;

	for (size_t i = 0; ok && i < count && !is_done(printer); i++)
		ok = print(printer, lines[i]->text, lines[i]->len, err);
	free(lines);
	return ok;
}

static bool print_tail(struct printer *printer, struct err *err)
{
	int64_t *begin = xzalloc((size_t)printer->topic.partitions, sizeof(*begin));
	int64_t back =
		printer->request->tail * 2 > FIRST_BACK ? printer->request->tail * 2 : FIRST_BACK;
	bool ok = true;

	tail_last_init(&printer->last, printer->topic.partitions, (size_t)printer->request->tail);
	for (int32_t p = 0; p < printer->topic.partitions; p++)
		begin[p] = printer->topic.to[p];
	for (; ok && plan_round(printer, back, begin); back *= FURTHER)
		ok = read_round(printer, begin, err);
	ok = ok && print_last(printer, err);
	tail_last_free(&printer->last);
	free(begin);
	return ok;
}

/* Narrows the offsets by FROM and TO. */
static bool apply_times(struct printer *printer, struct err *err)
{
	const struct tail_request *request = printer->request;
	struct tail_topic *topic = &printer->topic;
	int64_t *end = topic->to;

	if (request->from_us != INT64_MIN &&
	    !tail_topic_offsets_at(printer->reader, topic, request->from_us, topic->from, err))
		return false;
	return request->to_us == INT64_MAX ||
	       tail_topic_offsets_at(printer->reader, topic, request->to_us, end, err);
}

static bool print_existing(struct printer *printer, struct err *err)
{
	if (!apply_times(printer, err))
		return false;
	if (printer->request->tail == 0)
		return true;
	return printer->request->tail > 0 ? print_tail(printer, err)
	                                  : read_between(printer, printer->topic.from, err);
}

/* ---- new records */

static void report_trouble(struct printer *printer)
{
	const char *trouble = tail_reader_trouble(printer->reader);

	if (*trouble && !printer->reported)
		fprintf(stderr, "funnel-tail: %s; waiting\n", trouble);
	else if (!*trouble && printer->reported)
		fputs("funnel-tail: Kafka answers again\n", stderr);
	printer->reported = *trouble != '\0';
}

static bool follow(struct printer *printer, struct err *err)
{
	struct input_record record;
	bool done = false, ok;

	memcpy(printer->topic.from, printer->topic.to,
	       (size_t)printer->topic.partitions * sizeof(*printer->topic.from));
	ok = tail_reader_start(printer->reader, &printer->topic, 1, err);
	while (ok && !done && !is_done(printer) && !service_stopping()) {
		switch (tail_reader_poll(printer->reader, POLL_MS, &record, err)) {
		case TAIL_RECORD: ok = take_record(printer, &record, &done, err); break;
		case TAIL_FAILED: ok = false; break;
		case TAIL_END: break;
		case TAIL_NOTHING:
			check_stdout(printer);
			report_trouble(printer);
			break;
		}
	}
	return ok;
}

static bool run(struct printer *printer, struct err *err)
{
	return tail_topic_open(printer->reader, printer->request->topic, &printer->topic, err) &&
	       print_existing(printer, err) &&
	       (!printer->request->follow || is_done(printer) || follow(printer, err));
}

static bool flush(struct printer *printer, struct err *err)
{
	if (printer->closed || fflush(stdout) == 0)
		return true;
	return errno == EPIPE ||
	       err_set(err, ERR_RETRY, "cannot write to stdout: %s", strerror(errno));
}

bool tail_records_run(const struct tail_config *config, const struct tail_request *request,
                      struct err *err)
{
	struct printer printer = {.config = config, .request = request};
	bool ok;

	setvbuf(stdout, NULL, _IOLBF, 65536);
	printer.decode = tail_decode_new(&config->registry, config->kafka.topic_prefix, err);
	printer.reader = printer.decode ? tail_reader_new(&config->kafka, err) : NULL;
	ok = printer.reader && run(&printer, err);
	ok = (ok || service_stopping()) && flush(&printer, err);
	tail_reader_free(printer.reader);
	tail_decode_free(printer.decode);
	tail_topic_close(&printer.topic);
	buffer_free(&printer.line);
	return ok;
}
