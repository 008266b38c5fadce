/* C11 threads by POSIX threads. Only for the flavour tsan.
 *
 * librdkafka uses C11's <threads.h>, which gcc's thread sanitizer does not intercept. A thread
 * created by thrd_create crashes the sanitizer. A mutex that it does not see makes it report races
 * for all data that the mutex guards. The linker prefers these functions to those of the C library,
 * also for librdkafka. They call POSIX functions, which the sanitizer intercepts.
 *
 * glibc's types allow this: mtx_t and cnd_t are as large as the POSIX types, and thrd_t is
 * pthread_t. */
#define _GNU_SOURCE /* pthread_timedjoin_np */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "glibc's mtx_t holds a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "glibc's cnd_t holds a pthread_cond_t");

struct start {
	thrd_start_t function;
	void *argument;
};

static int result(int code)
{
	switch (code) {
	case 0: return thrd_success;
	case ENOMEM: return thrd_nomem;
	case ETIMEDOUT: return thrd_timedout;
	case EBUSY: return thrd_busy;
	default: return thrd_error;
	}
}

static void *run(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	start.function(start.argument);
	return NULL;
}

/* The result of the thread is lost. librdkafka does not use it. */
int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
	struct start *start = malloc(sizeof(*start));
	int code;

	if (!start)
		return thrd_nomem;
	*start = (struct start){function, argument};
	code = pthread_create(thread, NULL, run, start);
	if (code != 0)
		free(start);
	return result(code);
}

int thrd_join(thrd_t thread, int *out)
{
	if (out)
		*out = 0;
	return result(pthread_join(thread, NULL));
}

int mtx_init(mtx_t *mutex, int type)
{
	pthread_mutexattr_t attributes;
	int code;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE
	                                                            : PTHREAD_MUTEX_NORMAL);
	code = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return result(code);
}

int mtx_lock(mtx_t *mutex)
{
	return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
	return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

void mtx_destroy(mtx_t *mutex)
{
	pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int cnd_init(cnd_t *condition)
{
	return result(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

int cnd_signal(cnd_t *condition)
{
	return result(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
	return result(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
	return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
	return result(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex,
	                                     until));
}

void cnd_destroy(cnd_t *condition)
{
	pthread_cond_destroy((pthread_cond_t *)condition);
}

/* The sanitizer knows pthread_timedjoin_np only. */
int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock,
                         const struct timespec *until)
{
	struct timespec now, deadline;

	clock_gettime(clock, &now);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += until->tv_sec - now.tv_sec;
	return pthread_timedjoin_np(thread, result, &deadline);
}
