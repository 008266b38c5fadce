/* One transaction: outputs and offsets. */
#ifndef FUNNEL_TASK_LOOP_TRANSACTION_H
#define FUNNEL_TASK_LOOP_TRANSACTION_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

/* Hands outputs that are not yet sent to the producer, beginning a transaction if need be. ERR_RETRY as below. */
MUST_USE bool transaction_send(struct task_loop *loop, struct err *err);
/* Commits outputs and offsets. ERR_RETRY with loop->committing: call again later, and fold nothing
 * in between; this includes a lost transaction, whose outputs wait in the outbox and are sent
 * again. ERR_RETRY without loop->committing: either no commit has begun, since the broker has not
 * answered (intake_recognises), or the commit succeeded, and the new producer is not ready
 * (txn_producer_replace_doubtful). Folding may go on in both cases. */
MUST_USE bool transaction_commit(struct task_loop *loop, struct err *err);
/* Ends the open transaction, if there is one, and forgets the outputs. */
MUST_USE bool transaction_drop(struct task_loop *loop, struct err *err);

#endif
