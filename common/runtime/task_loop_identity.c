/* Offsets count from 0 again where a topic is deleted and created again, and a position in the old log is a valid one in the new log as
 * soon as that has grown past it. The group's consumer does not notice: librdkafka 2.0.2 (and 2.15.1, by its source) handles the errors of
 * the time without a topic itself, and then reads on at the same offset of whatever log is there. A process that was frozen over that
 * moment does not even get the errors.
 *
 * So a slot remembers a record that was surely read from its log, and nothing is committed that came after a doubtful moment before that record
 * was found in its place. Doubtful is
 *   - the time before an assignment: the mark is that of the committed offset's metadata;
 *   - a partition that has delivered nothing for SILENCE_US and then something, whatever the reason: a quiet input, a frozen process, a
 *     broken connection, a topic that was away. To be replaced unseen, a log has to be deleted, created and filled past the position,
 *     and none of it can happen while its partition delivers records;
 *   - every CHECK_EVERY_US of an input that never rests, as what was fetched ahead hides a silence of the broker.
 *
 * A busy input pays for one look a minute; one with less than a record in SILENCE_US pays a few milliseconds for each commit.
 *
 * Limits: a log that is replaced and filled past the position within SILENCE_US, or within the time that the records fetched ahead last, is
 * noticed by the look after a minute: then the service ends, but rows were skipped. So it is where the machine's clock stands still
 * with the process. */
#include <stdlib.h>

#include "log.h"
#include "same_log.h"
#include "table.h"
#include "task_loop_internal.h"

#define SILENCE_US INT64_C(500000)
#define CHECK_EVERY_US INT64_C(60000000)

void identity_open(struct slot *slot)
{
	slot->known = slot->task.last;
	slot->seen_us = monotonic_us();
	slot->doubted = true;
}

void identity_seen(struct slot *slot, int64_t polled_us)
{
	if (polled_us - slot->seen_us > SILENCE_US && !slot->doubted) {
		slot->known = slot->task.last;
		slot->doubted = true;
	}
	slot->seen_us = polled_us;
}

static bool is_due(const struct slot *slot, int64_t now_us)
{
	return slot->doubted || (now_us - slot->known_us >= CHECK_EVERY_US && slot->task.last.offset > slot->known.offset);
}

static bool verify_input(struct task_loop *loop, size_t input, int64_t now_us, struct err *err)
{
	size_t count = (size_t)loop->input_partitions[input], marked = 0;
	struct record_mark *marks = xrealloc(NULL, count * sizeof(*marks));
	bool ok;

	for (size_t p = 0; p < count; p++)
		marks[p] = RECORD_MARK_NONE;
	for (size_t i = 0; i < loop->slot_count; i++) {
		const struct slot *slot = &loop->slots[i];

		if (slot->input != &loop->inputs[input] || !is_due(slot, now_us))
			continue;
		marks[slot->task.terms.partition] = slot->known;
		marked += slot->known.offset >= 0;
	}
	ok = marked == 0 || same_log(&loop->kafka, loop->input_topics[input], (int32_t)count, marks, err);
	if (ok && marked)
		log_debug("log_recognised", "topic=%s partitions=%zu took_us=%" PRId64, loop->input_topics[input], marked, monotonic_us() - now_us);
	free(marks);
	return ok;
}

bool identity_verified(struct task_loop *loop, struct err *err)
{
	int64_t now_us = monotonic_us();

	for (size_t i = 0; i < loop->input_count; i++)
		if (!verify_input(loop, i, now_us, err))
			return false;
	for (size_t i = 0; i < loop->slot_count; i++) {
		struct slot *slot = &loop->slots[i];

		if (!is_due(slot, now_us))
			continue;
		slot->known = slot->task.last;
		slot->known_us = now_us;
		slot->doubted = false;
	}
	return true;
}
