/* Dead letters back to the raw topic: what a dead letter says of itself, whether it was chosen, and whether it may go
 * again. Pure; common/tools/redrive/redrive.c reads, shows and sends.
 *
 * Once each: the transaction that sends a letter's record to the raw topic also writes a mark behind the letter, into the same
 * partition of the dead-letter topic. The marks are the ledger: no letter that has one is sent again, whatever the selection.
 * A mark is younger than its letter and in the same partition, so retention removes it later.
 *
 *   mark      key of the letter, no value, the eleven headers of the letter, and behind them  redriven = <partition>/<offset>
 *   record    key, value and headers as they were in the raw topic, and  redriven_from = <partition>/<offset>
 *
 * Both numbers are the letter's own place in the dead-letter topic. A mark is known by its last header, which only its writer
 * can set: what output_dead_letter writes ends with another one, whatever headers the refused record had. */
#ifndef FUNNEL_REDRIVE_H
#define FUNNEL_REDRIVE_H

#include "base/err.h"
#include "base/span.h"
#include "event/clock.h"
#include "event/event_json_library.h"
#include "event/reason.h"
#include "stream/dead_letter.h"
#include "stream/outbox.h"
#include "stream/record.h"

#define REDRIVE_HEADERS_MAX 64

/* ---- the ledger: places of letters that have a mark. Zero-initialised is empty. */
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
	int64_t since_us, until_us; /* time of the dead letter, the second not included */
	struct redrive_ranges source, letters;
};
/* "invalid_price,wrong_partition"; empty: any. ERR_INPUT names what is no reason code. */
MUST_USE bool redrive_reasons_parse(const char *text, struct redrive_selection *selection,
                                    struct err *err);
/* "2" a whole partition, "2:17" one offset, "2:17-90", "2:17-"; several with commas; empty: everything. */
MUST_USE bool redrive_ranges_parse(const char *text, struct redrive_ranges *ranges,
                                   struct err *err);

/* ---- the verdict on one record of the dead-letter topic */
#define REDRIVE_VERDICTS(X)                                                                                                                                                                         \
	X(SEND, "to be sent", "")                                                                                                                                                                   \
	X(MARK, "marks of earlier runs", "")                                                                                                                                                        \
	X(NOT_CHOSEN, "not chosen", "")                                                                                                                                                             \
	X(UNREADABLE, "no dead letters of ours",                                                                                                                                                    \
	  "their headers are missing or cannot be read; who wrote them has to send them again")                                                                                                     \
	X(BEFORE, "redriven before",                                                                                                                                                                \
	  "each goes once; what was refused again is a new dead letter, and may be chosen by its own reason and time")                                                                              \
	X(OTHER_SET, "from the raw topic of another set", "use that set's TOPIC_PREFIX")                                                                                                            \
	X(FROM_BRONZE, "from bronze_events",                                                                                                                                                        \
	  "too_many_stage_times: the event is in raw.events, and reports by recount hold it; else it was written past bronze-sink: its writer has to send "                                         \
	  "it to raw_events")                                                                                                                                                                       \
	X(FROM_PARTIALS, "from funnel_partials",                                                                                                                                                    \
	  "internal; the events behind them are in raw.events: recount those windows")                                                                                                              \
	X(NO_BYTES, "kept without bytes",                                                                                                                                                           \
	  "too_late_to_deduplicate keeps none, and would be refused again, nor does what is too large for the dead letter; replay the source into a fresh set (another TOPIC_PREFIX) to have them") \
	X(CONTROL, "controls",                                                                                                                                                                      \
	  "they mean something only at their place in the log; run the producer over that input again")                                                                                             \
	X(TOO_OLD, "beyond the de-duplication horizon",                                                                                                                                             \
	  "bronze-sink could not tell them from repeats; replay the source into a fresh set (another TOPIC_PREFIX) to have them")                                                                   \
	X(REFUSED, "refused again by this version",                                                                                                                                                 \
	  "mend what is wrong and send that as a new event, or --send-refused to have them judged all the same")                                                                                    \
	X(TOO_LARGE, "larger than an event may be",                                                                                                                                                 \
	  "mend what is wrong and send that as a new event")

enum redrive_verdict {
#define REDRIVE_ENUM(id, what, way) REDRIVE_##id,
	REDRIVE_VERDICTS(REDRIVE_ENUM)
#undef REDRIVE_ENUM
		REDRIVE_VERDICT_COUNT
};
const char *redrive_what(enum redrive_verdict verdict);
const char *redrive_way(
	enum redrive_verdict verdict); /* what to do instead; empty where there is nothing to say */

struct redrive_params {
	struct redrive_selection selection;
	struct span raw_topic, bronze_topic, partials_topic;
	int32_t raw_partitions;
	/* Per raw partition, as far as can be seen from outside: the real clock is here or later. */
	const struct partition_clock *clocks;
	int64_t horizon_us; /* of the de-duplication; 0: not known */
	int64_t now_us; /* of the broker or the wall: the time that a record sent now would get */
	bool send_refused;
};

struct redrive_decision {
	enum redrive_verdict verdict;
	struct dead_letter letter; /* unless MARK or UNREADABLE */
	enum reason refused;       /* why this version would refuse it; REASON_NONE: it would not */
	bool ahead; /* still too far ahead of its partition's clock, as far as that is known */
	int64_t event_time_us; /* where refused is REASON_NONE */
	int32_t target; /* partition to send to: where the event's session belongs; else where its key does; else where it came from */
};
void redrive_classify(const struct redrive_params *terms, struct redrive_ledger *ledger,
                      struct event_parser *parser, const struct input_record *record,
                      struct redrive_decision *decision);

/* Adds the record and the mark to the outbox: topics TOPIC_RAW_EVENTS and TOPIC_DEAD_LETTER. */
void redrive_emit(struct outbox *out, const struct redrive_decision *decision,
                  const struct input_record *record);

/* De-duplication horizon of bronze-sink's settings as they stand in its restore metadata; 0: not there. */
int64_t redrive_horizon(const char *fingerprint);

#endif
