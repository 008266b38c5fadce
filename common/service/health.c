/* /livez depends on the time of the loop's last step, /readyz on the reason why the service is
 * not ready.
 *
 * Before the loop's first step the service counts as alive: it may wait in open for a server, and
 * a restart would not help. Each change of readiness is also reported to systemd. Limits: a reason
 * has at most 511 bytes. */
#include "service/health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "service/monotime.h"
#include "service/supervisor.h"

static struct {
	pthread_mutex_t lock;
	char reason[512];         /* empty: ready */
	bool reported;            /* health_ready was called */
	_Atomic int64_t alive_us; /* 0: the loop has not begun */
	_Atomic int64_t limit_us;
} health = {.lock = PTHREAD_MUTEX_INITIALIZER, .reason = "starting", .limit_us = INT64_C(60000000)};

/* Under the lock, so that the supervisor gets the changes in their order. */
static void set_reason(const char *reason)
{
	char now[sizeof(health.reason)];

	snprintf(now, sizeof(now), "%s", reason ? reason : "");
	if (strcmp(now, health.reason) == 0)
		return;
	memcpy(health.reason, now, sizeof(now));
	supervisor_report(now[0] ? now : NULL);
}

void health_ready(const char *reason)
{
	pthread_mutex_lock(&health.lock);
	health.reported = true;
	set_reason(reason);
	pthread_mutex_unlock(&health.lock);
}

void health_opened(void)
{
	pthread_mutex_lock(&health.lock);
	if (!health.reported)
		set_reason(NULL);
	pthread_mutex_unlock(&health.lock);
}

void health_alive(void)
{
	atomic_store_explicit(&health.alive_us, monotonic_us(), memory_order_relaxed);
}

void health_limit_ms(int64_t limit_ms)
{
	atomic_store(&health.limit_us, limit_ms * 1000);
}

bool health_is_live(char *body, size_t cap)
{
	int64_t alive_us = atomic_load(&health.alive_us), idle_us = monotonic_us() - alive_us;
	bool live = alive_us == 0 || idle_us <= atomic_load(&health.limit_us);

	if (live)
		snprintf(body, cap, "ok\n");
	else
		snprintf(body, cap, "main loop made no progress for %lld ms\n",
		         (long long)(idle_us / 1000));
	return live;
}

bool health_is_ready(char *body, size_t cap)
{
	bool ready;

	pthread_mutex_lock(&health.lock);
	ready = !health.reason[0];
	snprintf(body, cap, "%s\n", ready ? "ready" : health.reason);
	pthread_mutex_unlock(&health.lock);
	return ready;
}
