/* When the next row may be sent: by a replay clock, by a rate, or by both. Pure: the time is a
 * parameter.
 *
 * Replay: event time advances `speed` times as fast as real time, beginning at the first row. Rate:
 * rows are evenly spaced. After a stall, at most 10 ms of rows are sent at once. */
#ifndef FUNNEL_PACE_H
#define FUNNEL_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct pace {
	int64_t speed_milli; /* 60x: 60000; 0: as fast as possible */
	int64_t rate;        /* rows a second; 0: no limit */
	int64_t anchor_event_us, anchor_us;
	bool anchored;
	/* when the next row is due by the rate; due_rest in parts of 1/rate ns */
	int64_t due_ns, due_rest;
};

/* "max", "1x", "60", "0.5x": up to three decimals, at most 1,000,000. */
bool pace_speed_parse(struct span text, int64_t *speed_milli);

/* Sets the replay clock to this event time at this moment: at the start, and after an announced
 * jump, so that the jump is not waited for. */
void pace_anchor(struct pace *pace, int64_t event_us, int64_t now_us);
/* Microseconds until a row with this newest event time is due; 0: now. */
int64_t pace_wait_us(const struct pace *pace, int64_t event_us, int64_t now_us);
/* Counts one row that was sent. */
void pace_sent(struct pace *pace, int64_t now_us);

#endif
