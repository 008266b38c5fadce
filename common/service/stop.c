#include "service/stop.h"

#include <stdatomic.h>

static atomic_int stop_count;

int stop_request(void)
{
	return atomic_fetch_add(&stop_count, 1);
}

bool service_stopping(void)
{
	return atomic_load_explicit(&stop_count, memory_order_relaxed) > 0;
}
