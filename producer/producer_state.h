/* The state of the producer: of the process, and of the run that it sends. producer.c opens, steps
 * and closes it. producer_resume.c finds where to continue. producer_sort.c sorts. producer_send.c
 * sends. producer_finish.c waits for the acknowledgements, ends the segment, and runs without
 * Kafka. producer_output.c writes rows to files and shows progress. producer_schedule.c has the
 * sequence of runs of EVERY. */
#ifndef FUNNEL_PRODUCER_STATE_H
#define FUNNEL_PRODUCER_STATE_H

#include <stdio.h>

#include "acks.h"
#include "base/timetext.h"
#include "display.h"
#include "event/event_values.h"
#include "feed.h"
#include "message.h"
#include "options.h"
#include "pace.h"
#include "registry/registry.h"
#include "rejects.h"
#include "row_reader.h"
#include "schedule.h"
#include "selection.h"
#include "sender.h"
#include "service/metrics.h"
#include "source.h"
#include "state_file.h"

/* event times later than now + this do not move the source clock */
#define LATEST_AHEAD_US  US_PER_DAY
#define EARLIEST_TIME_US (INT64_C(946684800) * US_PER_SECOND) /* 2000-01-01 */
#define SKIP_ROWS        100000                               /* rows in one step */

enum phase {
	PHASE_PLANNING, /* EVERY: reads which months are complete */
	PHASE_WAITING,  /* EVERY: until the next run is due */
	PHASE_CONNECTING,
	PHASE_SORTING,
	PHASE_SCANNING, /* SHIFT_TO_NOW: reads rows to choose the shift */
	PHASE_SKIPPING,
	PHASE_SENDING,
	PHASE_DRAINING,
	PHASE_ENDING,
	PHASE_CHECKING,
	PHASE_WRITING
};

struct control {
	const char *kind; /* "begin", "jump" or "end"; NULL: none to send */
	int64_t time_us;
	int32_t next_partition;
	bool anchors; /* the replay clock starts again at its time */
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
	struct row_format format;
	struct null_words null_words;
	struct pace pace;
	struct control control;
	struct display display;
	enum phase phase;
	int64_t skip;          /* rows of the input that were sent before */
	char state_path[1024]; /* "": none */
	char sort_folder[1024];
	FILE *rows_out; /* --tee, --output, --dry-run */
	bool stopped, unreachable_reported, stall_reported;
	int64_t sent, malformed, began_us, saved_us, saved_rows, stop_us, progress_us, verified_us,
		progress_acks;
	struct rejects rejects; /* FAIL_ABOVE */
	int64_t check_us, check_logged_us;
	struct {
		struct metric *sent, *acknowledged, *malformed, *event_time, *waiting, *runs,
			*runs_complete;
	} metrics;
	/* selection and schedule */
	struct selection selection;
	struct schedule *schedule; /* NULL: one run, without EVERY */
	int32_t run;               /* of the schedule: which one is sent or waited for */
	bool resume;               /* this run continues an interrupted one, if there is one */
	bool run_is_open, wait_reported, complete_noted;
	int64_t topic_newest_us; /* newest event time in the topic before this run */
	struct {
		int64_t sent, malformed;
	} earlier; /* of earlier runs of this process */
};

#endif
