#include "stream/commit_pace.h"

#include "stream/catch_up.h"

void commit_pace_took(struct commit_pace *pace, int64_t took_us)
{
	if (took_us < 1)
		took_us = 1;
	if (took_us > COMMIT_PACE_TOOK_MAX_US)
		took_us = COMMIT_PACE_TOOK_MAX_US;
	if (pace->fastest_us == 0)
		pace->fastest_us = pace->mean_us = took_us;
	if (took_us < pace->fastest_us)
		pace->fastest_us = took_us;
	pace->mean_us += (took_us - pace->mean_us) / COMMIT_PACE_MEAN;
}

int64_t commit_pace_us(const struct commit_pace *pace, int64_t rows, int64_t since_us,
                       int64_t timeout_us)
{
	int64_t longest_us = longest_collecting_us(timeout_us);
	int64_t usual_us = 2 * pace->fastest_us > COMMIT_PACE_QUICK_US ? 2 * pace->fastest_us
	                                                               : COMMIT_PACE_QUICK_US;
	int64_t too_long_us = pace->mean_us - usual_us;
	int64_t rate_us = COMMIT_PACE_RATE_US * 1000 * rows / (since_us > 0 ? since_us : 1);
	int64_t worth_us = rate_us - COMMIT_PACE_RATE_US * COMMIT_PACE_FROM;
	int64_t wait_us = COMMIT_PACE_FACTOR * too_long_us;

	if (wait_us > worth_us)
		wait_us = worth_us;
	if (wait_us < 0)
		return 0;
	return wait_us < longest_us ? wait_us : longest_us;
}
