/* How far the run is: one line that is redrawn on a terminal, otherwise a log line every five seconds. */
#ifndef FUNNEL_DISPLAY_H
#define FUNNEL_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct display {
	bool terminal, drawn;
	int64_t started_us, shown_us, shown_rows;
	int64_t started_part; /* of the total, when this run began */
};

struct display_numbers {
	int64_t rows, event_time_us; /* INT64_MIN: none yet */
	int64_t part, total;
};

void display_init(struct display *display, int64_t now_us, int64_t part);
/* Cheap when it is not yet time to show anything. */
void display_show(struct display *display, const struct display_numbers *numbers, int64_t now_us);
/* Ends the redrawn line. */
void display_end(struct display *display);

#endif
