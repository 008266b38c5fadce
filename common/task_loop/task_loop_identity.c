/* Offsets count from 0 again after a topic is deleted and created again, and the group's consumer
 * does not notice: librdkafka (2.0.2; 2.15.1 has a FIXME for it) handles the errors itself while
 * the topic is missing, and then reads on at the same offset of the new log. A process that is
 * frozen during that time does not even get the errors. So a partition's log is recognised by a
 * record that was read from it. core/log_watch.h defines when, and core/log_watch.c what is not
 * noticed.
 *
 * A busy input costs one look a minute. An input that pauses between its records costs a few
 * milliseconds for each commit. */
#include <stdlib.h>

#include "base/memory.h"
#include "kafka/same_log.h"
#include "service/log.h"
#include "service/monotime.h"
#include "task_loop/task_loop_internal.h"

static size_t ask(const struct task_loop *loop, int64_t now_us, struct log_question *questions)
{
	size_t count = 0;

	for (size_t i = 0; i < loop->slot_count; i++) {
		const struct slot *slot = &loop->slots[i];

		if (log_watch_asks(&slot->log, &slot->task.last, now_us))
			questions[count++] = (struct log_question){.topic = slot->topic,
			                                           .partition = slot->task.terms.partition,
			                                           .mark = slot->log.known};
	}
	return count;
}

bool identity_verified(struct task_loop *loop, struct err *err)
{
	struct log_question *questions = xrealloc(NULL, (loop->slot_count + 1) * sizeof(*questions));
	int64_t now_us = monotonic_us();
	size_t count = ask(loop, now_us, questions);
	bool ok = same_log(&loop->kafka, questions, count, err);

	if (ok && count)
		log_debug("input_topics_verified", log_uint("partitions", count),
		          log_int("took_us", monotonic_us() - now_us));
	for (size_t i = 0; ok && i < loop->slot_count; i++) {
		struct slot *slot = &loop->slots[i];

		if (log_watch_asks(&slot->log, &slot->task.last, now_us))
			log_watch_found(&slot->log, &slot->task.last, now_us);
	}
	free(questions);
	return ok;
}
