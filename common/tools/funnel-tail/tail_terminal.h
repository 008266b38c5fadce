/* The terminal of the live funnel: raw input without echo, the alternate screen, size, keys.
 * Restores the terminal at the end, even after a fault. One terminal per process. */
#ifndef FUNNEL_TAIL_TERMINAL_H
#define FUNNEL_TAIL_TERMINAL_H

#include <stdbool.h>

#include "base/span.h"

/* stdout is a terminal that can move its cursor: TERM is set and not "dumb". */
bool tail_terminal_is_usable(void);
/* COLOR auto: a terminal, NO_COLOR not set or empty, TERM not dumb. */
bool tail_terminal_has_colour(void);
/* The locale's characters are UTF-8, by LC_ALL, LC_CTYPE or LANG. */
bool tail_terminal_is_utf8(void);
/* Of stdout, else COLUMNS and LINES, else 80 x 24. */
void tail_terminal_size(int *width, int *height);

/* Also watches the signals (tail_signals.h). */
void tail_terminal_open(void);
/* May be called at any time and in a signal handler. */
void tail_terminal_close(void);

/* Writes the lines of a screen of this height over the old ones. False: the terminal is gone. */
bool tail_terminal_draw(struct span lines, int height);

enum tail_key {
	TAIL_KEY_NONE,
	TAIL_KEY_LEFT = 256,
	TAIL_KEY_RIGHT,
	TAIL_KEY_HOME,
	TAIL_KEY_END,
	TAIL_KEY_GONE, /* stdin was a terminal and has ended */
	TAIL_KEY_OTHER,
};
/* The next pressed key: its character, or an enum tail_key. Does not wait. No keys if stdin is not
 * a terminal. */
int tail_terminal_key(void);

#endif
