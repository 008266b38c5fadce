/* The transaction that commits outputs, counts and offsets. */
#ifndef FUNNEL_TASK_LOOP_TRANSACTION_H
#define FUNNEL_TASK_LOOP_TRANSACTION_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Gives unsent outputs to the producer. Begins a transaction if there is none. ERR_RETRY: as
 * below. */
MUST_USE bool transaction_send(struct task_loop *loop, struct err *err);
/* The same, but only if the broker has had the time to complete the last transaction. */
MUST_USE bool transaction_send_early(struct task_loop *loop, struct err *err);
/* Commits outputs and offsets. ERR_RETRY with loop->committing: fold nothing, and call again
 * later. That includes a lost transaction: its outputs stay in the outbox, and the next call
 * sends them again. ERR_RETRY without loop->committing: folding may continue. Either no commit
 * has begun, because a broker did not answer (intake_recognises), or the commit has succeeded,
 * but the new producer is not ready (txn_producer_replace_doubtful). */
MUST_USE bool transaction_commit(struct task_loop *loop, struct err *err);
/* Drops the open transaction, if there is one, and the outputs. */
MUST_USE bool transaction_drop(struct task_loop *loop, struct err *err);

#endif
