/* Dead letters that go back to the raw topic: whether one was selected, and whether it may be sent
 * again. Pure; redrive.c reads, prints and sends.
 *
 * Each is sent once: the transaction that sends the record of a dead letter to the raw topic also
 * writes a marker record after the dead letter, into the same partition of the dead-letter topic.
 * The markers are the ledger: a dead letter that has one is never sent again, whatever the
 * selection. A marker is younger than its dead letter and in the same partition, so retention
 * removes it later.
 *
 *   marker    key of the dead letter, no value, the eleven headers of the dead letter, and then
 *             redriven = <partition>/<offset>
 *   record    key, value and headers as they were in the raw topic, and then
 *             redriven_from = <partition>/<offset>
 *
 * Both numbers are the place of the dead letter in the dead-letter topic. A marker is recognised by
 * its last header, which only redrive can set: a dead letter always ends with another header,
 * whatever headers the refused record had. */
#ifndef FUNNEL_REDRIVE_RULES_H
#define FUNNEL_REDRIVE_RULES_H

#include "base/err.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/event_json_library.h"
#include "event/reason.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"

#define REDRIVE_HEADERS_MAX 64

/* ---- the ledger: places of dead letters that have a marker. Zero-initialised is empty. */
struct redrive_ledger {
	uint64_t *at;
	uint32_t count, capacity;
	bool sorted;
};
void redrive_ledger_free(struct redrive_ledger *ledger);
void redrive_ledger_add(struct redrive_ledger *ledger, int32_t partition, int64_t offset);
bool redrive_ledger_has(struct redrive_ledger *ledger, int32_t partition, int64_t offset);

/* ---- the selection */
#define REDRIVE_RANGES_MAX 64
struct redrive_ranges {
	struct redrive_range {
		int32_t partition;
		int64_t first, last; /* both included */
	} at[REDRIVE_RANGES_MAX];
	int count; /* 0: everything */
};
struct redrive_selection {
	bool reasons[REASON_COUNT];
	bool any_reason;
	int64_t since_us, until_us; /* time of the dead letter; until_us is not included */
	struct redrive_ranges source, dead_letters;
};
/* "invalid_price,wrong_partition"; empty: any reason. ERR_INPUT names the word that is not a reason
 * code. */
MUST_USE bool redrive_reasons_parse(const char *text, struct redrive_selection *selection,
                                    struct err *err);
/* "2" a partition, "2:17" one offset, "2:17-90", "2:17-"; several with commas; empty: all
 * places. */
MUST_USE bool redrive_ranges_parse(const char *text, struct redrive_ranges *ranges,
                                   struct err *err);

/* ---- classification of one record of the dead-letter topic */

/* X(name, text, what the operator can do instead) */
/* clang-format off */
#define REDRIVE_RESULTS(X) \
	X(SEND, "to be sent", "") \
	X(MARKER, "marker records of earlier runs", "") \
	X(NOT_SELECTED, "not selected", "") \
	X(UNREADABLE, "not dead letters of this pipeline", \
	  "their headers are missing or cannot be read; their writer has to send them again") \
	X(BEFORE, "redriven before", \
	  "each dead letter is sent once; if its record was refused again, select the new dead " \
	  "letter by its own reason and time") \
	X(OTHER_SET, "from the raw topic of another set", \
	  "run redrive with the TOPIC_PREFIX of that set") \
	X(FROM_BRONZE, "from bronze_events", \
	  "too_many_stage_times: the event is in raw.events, and reports that recount include " \
	  "it; other reasons: bronze-sink did not write the record, so its writer has to send it " \
	  "to raw_events") \
	X(FROM_PARTIALS, "from funnel_partials", \
	  "these records are internal; their events are in raw.events, so recount those windows") \
	X(NO_BYTES, "kept without bytes", \
	  "records that are too late to deduplicate or too large for the dead-letter topic keep " \
	  "no bytes; replay the source into a fresh set (another TOPIC_PREFIX)") \
	X(CONTROL, "controls", \
	  "a control has a meaning only at its place in the log; run the producer over that " \
	  "input again") \
	X(TOO_OLD, "beyond the de-duplication horizon", \
	  "bronze-sink cannot distinguish them from duplicates; replay the source into a fresh " \
	  "set (another TOPIC_PREFIX)") \
	X(REFUSED, "refused again by this version", \
	  "correct the events and send them as new ones, or use --send-refused to send these " \
	  "unchanged") \
	X(TOO_LARGE, "larger than an event may be", \
	  "make the events smaller and send them as new ones")
/* clang-format on */

enum redrive_result {
#define REDRIVE_ENUM(id, text, advice) REDRIVE_##id,
	REDRIVE_RESULTS(REDRIVE_ENUM)
#undef REDRIVE_ENUM
		REDRIVE_RESULT_COUNT
};
/* For people: what such records are, and what to do instead of a redrive; advice "": nothing. */
const char *redrive_result_text(enum redrive_result result);
const char *redrive_result_advice(enum redrive_result result);

struct redrive_params {
	struct redrive_selection selection;
	struct span raw_topic, bronze_topic, partials_topic;
	int32_t raw_partitions;
	/* Per raw partition, a lower bound of the clock of bronze-sink. */
	const struct partition_clock *clocks;
	int64_t horizon_us; /* de-duplication horizon; 0: not known */
	int64_t now_us;     /* the time that a record sent now would get */
	bool send_refused;
};

struct redrive_decision {
	enum redrive_result result;
	struct dead_letter dead_letter; /* unless result is MARKER or UNREADABLE */
	/* why this version would refuse it again; REASON_NONE: it would not */
	enum reason refused;
	bool ahead; /* still too far ahead of the clock of its partition, as far as that is known */
	int64_t event_time_us; /* if refused is REASON_NONE */
	/* partition to send to: that of the session of the event, else that of the key, else the
	 * one it came from */
	int32_t target;
};
void redrive_classify(const struct redrive_params *params, struct redrive_ledger *ledger,
                      struct event_parser *parser, const struct input_record *record,
                      struct redrive_decision *decision);

/* Adds the record (TOPIC_RAW_EVENTS) and its marker (TOPIC_DEAD_LETTER) to the outbox. */
void redrive_emit(struct outbox *out, const struct redrive_decision *decision,
                  const struct input_record *record);

/* The de-duplication horizon in microseconds, from the settings of bronze-sink in its restore
 * metadata; 0: not there. */
int64_t redrive_horizon(const char *fingerprint);

#endif
