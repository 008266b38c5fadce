#include "base/backoff.h"

#include <stdlib.h>

void backoff_reset(struct backoff *backoff)
{
	backoff->delay_us = 0;
	backoff->next_us = 0;
}

void backoff_grow(struct backoff *backoff, int64_t now_us)
{
	int64_t half_us;

	backoff->delay_us = backoff->delay_us == 0 ? BACKOFF_MIN_US : backoff->delay_us * 2;
	if (backoff->delay_us > BACKOFF_MAX_US)
		backoff->delay_us = BACKOFF_MAX_US;
	half_us = backoff->delay_us / 2;
	backoff->next_us = now_us + half_us + rand_r(&backoff->seed) % half_us;
}

bool backoff_is_due(const struct backoff *backoff, int64_t now_us)
{
	return now_us >= backoff->next_us;
}
