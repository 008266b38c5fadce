/* The transactional producer: opened, fenced, replaced when in doubt. */
#ifndef FUNNEL_TASK_LOOP_PRODUCER_H
#define FUNNEL_TASK_LOOP_PRODUCER_H

#include "base/err.h"
#include "task_loop/task_loop_state.h"

MUST_USE bool txn_producer_open(struct task_loop *loop, struct err *err);
/* Fences whoever had our transactional id before, and ends what they or we left open. ERR_RETRY: call again. */
MUST_USE bool txn_producer_ready(struct task_loop *loop, struct err *err);
/* Called after a commit, before the producer is used again: replaces a producer that is in doubt
 * (txn_doubt.h). ERR_RETRY: the commit stands, and the next transaction waits for the new
 * producer. */
MUST_USE bool txn_producer_replace_doubtful(struct task_loop *loop, struct err *err);
/* Ends the client and with it the open transaction; the next txn_producer_ready makes a new one. ERR_FENCED if the client does
 * not end; the outputs are lost then. */
MUST_USE bool txn_producer_close(struct task_loop *loop, struct err *err);

#endif
