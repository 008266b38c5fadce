/* The environment carries the number of restarts to the next process. Two processes that share one
 * transactional id would fence each other forever; the growing pause and the limit end that.
 *
 * execv closes all descriptors except the standard ones. It cannot be done earlier: other threads
 * use them until then.
 *
 * Rejected: a supervisor in the local stack. `make status` would show, and tests would kill, the
 * process id of the supervisor. compose and systemd restart services themselves. */
#define _GNU_SOURCE /* close_range */
#include "service/restart.h"

#include <errno.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "service/log.h"
#include "service/monotime.h"
#include "service/stop.h"

#define COUNT_VARIABLE "FUNNEL_RESTART_COUNT"
#define RESTARTS_MAX   10
#define LONG_RUN_US    (300 * INT64_C(1000000))

static char **arguments;
static bool wanted;
static int64_t started_us;

void restart_init(char **argv)
{
	arguments = argv;
	started_us = monotonic_us();
}

void restart_enable(bool enabled)
{
	wanted = enabled;
}

static void close_descriptors_at_exec(void)
{
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		log_warn("descriptors_not_closed", log_str("error", strerror(errno)));
}

static void pause_before(long count)
{
	int64_t pause_us = 500000;

	for (long i = 1; i < count && pause_us < 30000000; i++)
		pause_us *= 2;
	log_warn("restarting", log_int("count", count), log_int("pause_ms", pause_us / 1000));
	for (int64_t until_us = monotonic_us() + pause_us;
	     monotonic_us() < until_us && !service_stopping();)
		usleep(50000);
}

void restart_in_place(void)
{
	const char *before = getenv(COUNT_VARIABLE);
	long count = before && monotonic_us() - started_us < LONG_RUN_US
	                     ? strtol(before, NULL, 10) + 1
	                     : 1;
	char text[24];

	if (!wanted || service_stopping() || count > RESTARTS_MAX)
		return;
	pause_before(count);
	if (service_stopping())
		return;
	snprintf(text, sizeof(text), "%ld", count);
	setenv(COUNT_VARIABLE, text, 1);
	close_descriptors_at_exec();
	execv("/proc/self/exe", arguments);
}
