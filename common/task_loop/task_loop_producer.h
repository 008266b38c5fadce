/* The transactional producer: opens, initialises, replaces and closes it. */
#ifndef FUNNEL_TASK_LOOP_PRODUCER_H
#define FUNNEL_TASK_LOOP_PRODUCER_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Creates the client and its topics. Sends nothing that needs an answer. */
MUST_USE bool txn_producer_open(struct task_loop *loop, struct err *err);
/* Opens the producer if there is none, and initialises its transactions. That fences any other
 * producer with our transactional id, and ends a transaction that it left open. ERR_RETRY: call
 * again. */
MUST_USE bool txn_producer_ready(struct task_loop *loop, struct err *err);
/* Replaces a producer that is in doubt (txn_doubt.h). Call it after each commit. ERR_RETRY: the
 * commit has succeeded, but the new producer is not ready. */
MUST_USE bool txn_producer_replace_doubtful(struct task_loop *loop, struct err *err);
/* Call it after a call of the producer that failed with ERR_RETRY. True: such calls have failed for
 * 30 s or more, although the brokers answer a new client, and *err begins with that. This client
 * does not recover any more. */
bool txn_producer_is_lost(struct task_loop *loop, struct err *err);
/* Destroys the client, and marks all outputs in the outbox as not sent. The next
 * txn_producer_ready creates a new client and ends the open transaction. ERR_FENCED: the client
 * does not end; the outputs are dropped. */
MUST_USE bool txn_producer_close(struct task_loop *loop, struct err *err);

#endif
