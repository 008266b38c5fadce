/* The progress of the run. On a terminal: one line that is redrawn; otherwise: a log line every
 * five seconds. */
#ifndef FUNNEL_DISPLAY_H
#define FUNNEL_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct display {
	bool terminal, drawn;
	int64_t started_us, shown_us, shown_rows;
	int64_t started_done; /* `done` at the beginning of this run */
	char run[32];         /* shown before the numbers: "2019-11 (2 of 7)"; "": nothing */
};

struct display_numbers {
	int64_t rows, event_time_us; /* INT64_MIN: none yet */
	int64_t done, total;         /* in bytes of the files, or generated rows */
	bool sorting;                /* rows are read and sorted, not sent */
};

void display_init(struct display *display, int64_t now_us, int64_t done);
/* Shows the numbers if the interval has passed; otherwise returns at once. */
void display_show(struct display *display, const struct display_numbers *numbers, int64_t now_us);
/* Clears the redrawn line. */
void display_end(struct display *display);

#endif
