/* The state of a run is sent when the run begins, and when all its records are acknowledged. It is
 * sent before the state file says that the run is complete. So a crash between the two repeats at
 * most the end of the segment. */
#include "producer_schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acks.h"
#include "base/fnv.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "file_list.h"
#include "kafka/kafka_conf.h"
#include "kafka/topic_reader.h"
#include "months.h"
#include "producer_reading.h"
#include "sender.h"
#include "service/health.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "source.h"
#include "stream/record.h"
#include "wire/topics.h"

#define SILENCE_MS 20000
#define WAIT_MS    100

/* ---- the months */

static bool months_of_files(struct producer *p, struct months *months, struct err *err)
{
	struct file_list list = {.format = &p->format};
	bool good = producer_open_format(p, err) && file_list_read(&list, p->config->input, err);

	*months = (struct months){0};
	for (size_t i = 0; good && i < list.count; i++) {
		int32_t month = month_of_name(list.files[i].name);

		if (month != MONTH_NONE && !months_add(months, month))
			good = err_set(err, ERR_INPUT, "EVERY: INPUT has more than %d months",
			               MONTHS_MAX);
	}
	file_list_fini(&list);
	producer_close_format(p);
	return good;
}

bool producer_schedule_open(struct producer *p, struct err *err)
{
	struct months months = p->plan.selection.months;

	if (months.count == 0 && !months_of_files(p, &months, err))
		return false;
	if (months.count == 0)
		return err_set(err, ERR_INPUT,
		               "EVERY sends one month per run, and no file name of INPUT=%s has a "
		               "month: expected names such as 2019-Oct.csv.gz, or MONTH",
		               p->config->input);
	p->schedule = calloc(1, sizeof(*p->schedule));
	if (!p->schedule)
		return err_set(err, ERR_FATAL, "out of memory");
	schedule_init(p->schedule, &months, p->config->every_us);
	p->schedule->backoff.seed = (unsigned)wallclock_us();
	return true;
}

void producer_schedule_close(struct producer *p)
{
	free(p->schedule);
	p->schedule = NULL;
}

void producer_schedule_name(const struct producer *p, char *out, size_t cap)
{
	char month[16];

	out[0] = '\0';
	if (!p->schedule)
		return;
	month_format(p->schedule->months.at[p->run], month);
	snprintf(out, cap, "%s (%d of %d)", month, (int)p->run + 1, (int)p->schedule->months.count);
}

struct selection_config producer_run_selection(const struct producer *p)
{
	struct selection_config selection = p->plan.selection;

	if (p->schedule) {
		selection.may_be_empty = true;
		selection.months.count = 1;
		selection.months.at[0] = p->schedule->months.at[p->run];
	}
	return selection;
}

/* ---- the states of runs */

/* The base name of the input, or its text if it is not one path. */
static void name_input(const struct producer *p, char out[SEGMENT_NAME_MAX])
{
	const char *input = p->plan.synthetic ? "synthetic" : p->config->input;
	char *real = p->plan.synthetic ? NULL : realpath(input, NULL);
	const char *slash = real ? strrchr(real, '/') : NULL;

	snprintf(out, SEGMENT_NAME_MAX, "%.100s", slash && slash[1] ? slash + 1 : input);
	free(real);
}

/* Two schedules are the same if this hash and the name of the input are the same. */
static uint64_t schedule_hash(const struct producer *p)
{
	int64_t numbers[] = {p->config->limit, p->config->events, p->config->seed};
	uint64_t hash = selection_hash(&p->plan.selection);

	return p->plan.synthetic ? fnv1a(hash, numbers, sizeof(numbers))
	                         : fnv1a(hash, numbers, sizeof(numbers[0]));
}

static bool take_state(void *context, const struct input_record *record, bool *done,
                       struct err *err)
{
	struct producer *p = context;
	char input[SEGMENT_NAME_MAX];
	struct run_state state;

	(void)done;
	(void)err;
	name_input(p, input);
	if (run_state_read(record->value, &state) && strcmp(state.input, input) == 0 &&
	    state.selection == schedule_hash(p))
		schedule_take(p->schedule, &state);
	return true;
}

static bool read_states(struct producer *p, struct err *err)
{
	const struct kafka_config *kafka = &p->config->kafka;
	char name[TOPIC_NAME_MAX + 1];
	struct topic_reading all = {.topic = name,
	                            .silence_ms = SILENCE_MS,
	                            .take = take_state,
	                            .context = p};

	return (topic_name(kafka->topic_prefix, TOPIC_PRODUCER_STATE, name, sizeof(name)) ||
	        err_set(err, ERR_OPERATOR, "TOPIC_PREFIX=%s is too long", kafka->topic_prefix)) &&
	       topic_read_all(kafka, sender_client(p->sender), &all, err);
}

static void show_progress(struct producer *p)
{
	int64_t complete = 0;

	for (int32_t i = 0; i < p->schedule->months.count; i++)
		complete += p->schedule->runs[i].complete;
	metric_set(p->metrics.runs, p->schedule->months.count);
	metric_set(p->metrics.runs_complete, complete);
}

static bool plan_runs(struct producer *p, struct err *err)
{
	int32_t partition_count;

	if (!sender_connect(p->sender, 500, &partition_count, err))
		return false;
	return !p->config->resume || read_states(p, err);
}

enum step producer_step_planning(struct producer *p, struct err *err)
{
	if (plan_runs(p, err)) {
		p->unreachable_reported = false;
		p->phase = PHASE_WAITING;
		return STEP_MORE;
	}
	if (err->class != ERR_RETRY ||
	    (p->config->timeout_us > 0 && monotonic_us() - p->began_us > p->config->timeout_us))
		return STEP_FAILED;
	if (!p->unreachable_reported)
		log_warn("retrying", log_str("phase", "open"), log_str("error", err->message));
	p->unreachable_reported = true;
	health_ready(err->message);
	return sender_poll(p->sender, WAIT_MS, err) ? STEP_MORE : STEP_FAILED;
}

/* ---- what is next */

static void log_waiting(struct producer *p, int32_t index, int64_t wait_us)
{
	char month[16], at[32];

	if (p->wait_reported)
		return;
	p->wait_reported = true;
	month_format(p->schedule->months.at[index], month);
	time_format_iso(time_floor(wallclock_us() + wait_us, US_PER_SECOND), at);
	log_info("run_waiting", log_str("month", month), log_int("run", index + 1),
	         log_int("of", p->schedule->months.count), log_str("begins_at", at));
}

enum schedule_result producer_schedule_next(struct producer *p)
{
	int64_t wait_us;
	enum schedule_result result = schedule_next(p->schedule, wallclock_us(), &p->run, &wait_us);
	struct err ignored;

	show_progress(p);
	health_ready(NULL);
	switch (result) {
	case SCHEDULE_DONE:
		log_info("schedule_complete", log_int("months", p->schedule->months.count),
		         log_str("detail",
		                 "every month is sent; --resume=false begins with the first "
		                 "month again"));
		break;
	case SCHEDULE_RUN:
		p->wait_reported = false;
		schedule_begun(p->schedule, p->run, wallclock_us());
		break;
	case SCHEDULE_WAIT:
		log_waiting(p, p->run, wait_us);
		/* A client that fails now is replaced when the run fails. */
		if (!sender_poll(p->sender,
		                 wait_us < WAIT_MS * 1000 ? (int)(wait_us / 1000) + 1 : WAIT_MS,
		                 &ignored))
			log_debug("kafka_poll_failed", log_str("error", ignored.message));
		break;
	}
	return result;
}

static struct run_state state_of_run(const struct producer *p, enum run_status status)
{
	struct run_state state = {.selection = schedule_hash(p),
	                          .month = p->schedule->months.at[p->run],
	                          .status = status,
	                          .rows = p->saved.checkpoint.rows,
	                          .attempt = p->schedule->runs[p->run].attempts,
	                          .started_us = p->schedule->runs[p->run].started_us,
	                          .finished_us = status == RUN_RUNNING ? 0 : wallclock_us(),
	                          .newest_us = clock_now(&p->saved.checkpoint.clock.clock)};

	name_input(p, state.input);
	snprintf(state.segment, sizeof(state.segment), "%s", p->saved.segment);
	return state;
}

static enum send_result send_state(struct producer *p, enum run_status status, struct ack *ack,
                                   struct err *err)
{
	struct run_state state = state_of_run(p, status);
	char *value = run_state_write(&state);
	enum send_result result;

	if (!value) {
		err_set(err, ERR_FATAL, "the name of the input is not valid UTF-8");
		return SEND_FAILED;
	}
	result = sender_send_state(p->sender, span_of(state.segment), span_of(value), ack, err);
	free(value);
	return result;
}

bool producer_schedule_note(struct producer *p, enum run_status status, struct err *err)
{
	struct ack *ack;

	if (!p->schedule)
		return true;
	ack = acks_push(&p->acks);
	if (!ack)
		return err_set(err, ERR_RETRY, "too many records wait for acknowledgements");
	ack->partition = ACK_ELSEWHERE;
	ack->is_row = false;
	switch (send_state(p, status, ack, err)) {
	case SEND_TAKEN: return true;
	case SEND_FULL: err_set(err, ERR_RETRY, "the queue of the Kafka library is full"); break;
	case SEND_FAILED: break;
	}
	acks_pop_last(&p->acks);
	return false;
}

static void log_failed_run(struct producer *p, const char *month, const struct err *failure)
{
	struct err ignored;

	log_warn("run_failed", log_str("month", month), log_str("segment", p->saved.segment),
	         log_int("attempt", p->schedule->runs[p->run].attempts),
	         log_str("class", err_class_name(failure->class)),
	         log_str("error", failure->message));
	if (p->saved.segment[0] && send_state(p, RUN_FAILED, NULL, &ignored) == SEND_TAKEN &&
	    !sender_poll(p->sender, WAIT_MS, &ignored))
		log_debug("state_not_sent", log_str("error", ignored.message));
}

void producer_schedule_ended(struct producer *p, const struct err *failure)
{
	char month[16];

	month_format(p->schedule->months.at[p->run], month);
	schedule_ended(p->schedule, p->run, failure == NULL, wallclock_us());
	show_progress(p);
	if (failure)
		log_failed_run(p, month, failure);
	else
		log_info("run_complete", log_str("month", month), log_int("run", p->run + 1),
		         log_int("of", p->schedule->months.count),
		         log_int("rows", p->saved.checkpoint.rows),
		         log_str("segment", p->saved.segment));
}
