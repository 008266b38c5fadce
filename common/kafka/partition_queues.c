/* A partition is in one of two states. It has its own queue, or librdkafka forwards that to the
 * shared queue of the client.
 *
 * librdkafka ends an earlier assignment in its own thread, at some later time, and takes the
 * forwarding away then. When a partition starts again, it is forwarded only if the application has
 * never set its forwarding (RD_KAFKA_Q_F_FWD_APP). So a partition may have its own queue although
 * we have joined it. For this reason own queues are also polled while partitions are joined, ten
 * times a second. A poll of a queue that is forwarded polls the shared queue.
 *
 * Order within a partition: its own queue is polled only when the shared queue is empty. If a
 * partition gets its own queue, its earlier records are in the shared queue, and no more are added
 * there. If it is joined, librdkafka moves what its queue has to the end of the shared queue. */
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
#define FEW_RECORDS    (SEPARATE_RECORDS / 4)
#define JOIN_AFTER_US  20000  /* no poll of an own queue had more than few records for this time */
#define JOINED_POLL_US 100000 /* between polls of own queues while they are joined */
#define SLICE_MS       1      /* of a wait while partitions are separate */
#define DROP_MAX       64

struct partition_queues {
	rd_kafka_queue_t *shared;
	rd_kafka_t *client;
	rd_kafka_queue_t **own; /* of each assigned partition */
	size_t count, next;     /* next: the first to be polled */
	bool separate;          /* no partition was joined since they got their own queues */
	int64_t few_since_us; /* no poll of an own queue had many records since then; 0: one had */
	int64_t own_polled_us;
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
	queues->few_since_us = 0;
	for (size_t i = 0; i < queues->count; i++)
		rd_kafka_queue_forward(queues->own[i], target);
}

static size_t take(rd_kafka_queue_t *queue, int wait_ms, rd_kafka_message_t **messages, size_t room)
{
	ssize_t got = rd_kafka_consume_batch_queue(queue, wait_ms, messages, room);

	return got > 0 ? (size_t)got : 0;
}

/* Drops what own queues still have of an earlier assignment, to free the memory. librdkafka never
 * returns it after a new assignment. */
static void release(struct partition_queues *queues)
{
	rd_kafka_message_t *messages[DROP_MAX];
	size_t got;

	for (size_t i = 0; i < queues->count; i++) {
		while (queues->separate && (got = take(queues->own[i], 0, messages, DROP_MAX)) > 0)
			while (got > 0)
				rd_kafka_message_destroy(messages[--got]);
		rd_kafka_queue_destroy(queues->own[i]);
	}
	queues->count = queues->next = 0;
}

rd_kafka_resp_err_t partition_queues_assign(struct partition_queues *queues,
                                            const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_resp_err_t code = rd_kafka_assign(queues->client, list);
	size_t count = list ? (size_t)list->cnt : 0;

	release(queues);
	queues->own = xrealloc(queues->own, (count + 1) * sizeof(*queues->own));
	for (size_t i = 0; i < count; i++) {
		const rd_kafka_topic_partition_t *partition = &list->elems[i];
		rd_kafka_queue_t *queue =
			rd_kafka_queue_get_partition(queues->client, partition->topic,
		                                     partition->partition);

		if (queue)
			queues->own[queues->count++] = queue;
	}
	forward(queues, NULL);
	return code;
}

void partition_queues_free(struct partition_queues *queues)
{
	if (!queues)
		return;
	release(queues);
	free(queues->own);
	rd_kafka_queue_destroy(queues->shared);
	free(queues);
}

/* rd_kafka_consume_batch_queue waits until its array is full, so we wait for one message only. */
static size_t wait_for(rd_kafka_queue_t *queue, int wait_ms, rd_kafka_message_t **messages,
                       size_t room)
{
	size_t got = wait_ms > 0 ? take(queue, wait_ms, messages, 1) : 0;

	return got == 1 && room > 1 ? 1 + take(queue, 0, messages + 1, room - 1) : got;
}

/* More messages than those that were polled wait in the shared queue, or these are large. */
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

/* In turn. Records in the queue of a joined partition are the reason to separate all. */
static size_t take_own(struct partition_queues *queues, int64_t now_us,
                       rd_kafka_message_t **messages, size_t room)
{
	size_t got = 0;

	if (!queues->separate && now_us - queues->own_polled_us < JOINED_POLL_US)
		return 0;
	queues->own_polled_us = now_us;
	for (size_t i = 0; i < queues->count && got == 0; i++) {
		got = take(queues->own[queues->next], 0, messages, room);
		queues->next = (queues->next + 1) % queues->count;
	}
	if (got > 0 && !queues->separate)
		forward(queues, NULL);
	if (got > FEW_RECORDS)
		queues->few_since_us = 0;
	return got;
}

/* Called when all queues are empty. Joins the partitions if few records have come for some time.
 * Only one queue can be waited for. So while partitions are separate, a wait has slices. Returns
 * the length of the next one. */
static int slice_ms(struct partition_queues *queues, int64_t now_us, int64_t until_us)
{
	if (queues->few_since_us == 0)
		queues->few_since_us = now_us;
	if (queues->separate && now_us - queues->few_since_us >= JOIN_AFTER_US)
		forward(queues, queues->shared);
	return queues->separate ? SLICE_MS : (int)((until_us - now_us + 999) / 1000);
}

size_t partition_queues_poll(struct partition_queues *queues, int wait_ms,
                             rd_kafka_message_t **messages, size_t room)
{
	int64_t now_us = monotonic_us(), until_us = now_us + (int64_t)wait_ms * 1000;
	size_t got = take(queues->shared, 0, messages, room);

	while (got == 0 && (got = take_own(queues, now_us, messages, room)) == 0 &&
	       now_us < until_us) {
		got = wait_for(queues->shared, slice_ms(queues, now_us, until_us), messages, room);
		now_us = monotonic_us();
	}
	if (got > 0 && !queues->separate && many_wait(queues, messages, got))
		forward(queues, NULL);
	return got;
}
