#include "stream/catch_up.h"

bool catching_up(int64_t folded, int64_t readable)
{
	return readable >= CATCH_UP_RECORDS && readable / CATCH_UP_FACTOR > folded;
}

int64_t commit_interval_us(int64_t interval_us, int64_t timeout_us, bool catching_up)
{
	int64_t longest_us = timeout_us / 4;

	if (longest_us > CATCH_UP_INTERVAL_US)
		longest_us = CATCH_UP_INTERVAL_US;
	return catching_up && interval_us < longest_us ? longest_us : interval_us;
}
