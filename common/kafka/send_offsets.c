/* The call runs in a thread of its own, because there is no other way to stop waiting for it. The
 * thread costs some tens of microseconds per transaction. A call that hangs keeps its arguments
 * allocated.
 *
 * Rejected: a patched librdkafka, because the distribution's library does not have the patch. */
#include "kafka/send_offsets.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kafka/kafka_error.h"
#include "service/thread_deadline.h"

#define GRACE_S 10 /* librdkafka may return a little after its timeout */

struct call {
	rd_kafka_t *producer;
	rd_kafka_topic_partition_list_t *offsets;
	rd_kafka_consumer_group_metadata_t *group;
	int timeout_ms;
	rd_kafka_error_t *error;
};

static void *run(void *context)
{
	struct call *call = context;

	call->error = rd_kafka_send_offsets_to_transaction(call->producer, call->offsets,
	                                                   call->group, call->timeout_ms);
	return NULL;
}

static void call_free(struct call *call)
{
	rd_kafka_consumer_group_metadata_destroy(call->group);
	rd_kafka_topic_partition_list_destroy(call->offsets);
	free(call);
}

bool send_offsets_within(rd_kafka_t *producer, rd_kafka_topic_partition_list_t *offsets,
                         rd_kafka_consumer_group_metadata_t *group, int timeout_ms, struct err *err)
{
	struct call *call = xrealloc(NULL, sizeof(*call));
	rd_kafka_error_t *error;
	struct timespec deadline = thread_deadline(timeout_ms / 1000 + GRACE_S);
	pthread_t thread;

	*call = (struct call){producer, offsets, group, timeout_ms, NULL};
	if (pthread_create(&thread, NULL, run, call) != 0) {
		call_free(call);
		return err_set(err, ERR_FENCED,
		               "send offsets to transaction: cannot create a thread");
	}
	if (!thread_join_by(thread, deadline))
		return err_set(
			err, ERR_FENCED,
			"send offsets to transaction: librdkafka %s did not return within %d s "
			"after its timeout of %d ms (upstream #5456); the process has to restart",
			rd_kafka_version_str(), GRACE_S, timeout_ms);
	error = call->error;
	call_free(call);
	return !error || kafka_err_take(err, error, "send offsets to transaction");
}
