/* Sends rows and controls. Each is noted before it is handed to the library. So acknowledgements,
 * which come in any order, can be joined to the prefix that the state file may hold. */
#include "producer_send.h"

#include <string.h>
#include <time.h>

#include "acks.h"
#include "base/span.h"
#include "base/timetext.h"
#include "feed.h"
#include "message.h"
#include "pace.h"
#include "producer_output.h"
#include "producer_resume.h"
#include "row.h"
#include "sender.h"
#include "service/fault.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/monotime.h"
#include "stream/outbox.h"

#define SLICE_US        INT64_C(50000)
#define SLICE_ROWS      256
#define SAVE_EVERY_US   INT64_C(1000000)
#define STALLED_US      INT64_C(10000000)
#define VERIFY_EVERY_US INT64_C(20000000) /* of a stall: whether the client still connects */

static enum sent as_sent(enum send_result result)
{
	switch (result) {
	case SEND_TAKEN: return SENT;
	case SEND_FULL: return SENT_FULL;
	case SEND_FAILED: return SENT_FAILED;
	}
	return SENT_FAILED;
}

static struct ack *push_ack(struct producer *p, int32_t partition, bool is_row)
{
	struct ack *ack = acks_push(&p->acks);

	if (ack) {
		ack->partition = partition;
		ack->is_row = is_row;
		ack->clock = *feed_clock_state(p->feed);
	}
	return ack;
}

static enum sent send_record(struct producer *p, int32_t partition, struct span key,
                             struct span value, const struct header *headers, size_t header_count,
                             const struct row_position *position, struct err *err)
{
	struct ack *ack = push_ack(p, partition, position != NULL);
	enum sent sent;

	if (!ack)
		return SENT_FULL;
	if (position)
		ack->position = *position;
	sent = as_sent(
		sender_send(p->sender, partition, key, value, headers, header_count, ack, err));
	if (sent != SENT)
		acks_pop_last(&p->acks);
	return sent;
}

/* With SHIFT_TO_NOW at 1x every row is due at its own time, also after a pause or a restart.
 * bronze-sink refuses a row that is sent earlier (future_event_time). */
static void anchor(struct producer *p, int64_t event_us)
{
	const struct selection *selection = &p->selection;
	int64_t late_us = 0;

	if (selection->config.shift == SHIFT_FIRST && selection->range.times > 0) {
		event_us = selection->range.first_us + selection->shift_us;
		late_us = wallclock_us() - event_us;
	}
	pace_anchor(&p->pace, event_us, monotonic_us() - late_us);
}

enum sent producer_send_control(struct producer *p, struct err *err)
{
	struct control *control = &p->control;
	int64_t now_us = wallclock_us();
	char text[32];

	for (; control->next_partition < p->form.partition_count; control->next_partition++) {
		bool is_end = strcmp(control->kind, "end") == 0;
		struct header headers[] = {{SPAN("control"), span_of(control->kind)},
		                           {SPAN("segment"), span_of(p->saved.segment)},
		                           {SPAN("event_time"), SPAN_NULL}};
		enum sent sent;

		if (is_end) {
			headers[2].name = SPAN("rows");
			snprintf(text, sizeof(text), "%lld",
			         (long long)p->saved.checkpoint.partitions[control->next_partition]
			                 .rows);
		} else {
			time_format_iso(control->time_us < now_us ? control->time_us : now_us,
			                text);
		}
		headers[2].value = span_of(text);
		sent = send_record(p, control->next_partition, SPAN_NULL, SPAN_NULL, headers, 3,
		                   NULL, err);
		if (sent != SENT)
			return sent;
	}
	if (control->anchors)
		anchor(p, control->time_us);
	control->kind = NULL;
	return SENT;
}

static enum sent send_message(struct producer *p, const struct message *message, struct err *err)
{
	struct message_headers headers;

	message_headers_make(&headers, message);
	return send_record(p, message->partition, message->key, message->value, headers.at,
	                   headers.count, &message->position, err);
}

/* Sends the next control or row. */
static enum sent send_next(struct producer *p, int64_t *wait_us, struct err *err)
{
	const struct message *message = feed_message(p->feed);
	int64_t time_us;
	bool pause;
	enum sent sent;

	if (p->control.kind) {
		sent = producer_send_control(p, err);
		if (sent != SENT)
			return sent;
	}
	if (!message) {
		*wait_us = 20000;
		return feed_waits(p->feed) ? SENT_NOT_DUE : SENT_ALL;
	}
	switch (feed_announce(p->feed, &time_us, &pause)) {
	case FEED_BEGIN: p->control = (struct control){"begin", time_us, 0, true}; return SENT;
	case FEED_JUMP: p->control = (struct control){"jump", time_us, 0, pause}; return SENT;
	case FEED_NOTHING: break;
	}
	if (producer_paced(p) &&
	    (*wait_us = pace_wait_us(&p->pace, feed_due_us(p->feed), monotonic_us())) > 0)
		return SENT_NOT_DUE;
	FAULT_POINT("before_send");
	sent = send_message(p, message, err);
	if (sent != SENT)
		return sent;
	if (p->rows_out && !producer_write_line(p, message->line, err))
		return SENT_FAILED;
	if (producer_paced(p))
		pace_sent(&p->pace, monotonic_us());
	p->sent++;
	p->malformed += message->error[0] != 0;
	feed_advance(p->feed);
	return SENT;
}

/* False: the Kafka client has to be replaced, and with it this process. */
static bool check_stall(struct producer *p, int64_t now_us, struct err *err)
{
	int64_t acknowledged = sender_acknowledged(p->sender);

	if (acknowledged != p->progress_acks || acks_waiting(&p->acks) == 0) {
		if (p->stall_reported)
			log_info("delivery_resumed", log_int("acknowledged", acknowledged));
		p->stall_reported = false;
		p->progress_acks = acknowledged;
		p->progress_us = now_us;
	} else if (now_us - p->progress_us > STALLED_US && !p->stall_reported) {
		log_warn("delivery_stalled", log_uint("unacknowledged", acks_waiting(&p->acks)),
		         log_str("detail",
		                 "no acknowledgement for 10 s; still retrying, no data is lost"));
		sender_log_partition_health(p->sender);
		p->stall_reported = true;
		p->verified_us = now_us;
	} else if (p->stall_reported && now_us - p->verified_us > VERIFY_EVERY_US) {
		p->verified_us = monotonic_us();
		return sender_verify_client(p->sender, err);
	}
	return true;
}

bool producer_serve(struct producer *p, int timeout_ms, struct err *err)
{
	int64_t now_us;

	if (!sender_poll(p->sender, timeout_ms, err))
		return false;
	now_us = monotonic_us();
	feed_set_latest(p->feed, producer_latest_us(p));
	acks_advance(&p->acks, &p->saved.checkpoint);
	if (!check_stall(p, now_us, err))
		return false;
	metric_set(p->metrics.acknowledged, sender_acknowledged(p->sender));
	metric_set(p->metrics.waiting, (int64_t)acks_waiting(&p->acks));
	producer_show(p, now_us);
	return p->saved_rows == p->saved.checkpoint.rows || now_us - p->saved_us < SAVE_EVERY_US ||
	       producer_save(p, false, err);
}

/* Spends full milliseconds on serving the library, and sleeps for less than that. */
static bool wait_for_row(struct producer *p, int64_t wait_us, struct err *err)
{
	struct timespec nap = {0, 500000};

	if (wait_us >= 1000)
		return producer_serve(p, (int)(wait_us < 100000 ? wait_us / 1000 : 100), err);
	nanosleep(&nap, NULL);
	return producer_serve(p, 0, err);
}

enum step producer_step_sending(struct producer *p, struct err *err)
{
	int64_t until_us = monotonic_us() + SLICE_US, wait_us = 0;

	do {
		enum sent sent = SENT;

		for (int i = 0; i < SLICE_ROWS && sent == SENT; i++)
			sent = send_next(p, &wait_us, err);
		switch (sent) {
		case SENT:
			if (!producer_serve(p, 0, err))
				return STEP_FAILED;
			break;
		case SENT_NOT_DUE: return wait_for_row(p, wait_us, err) ? STEP_MORE : STEP_FAILED;
		case SENT_FULL: return producer_serve(p, 10, err) ? STEP_MORE : STEP_FAILED;
		case SENT_ALL: p->phase = PHASE_DRAINING; return STEP_MORE;
		case SENT_FAILED: return STEP_FAILED;
		}
	} while (monotonic_us() < until_us);
	return STEP_MORE;
}
