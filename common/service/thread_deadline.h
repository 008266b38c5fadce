/* Waiting for a thread that may hang, such as one that calls a library without a timeout.
 *
 * Only the monotonic clock counts: the wall clock may be set back meanwhile. */
#ifndef FUNNEL_THREAD_DEADLINE_H
#define FUNNEL_THREAD_DEADLINE_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/* This number of seconds from now, by the monotonic clock. */
struct timespec thread_deadline(int seconds);
/* Joins the thread. Returns false if it has not ended by the deadline: then it is detached, and
 * what it uses must stay allocated. */
bool thread_join_by(pthread_t thread, struct timespec deadline);

#endif
