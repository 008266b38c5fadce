/* The producer's state, shared by its files: producer.c opens, steps and closes; producer_resume.c finds where to go on;
 * producer_send.c sends; producer_finish.c drains, ends the segment, and writes rows where there is no Kafka. */
#ifndef FUNNEL_PRODUCER_INTERNAL_H
#define FUNNEL_PRODUCER_INTERNAL_H

#include <stdio.h>

#include "acks.h"
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "display.h"
#include "feed.h"
#include "message.h"
#include "options.h"
#include "pace.h"
#include "registry/registry.h"
#include "sender.h"
#include "service/metrics.h"
#include "service/service.h"
#include "source.h"
#include "state_file.h"

#define LATEST_AHEAD_US US_PER_DAY /* times beyond this from now do not move the event clock */
#define SKIP_ROWS 100000           /* in one step */

enum phase { PHASE_CONNECTING, PHASE_SKIPPING, PHASE_SENDING, PHASE_DRAINING, PHASE_ENDING, PHASE_WRITING };

struct control {
	const char *kind; /* NULL: none to send */
	int64_t time_us;
	int32_t next_partition;
	bool anchors; /* the replay clock begins anew with it */
};

struct producer {
	const struct producer_config *config;
	struct producer_plan plan;
	struct source *source;
	struct feed *feed;
	struct sender *sender;
	struct registry *registry;
	struct acks acks;
	struct saved_state saved; /* its checkpoint is the acknowledged prefix */
	struct message_form form;
	struct pace pace;
	struct control control;
	struct display display;
	enum phase phase;
	int64_t skip;
	char state_path[1024]; /* "": none */
	FILE *rows_out;        /* --tee, --output, --dry-run */
	bool stopped, unreachable_told, stalled_told;
	int64_t sent, unsplit, began_us, saved_us, saved_rows, stop_us, moved_us, moved_acks;
	struct {
		struct metric *sent, *acknowledged, *unsplit, *event_time, *waiting;
	} metrics;
};

/* What became of the next thing to send. */
enum sent { SENT, SENT_LATER /* its time has not come */, SENT_FULL, SENT_ALL, SENT_FAILED };

/* ---- producer.c: rows as CSV, and what people see */

MUST_USE bool producer_write_line(struct producer *p, struct span line, struct err *err);
MUST_USE bool producer_flush_rows(struct producer *p, struct err *err);
void producer_show(struct producer *p, int64_t now_us);
void producer_summarise(struct producer *p, const char *event, const char *detail);
bool producer_paced(const struct producer *p);

/* ---- producer_resume.c */

MUST_USE bool producer_save(struct producer *p, bool complete, struct err *err);
enum step producer_step_connecting(struct producer *p, struct err *err);
enum step producer_step_skipping(struct producer *p, struct err *err);

/* ---- producer_send.c */

/* The control to the partitions that do not have it yet. The time is never beyond the present. */
enum sent producer_send_control(struct producer *p, struct err *err);
/* Acknowledgements, state file, display: between slices of rows. */
MUST_USE bool producer_serve(struct producer *p, int timeout_ms, struct err *err);
enum step producer_step_sending(struct producer *p, struct err *err);

/* ---- producer_finish.c */

enum step producer_step_draining(struct producer *p, struct err *err);
enum step producer_step_ending(struct producer *p, struct err *err);
enum step producer_step_writing(struct producer *p, struct err *err);

#endif
