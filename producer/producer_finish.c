/* Waits for the acknowledgements, then announces the end of the segment. Without Kafka: writes
 * rows. */
#include "producer_finish.h"

#include <time.h>

#include "acks.h"
#include "feed.h"
#include "message.h"
#include "pace.h"
#include "producer_check.h"
#include "producer_output.h"
#include "producer_resume.h"
#include "producer_schedule.h"
#include "producer_send.h"
#include "run_state.h"
#include "service/fault.h"
#include "service/log.h"
#include "service/monotime.h"

#define STOP_DRAIN_US INT64_C(10000000)

/* ---- draining and ending */

static enum step finish(struct producer *p, bool complete, const char *event, const char *detail,
                        struct err *err)
{
	bool good = producer_save(p, complete, err) && producer_flush_rows(p, err);

	producer_summarise(p, event, detail);
	if (!good)
		return STEP_FAILED;
	return complete ? producer_check_start(p) : STEP_DONE;
}

static enum step finish_stopped(struct producer *p, struct err *err)
{
	return finish(p, false, "interrupted",
	              p->state_path[0]
	                      ? "the same command continues from here; --resume=false starts again"
	                      : "without a state file, the next run starts again",
	              err);
}

/* All records are acknowledged: ends the process, or sends the end of the segment. */
static enum step drained(struct producer *p, struct err *err)
{
	/* a live source cannot be continued, so a stop ends its segment */
	if (p->stopped && !source_is_live(p->source))
		return finish_stopped(p, err);
	if (!p->stopped && !feed_ended_well(p->feed, err)) {
		struct err unsaved;

		if (!producer_save(p, false, &unsaved))
			log_warn("state_file_not_saved", log_str("error", unsaved.message));
		producer_summarise(
			p, "input_failed",
			"all rows before the error were sent; the segment does not end here");
		return STEP_FAILED;
	}
	FAULT_POINT("before_end");
	p->control = (struct control){"end", 0, 0, false};
	p->phase = PHASE_ENDING;
	return STEP_MORE;
}

/* Whether a stop has waited long enough for a broker that does not answer. True: err is set. */
static bool gave_up(struct producer *p, struct err *err)
{
	struct err unsaved;

	if (p->stop_us == 0 || monotonic_us() - p->stop_us < STOP_DRAIN_US)
		return false;
	if (!producer_save(p, false, &unsaved))
		log_warn("state_file_not_saved", log_str("error", unsaved.message));
	err_set(err, ERR_RETRY,
	        "stopped before %llu records were acknowledged; the same command sends them again",
	        (unsigned long long)acks_waiting(&p->acks));
	return true;
}

enum step producer_step_draining(struct producer *p, struct err *err)
{
	if (!producer_serve(p, 20, err))
		return STEP_FAILED;
	if (acks_waiting(&p->acks) == 0)
		return drained(p, err);
	return gave_up(p, err) ? STEP_FAILED : STEP_MORE;
}

enum step producer_step_ending(struct producer *p, struct err *err)
{
	enum sent sent = p->control.kind ? producer_send_control(p, err) : SENT;

	if (sent == SENT_FAILED || !producer_serve(p, 20, err))
		return STEP_FAILED;
	if (!p->control.kind && acks_waiting(&p->acks) == 0 && !p->complete_noted) {
		p->complete_noted = true;
		if (!producer_schedule_note(p, RUN_COMPLETE, err))
			return STEP_FAILED;
	}
	if (!p->control.kind && acks_waiting(&p->acks) == 0)
		return finish(p, true, "finished",
		              "all rows are acknowledged, and the end of the segment is announced",
		              err);
	return gave_up(p, err) ? STEP_FAILED : STEP_MORE;
}

/* ---- without Kafka */

enum step producer_step_writing(struct producer *p, struct err *err)
{
	for (int i = 0; i < SKIP_ROWS; i++) {
		const struct message *message = feed_message(p->feed);

		if (!message && feed_waits(p->feed)) {
			struct timespec nap = {0, 20000000};

			fflush(p->rows_out);
			nanosleep(&nap, NULL);
			return STEP_MORE;
		}
		if (!message) {
			if (!producer_flush_rows(p, err) || !feed_ended_well(p->feed, err))
				return STEP_FAILED;
			producer_summarise(p, "finished", "the rows were written, none were sent");
			return STEP_DONE;
		}
		if (producer_paced(p)) {
			int64_t now_us = monotonic_us(), wait_us;

			if (!p->pace.anchored)
				pace_anchor(&p->pace, feed_due_us(p->feed), now_us);
			wait_us = pace_wait_us(&p->pace, feed_due_us(p->feed), now_us);
			if (wait_us > 0) {
				struct timespec nap = {0, (wait_us < 100000 ? wait_us : 100000) *
				                                  1000};

				fflush(p->rows_out);
				nanosleep(&nap, NULL);
				return STEP_MORE;
			}
			pace_sent(&p->pace, now_us);
		}
		if (!producer_write_line(p, p->config->dry_run ? message->value : message->line,
		                         err))
			return STEP_FAILED;
		p->sent++;
		p->malformed += message->error[0] != 0;
		feed_advance(p->feed);
	}
	producer_show(p, monotonic_us());
	return STEP_MORE;
}
