/* The replay clock is computed from an anchor, and the rate exactly with its remainder. So rounding
 * errors do not add up over a long replay. */
#include "pace.h"

#include "base/number.h"

#define BURST_NS  INT64_C(10000000)
#define SPEED_MAX 1000000

bool pace_speed_parse(struct span text, int64_t *speed_milli)
{
	if (span_is(text, "max")) {
		*speed_milli = 0;
		return true;
	}
	if (text.len > 0 && text.at[text.len - 1] == 'x')
		text.len--;
	return decimal_parse(text, 3, INT64_C(1000) * SPEED_MAX, speed_milli) && *speed_milli > 0;
}

void pace_anchor(struct pace *pace, int64_t event_us, int64_t now_us)
{
	pace->anchor_event_us = event_us;
	pace->anchor_us = now_us;
	pace->anchored = true;
}

int64_t pace_wait_us(const struct pace *pace, int64_t event_us, int64_t now_us)
{
	int64_t wait_us = 0;

	if (pace->speed_milli > 0 && pace->anchored)
		wait_us = pace->anchor_us +
		          (event_us - pace->anchor_event_us) * 1000 / pace->speed_milli - now_us;
	if (pace->rate > 0 && (pace->due_ns + 999) / 1000 - now_us > wait_us)
		wait_us = (pace->due_ns + 999) / 1000 - now_us;
	return wait_us > 0 ? wait_us : 0;
}

void pace_sent(struct pace *pace, int64_t now_us)
{
	if (pace->rate == 0)
		return;
	if (pace->due_ns < now_us * 1000 - BURST_NS) {
		pace->due_ns = now_us * 1000 - BURST_NS;
		pace->due_rest = 0;
	}
	pace->due_rest += INT64_C(1000000000) % pace->rate;
	pace->due_ns += INT64_C(1000000000) / pace->rate + pace->due_rest / pace->rate;
	pace->due_rest %= pace->rate;
}
