/* A segment is complete when it has ended, whatever this check finds: its rows are in the topic.
 * So the next run with the same input sends it again, as a run after any complete segment does. */
#include "producer_check.h"

#include <poll.h>

#include "event/reason.h"
#include "rejects.h"
#include "sender.h"
#include "service/log.h"
#include "service/monotime.h"
#include "source.h"

#define PAUSE_MS     200
#define LOG_EVERY_US INT64_C(10000000)

static bool is_on(const struct producer *p)
{
	return p->plan.fail_above_ppm >= 0;
}

bool producer_check_begin(struct producer *p, struct err *err)
{
	return !is_on(p) || rejects_begin(&p->rejects, &p->config->kafka, sender_topic(p->sender),
	                                  p->form.partition_count, err);
}

enum step producer_check_start(struct producer *p)
{
	if (!is_on(p))
		return STEP_DONE;
	p->phase = PHASE_CHECKING;
	p->check_us = p->check_logged_us = monotonic_us();
	return STEP_MORE;
}

static void log_rejects(const struct producer *p)
{
	for (int i = 0; i < REASON_COUNT; i++)
		if (p->rejects.rows[i] > 0)
			log_warn("rejected", log_str("reason", reason_name((enum reason)i)),
			         log_int("rows", p->rejects.rows[i]),
			         log_str("example", p->rejects.examples[i]));
	log_info("checked", log_str("segment", source_segment(p->source)), log_int("rows", p->sent),
	         log_int("rejected", p->rejects.total));
}

static bool share_is_good(const struct producer *p, struct err *err)
{
	if (p->sent == 0 && p->saved.checkpoint.rows > 0)
		return true; /* an earlier run has sent all rows */
	return rejects_within(p->sent, p->rejects.total, p->plan.fail_above_ppm,
	                      p->config->fail_above, err);
}

/* Waits for a broker that does not answer, or for a bronze-sink that lags. False: it has waited for
 * longer than TIMEOUT; err is set. */
static bool may_wait(struct producer *p, int64_t lag, struct err *err)
{
	int64_t now_us = monotonic_us();

	if (now_us - p->check_logged_us > LOG_EVERY_US) {
		p->check_logged_us = now_us;
		log_info("waiting_for_bronze_sink", log_int("records", lag),
		         log_str("detail", "FAIL_ABOVE needs the results of these rows"));
	}
	if (p->config->timeout_us == 0 || now_us - p->check_us < p->config->timeout_us)
		return true;
	return err_set(err, ERR_RETRY,
	               "bronze-sink has not processed %lld records within TIMEOUT: start it; all "
	               "rows were sent, and the share of refused rows is not known",
	               (long long)lag);
}

enum step producer_step_checking(struct producer *p, struct err *err)
{
	int64_t lag = 0;

	if (p->stopped) {
		log_info("interrupted", log_str("detail", "all rows were sent; the share of "
		                                          "refused rows was not checked"));
		return STEP_DONE;
	}
	if (!rejects_count(&p->rejects, &p->saved.checkpoint, &lag, err)) {
		if (err->class != ERR_RETRY)
			return STEP_FAILED;
		lag = p->saved.checkpoint.rows;
	} else if (lag == 0) {
		log_rejects(p);
		return share_is_good(p, err) ? STEP_DONE : STEP_FAILED;
	}
	if (!may_wait(p, lag, err))
		return STEP_FAILED;
	poll(NULL, 0, PAUSE_MS);
	return STEP_MORE;
}
