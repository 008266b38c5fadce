/* Reads at most the last 8 million records of aggregates and the last 80,000 of partials, an equal
 * part of each partition: these have the newest windows and watermarks. counts has one record per
 * partition and service, and is read completely.
 *
 * A record whose schema is not known while the registry does not answer is kept and tried again, so
 * none is left out.
 *
 * Limits: a total that has not changed in those last records is not shown. */
#include "tail_live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "service/monotime.h"
#include "service/stop.h"
#include "tail_decode.h"
#include "tail_keys.h"
#include "tail_model.h"
#include "tail_reader.h"
#include "tail_screen.h"
#include "tail_signals.h"
#include "tail_terminal.h"

#define AGGREGATES_MAX 8000000
#define PARTIALS_MAX   80000
#define KEYS_US        INT64_C(50000)
#define SAMPLE_US      INT64_C(1000000)
#define RETRY_US       INT64_C(1000000)
#define SILENCE_US     INT64_C(30000000)

static const struct {
	enum topic_id id;
	int64_t max; /* records of the topic */
} sources[] = {
	{TOPIC_AGGREGATED_EVENTS, AGGREGATES_MAX},
	{TOPIC_FUNNEL_PARTIALS, PARTIALS_MAX},
	{TOPIC_COUNTS, INT64_MAX},
};
#define SOURCE_COUNT 3

struct live {
	const struct tail_config *config;
	struct tail_reader *reader;
	struct tail_decode *decode;
	struct tail_topic topics[SOURCE_COUNT];
	int64_t *position[SOURCE_COUNT]; /* per partition: the next offset */
	int64_t wanted, left;            /* offsets that were there at the start, and not read */
	int64_t moved_us;                /* when `left` last changed */
	struct tail_model model;
	struct tail_control control;
	struct input_record held; /* not decoded yet; topic.at == NULL: none */
	int64_t retry_us;         /* not before */
	char registry_trouble[400];
	struct buffer lines;
	int64_t drawn_us, sampled_us;
	bool changed; /* draw now */
};

/* ---- opening */

/* Each partition of bronze_events has a watermark. */
static bool open_model(struct live *live, struct err *err)
{
	struct tail_topic bronze;
	bool ok = tail_topic_open(live->reader, TOPIC_BRONZE_EVENTS, &bronze, err);

	if (ok)
		tail_model_init(&live->model, bronze.partitions);
	tail_topic_close(&bronze);
	return ok;
}

static bool open_topics(struct live *live, struct err *err)
{
	for (int t = 0; t < SOURCE_COUNT; t++) {
		struct tail_topic *topic = &live->topics[t];
		int64_t max;

		if (!tail_topic_open(live->reader, sources[t].id, topic, err))
			return false;
		live->position[t] = xzalloc((size_t)topic->partitions, sizeof(int64_t));
		max = sources[t].max / topic->partitions;
		for (int32_t p = 0; p < topic->partitions; p++) {
			if (topic->to[p] - topic->from[p] > max)
				topic->from[p] = topic->to[p] - max;
			live->position[t][p] = topic->from[p];
			live->wanted += topic->to[p] - topic->from[p];
		}
	}
	live->left = live->wanted;
	live->moved_us = monotonic_us();
	return tail_reader_start(live->reader, live->topics, SOURCE_COUNT, err);
}

static bool live_open(struct live *live, struct err *err)
{
	live->decode =
		tail_decode_new(&live->config->registry, live->config->kafka.topic_prefix, err);
	live->reader = live->decode ? tail_reader_new(&live->config->kafka, err) : NULL;
	return live->reader && open_model(live, err) && open_topics(live, err);
}

static void live_close(struct live *live)
{
	tail_reader_free(live->reader);
	tail_decode_free(live->decode);
	tail_model_free(&live->model);
	for (int t = 0; t < SOURCE_COUNT; t++) {
		tail_topic_close(&live->topics[t]);
		free(live->position[t]);
	}
	buffer_free(&live->lines);
}

/* ---- records */

static int source_of(const struct live *live, const struct input_record *record)
{
	for (int t = 0; t < SOURCE_COUNT; t++)
		if (span_is(record->topic, live->topics[t].name))
			return t;
	return 0;
}

/* Notes that everything before `next` has been read. */
static void move_to(struct live *live, const struct input_record *record, int64_t next)
{
	int t = source_of(live, record);
	int64_t end = live->topics[t].to[record->partition];
	int64_t *position = &live->position[t][record->partition];
	int64_t was = *position < end ? *position : end, now = next < end ? next : end;

	if (next > *position)
		*position = next;
	if (now > was) {
		live->left -= now - was;
		live->moved_us = monotonic_us();
	}
}

static void fold_counts(struct tail_model *model, struct span body)
{
	struct counts_record counts;
	int64_t unknown_dead;

	if (counts_decode(body, &counts, &unknown_dead, NULL))
		tail_flow_counts(&model->flow, &counts, unknown_dead);
	else
		model->unreadable++;
}

/* Records without a value are tombstones, and controls of the partials. */
static void fold(struct tail_model *model, enum topic_id topic, const struct input_record *record)
{
	struct aggregate aggregate;
	struct partial partial;

	if (!record->value.at)
		return;
	if (record->refused != REASON_NONE)
		model->unreadable++;
	else if (topic == TOPIC_COUNTS)
		fold_counts(model, record->body);
	else if (topic == TOPIC_FUNNEL_PARTIALS && partial_decode(record->body, &partial, NULL))
		tail_flow_partial(&model->flow, &partial);
	else if (topic == TOPIC_AGGREGATED_EVENTS &&
	         aggregate_decode(record->body, &aggregate, NULL))
		tail_model_aggregate(model, &aggregate, record->timestamp_ms);
	else
		model->unreadable++;
}

/* False: the registry does not answer; the record is held. */
static bool take_record(struct live *live, struct input_record *record, struct err *err)
{
	enum topic_id topic = sources[source_of(live, record)].id;

	if (!tail_decode_record(live->decode, topic, record, err)) {
		live->held = *record;
		live->retry_us = monotonic_us() + RETRY_US;
		snprintf(live->registry_trouble, sizeof(live->registry_trouble), "%.390s",
		         err->message);
		return false;
	}
	live->held = (struct input_record){0};
	live->registry_trouble[0] = '\0';
	fold(&live->model, topic, record);
	move_to(live, record, record->offset + 1);
	return true;
}

static void take_held(struct live *live, int64_t until_us, struct err *err)
{
	struct input_record record = live->held;
	int64_t now_us = monotonic_us();

	if (now_us < live->retry_us)
		usleep((unsigned)((until_us > now_us ? until_us - now_us : 0) + 1000));
	else
		(void)take_record(live, &record, err);
}

/* Reads until the time. False: failed. */
static bool read_until(struct live *live, int64_t until_us, struct err *err)
{
	struct input_record record;
	int64_t now_us;

	while (!service_stopping() && (now_us = monotonic_us()) < until_us) {
		if (live->held.topic.at) {
			take_held(live, until_us, err);
			continue;
		}
		switch (tail_reader_poll(live->reader, (int)((until_us - now_us) / 1000) + 1,
		                         &record, err)) {
		case TAIL_RECORD: (void)take_record(live, &record, err); break;
		case TAIL_END: move_to(live, &record, record.offset); break;
		case TAIL_FAILED: return false;
		case TAIL_NOTHING: break;
		}
	}
	return true;
}

/* ---- pictures */

static bool has_read_all(const struct live *live)
{
	return live->left <= 0;
}

/* ROLLUP names one of the topic, or nothing is known yet. */
static bool check_rollup(const struct live *live, struct err *err)
{
	const struct tail_model *model = &live->model;
	char names[512] = "";

	if (!has_read_all(live) || model->rollup_count == 0 ||
	    tail_model_rollup(model, live->config->rollup) >= 0)
		return true;
	for (int i = 0; i < model->rollup_count; i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), " %.100s",
		         model->rollups[i].name);
	return err_set(err, ERR_INPUT,
	               "invalid value \"%s\" for ROLLUP: expected one that the topic has:%s",
	               live->config->rollup, names);
}

static const char *trouble_of(struct live *live)
{
	const char *kafka = tail_reader_trouble(live->reader);

	return *kafka ? kafka : live->registry_trouble;
}

static bool wants_colour(const struct tail_config *config)
{
	return strcmp(config->colour, "always") == 0 ||
	       (strcmp(config->colour, "auto") == 0 && tail_terminal_has_colour());
}

static struct tail_view make_view(struct live *live)
{
	struct tail_view view = live->control.view;

	tail_terminal_size(&view.width, &view.height);
	view.colour = wants_colour(live->config);
	view.unicode = tail_terminal_is_utf8();
	view.now_us = wallclock_us();
	view.prefix = live->config->kafka.topic_prefix;
	view.trouble = trouble_of(live);
	view.read_percent = live->left <= 0 || live->wanted <= 0
	                            ? 100
	                            : (int)((live->wanted - live->left) * 99 / live->wanted);
	return view;
}

static bool draw(struct live *live)
{
	struct tail_view view = make_view(live);

	tail_screen(&live->model, &view, &live->lines);
	live->drawn_us = monotonic_us();
	live->changed = false;
	return tail_terminal_draw((struct span){live->lines.at, live->lines.len}, view.height);
}

static void sample(struct live *live)
{
	int64_t now_us = monotonic_us();

	if (!has_read_all(live) || now_us - live->sampled_us < SAMPLE_US)
		return;
	live->sampled_us = now_us;
	tail_flow_sample(&live->model.flow, now_us);
}

/* ---- until the user quits */

static void handle_signals(struct live *live)
{
	if (tail_signals_suspended()) {
		tail_terminal_close();
		tail_signals_suspend();
		tail_terminal_open();
		(void)tail_signals_continued();
		live->changed = true;
	}
	if (tail_signals_continued()) { /* after STOP, which cannot be caught */
		tail_terminal_open();
		live->changed = true;
	}
	live->changed |= tail_signals_resized();
}

/* False: the user quits. */
static bool handle_keys(struct live *live)
{
	int key;

	while ((key = tail_terminal_key()) != TAIL_KEY_NONE) {
		if (key == TAIL_KEY_GONE || !tail_control_key(&live->control, &live->model, key))
			return false;
		live->changed = true;
	}
	return true;
}

static bool is_due(const struct live *live)
{
	return live->changed || (!live->control.view.paused &&
	                         monotonic_us() - live->drawn_us >= live->config->refresh_us);
}

static bool run_screen(struct live *live, struct err *err)
{
	while (!service_stopping()) {
		if (!read_until(live, monotonic_us() + KEYS_US, err) || !check_rollup(live, err))
			return false;
		sample(live);
		handle_signals(live);
		if (!handle_keys(live))
			break;
		if (is_due(live) && !draw(live))
			break;
	}
	return true;
}

/* ---- one picture */

static bool read_to_end(struct live *live, struct err *err)
{
	while (!has_read_all(live) && !service_stopping()) {
		if (!read_until(live, monotonic_us() + KEYS_US, err))
			return false;
		if (live->registry_trouble[0])
			return false; /* err says why */
		if (monotonic_us() - live->moved_us > SILENCE_US)
			return err_set(err, ERR_RETRY,
			               "no record from Kafka at KAFKA_BROKERS=%s for %d s",
			               live->config->kafka.brokers, (int)(SILENCE_US / 1000000));
	}
	return true;
}

static bool print_picture(struct live *live, struct err *err)
{
	struct tail_view view;

	if (!read_to_end(live, err) || !check_rollup(live, err))
		return false;
	if (service_stopping())
		return true;
	view = make_view(live);
	view.height = 0;
	tail_screen(&live->model, &view, &live->lines);
	fwrite(live->lines.at, 1, live->lines.len, stdout);
	return fflush(stdout) == 0 || errno == EPIPE ||
	       err_set(err, ERR_RETRY, "cannot write to stdout: %s", strerror(errno));
}

static bool show(struct live *live, bool once, struct err *err)
{
	bool ok = live_open(live, err);

	if (ok && once)
		return print_picture(live, err);
	if (ok) {
		tail_terminal_open();
		live->changed = true;
		ok = run_screen(live, err);
		tail_terminal_close();
	}
	return ok;
}

bool tail_live_run(const struct tail_config *config, struct err *err)
{
	struct live live = {.config = config};
	bool once = config->once || !tail_terminal_is_usable(), ok;

	if (once && !config->once && isatty(STDOUT_FILENO))
		fputs("funnel-tail: this terminal cannot move its cursor (TERM): one picture\n",
		      stderr);
	tail_control_init(&live.control, config->rollup, config->group);
	ok = show(&live, once, err) || service_stopping();
	live_close(&live);
	return ok;
}
