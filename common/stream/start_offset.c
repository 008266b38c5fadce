#include "stream/start_offset.h"

enum start_result start_check(int64_t stored, int64_t from, int64_t low, int64_t high)
{
	if (stored < 0)
		return START_FIRST;
	if (stored > high)
		return START_BEYOND_END;
	return from < low ? START_LOST_RECORDS : START_RESUME;
}
