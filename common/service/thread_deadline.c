#define _GNU_SOURCE /* pthread_clockjoin_np */
#include "service/thread_deadline.h"

struct timespec thread_deadline(int seconds)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += seconds;
	return deadline;
}

bool thread_join_by(pthread_t thread, struct timespec deadline)
{
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline) == 0)
		return true;
	pthread_detach(thread);
	return false;
}
