/* Order within a partition: its queue is polled only if the shared queue was found empty after the
 * partition was separated. From then on, librdkafka's thread adds none of its records to the shared
 * queue, not even after a new assignment, because we have set the target of its queue
 * (RD_KAFKA_Q_F_FWD_APP). If a partition is joined again, librdkafka moves what its queue has to
 * the end of the shared queue.
 *
 * Records of an earlier assignment are obsolete, and librdkafka drops them. */
#include "kafka/partition_queues.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "service/monotime.h"

/* With this number of records or bytes in the shared queue, many records wait. */
#ifndef SEPARATE_RECORDS
#define SEPARATE_RECORDS 1000
#endif
#define SEPARATE_BYTES (256 * 1024)
#define JOIN_AFTER_US  20000 /* all queues were empty for this time */
#define SLICE_MS       1     /* of a wait while partitions are separate */

struct partition_queues {
	rd_kafka_queue_t *shared;
	rd_kafka_t *client;
	rd_kafka_queue_t **own; /* of each assigned partition */
	size_t count, next;     /* next: the first to be polled */
	bool separate;
	int64_t empty_since_us; /* all queues were empty since then; 0: they were not */
};

struct partition_queues *partition_queues_new(rd_kafka_t *client)
{
	struct partition_queues *queues = xrealloc(NULL, sizeof(*queues));

	*queues = (struct partition_queues){.client = client,
	                                    .shared = rd_kafka_queue_get_consumer(client)};
	return queues;
}

/* target NULL: each partition gets its own queue. */
static void forward(struct partition_queues *queues, rd_kafka_queue_t *target)
{
	queues->separate = target == NULL;
	queues->empty_since_us = 0;
	for (size_t i = 0; i < queues->count; i++)
		rd_kafka_queue_forward(queues->own[i], target);
}

void partition_queues_assign(struct partition_queues *queues,
                             const rd_kafka_topic_partition_list_t *list)
{
	size_t count = list ? (size_t)list->cnt : 0;

	forward(queues, queues->shared);
	for (size_t i = 0; i < queues->count; i++)
		rd_kafka_queue_destroy(queues->own[i]);
	queues->count = queues->next = 0;
	queues->own = xrealloc(queues->own, (count + 1) * sizeof(*queues->own));
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_topic_partition_t *partition = &list->elems[i];
		rd_kafka_queue_t *own =
			rd_kafka_queue_get_partition(queues->client, partition->topic,
		                                     partition->partition);

		if (own)
			queues->own[queues->count++] = own;
	}
}

void partition_queues_free(struct partition_queues *queues)
{
	if (!queues)
		return;
	partition_queues_assign(queues, NULL);
	free(queues->own);
	rd_kafka_queue_destroy(queues->shared);
	free(queues);
}

static size_t take(rd_kafka_queue_t *queue, int wait_ms, rd_kafka_message_t **messages, size_t room)
{
	ssize_t got = rd_kafka_consume_batch_queue(queue, wait_ms, messages, room);

	return got > 0 ? (size_t)got : 0;
}

/* rd_kafka_consume_batch_queue waits until its array is full, so we wait for one message only. */
static size_t wait_for(rd_kafka_queue_t *queue, int wait_ms, rd_kafka_message_t **messages,
                       size_t room)
{
	size_t got = wait_ms > 0 ? take(queue, wait_ms, messages, 1) : 0;

	return got == 1 && room > 1 ? 1 + take(queue, 0, messages + 1, room - 1) : got;
}

static bool many_wait(const struct partition_queues *queues, rd_kafka_message_t *const *messages,
                      size_t count)
{
	size_t bytes = 0;

	if (count + rd_kafka_queue_length(queues->shared) >= SEPARATE_RECORDS)
		return true;
	for (size_t i = 0; i < count; i++)
		bytes += messages[i]->len;
	return bytes >= SEPARATE_BYTES;
}

static size_t shared_messages(struct partition_queues *queues, rd_kafka_message_t **messages,
                              size_t count)
{
	if (count > 0 && !queues->separate && many_wait(queues, messages, count))
		forward(queues, NULL);
	return count;
}

static size_t take_own(struct partition_queues *queues, rd_kafka_message_t **messages, size_t room)
{
	size_t got = 0;

	for (size_t i = 0; i < queues->count && got == 0; i++) {
		got = take(queues->own[queues->next], 0, messages, room);
		queues->next = (queues->next + 1) % queues->count;
	}
	if (got > 0)
		queues->empty_since_us = 0;
	return got;
}

static bool stays_empty(struct partition_queues *queues, int64_t now_us)
{
	if (queues->empty_since_us == 0)
		queues->empty_since_us = now_us;
	return now_us - queues->empty_since_us >= JOIN_AFTER_US;
}

/* Only one queue can be waited for. So a wait has slices, and the other queues are polled between
 * them, until all of them have been empty for some time. */
static size_t poll_separate(struct partition_queues *queues, int wait_ms,
                            rd_kafka_message_t **messages, size_t room)
{
	int64_t now_us = monotonic_us(), until_us = now_us + (int64_t)wait_ms * 1000;
	size_t got;

	while ((got = take_own(queues, messages, room)) == 0 && !stays_empty(queues, now_us)) {
		if (now_us >= until_us)
			return 0;
		got = wait_for(queues->shared, SLICE_MS, messages, room);
		if (got > 0)
			return shared_messages(queues, messages, got);
		now_us = monotonic_us();
	}
	if (got > 0)
		return got;
	forward(queues, queues->shared);
	return shared_messages(queues, messages,
	                       wait_for(queues->shared, (int)((until_us - now_us) / 1000), messages,
	                                room));
}

size_t partition_queues_poll(struct partition_queues *queues, int wait_ms,
                             rd_kafka_message_t **messages, size_t room)
{
	size_t got = take(queues->shared, 0, messages, room);

	if (got > 0)
		return shared_messages(queues, messages, got);
	if (queues->separate)
		return poll_separate(queues, wait_ms, messages, room);
	return shared_messages(queues, messages, wait_for(queues->shared, wait_ms, messages, room));
}
