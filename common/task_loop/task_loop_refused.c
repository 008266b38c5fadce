/* The dead letters of a source partition are in one partition of the dead-letter topic, in the
 * order of their source offsets, because they are written in the transactions that commit these
 * offsets. Other source partitions may share it. So the newest part is read first, then older and
 * larger parts, until the number of letters in the metadata is found, or a letter of a record
 * before the restore offset.
 *
 * The end to read to is the log end, not the end of the last committed transaction: the committed
 * offset can be visible before the letters of the same transaction. topic_read waits for them.
 *
 * Limit: metadata of versions before the rules has no number of letters. If retention has cut the
 * letters, the service then cannot recognise it, and warns. Both topics have the same retention by
 * default, and a letter is younger than its record. */
#include "task_loop/task_loop_refused.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"
#include "event/reason.h"
#include "kafka/intake.h"
#include "kafka/topic_reader.h"
#include "service/health.h"
#include "service/log.h"
#include "service/monotime.h"
#include "stream/dead_letter.h"
#include "stream/record.h"
#include "stream/refused_offsets.h"
#include "stream/task.h"
#include "wire/topics.h"

#define CALL_TIMEOUT_MS 10000
#define SILENCE_MS      20000
#ifndef FIRST_PART
#define FIRST_PART INT64_C(100000) /* offsets; each further part is larger */
#endif
#define PART_GROWTH   4
#define MEMBERSHIP_US INT64_C(1000000)

struct search {
	struct task_loop *loop;
	const struct assigned_task *assigned;
	char topic[TOPIC_NAME_MAX + 1]; /* of the dead letters */
	int32_t partition, partition_count;
	int64_t low, end;
	int64_t expected; /* -1: not known */
	struct refused_offsets refused;
	bool before_range; /* a letter of a record before the range was found */
	int64_t polled_us;
};

/* The group expels a member that does not poll. The partitions are held, so no record comes. */
static bool keep_membership(struct search *search, struct err *err)
{
	struct intake *intake = search->loop->intake;

	if (monotonic_us() - search->polled_us < MEMBERSHIP_US)
		return true;
	search->polled_us = monotonic_us();
	intake_poll(intake, 0, 1);
	intake_forget(intake);
	return intake_change(intake) == INTAKE_SAME ||
	       err_set(err, ERR_RETRY, "reading %s: the assignment has changed meanwhile",
	               search->topic);
}

/* A reason that only newer versions know counts as one about the value. */
static enum reason reason_of(struct span name)
{
	enum reason reason = reason_from_name(name);

	return reason == REASON_COUNT || reason == REASON_NONE ? REASON_MALFORMED_JSON : reason;
}

static bool take_letter(void *context, const struct input_record *record, bool *done,
                        struct err *err)
{
	struct search *search = context;
	struct dead_letter letter;

	(void)done;
	if (dead_letter_read(record, &letter) &&
	    span_is(letter.service, search->loop->context->service) &&
	    span_is(letter.source_topic, search->assigned->topic) &&
	    letter.source_partition == search->assigned->task.params.partition) {
		search->before_range |= letter.source_offset < search->refused.from;
		refused_offsets_add(&search->refused, letter.source_offset,
		                    reason_of(letter.reason));
	}
	return keep_membership(search, err);
}

static bool read_part(struct search *search, int64_t from, int64_t to, struct err *err)
{
	size_t count = (size_t)search->partition_count;
	int64_t *offsets = xrealloc(NULL, count * 2 * sizeof(*offsets));
	bool ok;

	memset(offsets, 0, count * 2 * sizeof(*offsets)); /* from 0 to 0: do not read the others */
	offsets[search->partition] = from;
	offsets[count + (size_t)search->partition] = to;
	ok = topic_read(&search->loop->kafka,
	                &(struct topic_reading){search->topic, search->partition_count, offsets,
	                                        offsets + count, SILENCE_MS, take_letter, search,
	                                        NULL},
	                err);
	free(offsets);
	return ok;
}

static bool is_complete(const struct search *search)
{
	return search->expected < 0 ? search->before_range
	                            : search->refused.count >= search->expected;
}

static bool read_backwards(struct search *search, struct err *err)
{
	int64_t size = FIRST_PART, to, from;

	for (to = search->end; to > search->low && !is_complete(search); to = from) {
		from = to - search->low > size ? to - size : search->low;
		if (!read_part(search, from, to, err))
			return false;
		size *= PART_GROWTH;
	}
	return true;
}

/* No letter is missing if the log still has a letter from before the range, or its first record. */
static bool check_complete(const struct search *search, struct err *err)
{
	bool cut = search->low > 0 && !search->before_range;

	if (search->expected == search->refused.count || (search->expected < 0 && !cut))
		return true;
	if (!cut || search->expected < search->refused.count) {
		log_warn("dead_letters_unverified", log_partition(search->topic, search->partition),
		         log_int("expected", search->expected),
		         log_int("found", search->refused.count),
		         log_int("first_offset", search->low),
		         log_str("detail",
		                 "cannot prove that each record that was refused before the "
		                 "rules changed has its dead letter"));
		return true;
	}
	return err_set(err, ERR_OPERATOR,
	               "%s/%" PRId32 ": the rules have changed at offset %" PRId64
	               ", so a restore from offset %" PRId64 " needs the %" PRId64
	               " dead letters of the records refused since then, but %s/%" PRId32
	               " has %" PRId64 " of them, and retention has removed all before offset "
	               "%" PRId64
	               ": if this is the first start with new settings or a new version, start "
	               "with the former ones; or, " ERR_ADVICE_FRESH_SET
	               "; increase retention.ms of the dead letters to that of the raw events",
	               search->assigned->topic, search->assigned->task.params.partition,
	               search->assigned->task.rules_since, search->refused.from, search->expected,
	               search->topic, search->partition, search->refused.count, search->low);
}

static bool search_all(struct search *search, struct err *err)
{
	int32_t source = search->assigned->task.params.partition;

	snprintf(search->topic, sizeof(search->topic), "%s%s", search->loop->kafka.topic_prefix,
	         topic_of(TOPIC_DEAD_LETTER)->suffix);
	search->partition_count = search->loop->context->partition_count[TOPIC_DEAD_LETTER];
	search->partition = source % search->partition_count;
	health_ready("restoring: reading dead letters from before the change of rules");
	return topic_range_with_open(&search->loop->kafka, search->topic, search->partition,
	                             CALL_TIMEOUT_MS, &search->low, &search->end, err) &&
	       read_backwards(search, err) && check_complete(search, err);
}

static void log_found(const struct search *search)
{
	const struct task *task = &search->assigned->task;

	log_info(task->rules_changed ? "rules_changed" : "earlier_rules",
	         log_partition(search->assigned->topic, task->params.partition),
	         log_int("rules_since", task->rules_since), log_int("restore_from", task->position),
	         log_int("restore_to", task->restore_to), log_int("refused", search->refused.count),
	         log_str("rules", task->params.rules),
	         log_str("detail", "the restore takes from the dead letters which records were "
	                           "refused; rules apply from rules_since on"));
}

bool refused_records_find(struct task_loop *loop, struct assigned_task *assigned, struct err *err)
{
	struct task *task = &assigned->task;
	struct search search = {.loop = loop, .assigned = assigned, .polled_us = monotonic_us()};
	bool ok;

	if (!task_wants_refused(task, &search.expected))
		return true;
	if (task->restore_to - task->position > REFUSED_OFFSETS_MAX)
		return err_set(err, ERR_OPERATOR,
		               "%s/%" PRId32 ": the rules have changed, and a restore from offset "
		               "%" PRId64 " to %" PRId64 " is longer than %" PRId64
		               " offsets; " ERR_ADVICE_FRESH_SET,
		               assigned->topic, task->params.partition, task->position,
		               task->restore_to, REFUSED_OFFSETS_MAX);
	refused_offsets_init(&search.refused, task->position, task->restore_to);
	ok = search.expected == 0 || search_all(&search, err);
	if (ok) {
		log_found(&search);
		task_set_refused(task, &search.refused);
	}
	refused_offsets_free(&search.refused);
	return ok;
}
