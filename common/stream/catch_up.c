#include "stream/catch_up.h"

bool catching_up(int64_t folded, int64_t readable)
{
	return readable >= CATCH_UP_RECORDS && readable / CATCH_UP_FACTOR > folded;
}

int64_t longest_collecting_us(int64_t timeout_us)
{
	return timeout_us / 4 < COLLECTING_MAX_US ? timeout_us / 4 : COLLECTING_MAX_US;
}

int64_t commit_interval_us(int64_t interval_us, int64_t timeout_us, bool catching_up)
{
	int64_t longest_us = longest_collecting_us(timeout_us);

	return catching_up && interval_us < longest_us ? longest_us : interval_us;
}
