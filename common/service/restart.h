/* Starting again in place: what a supervisor does with exit code 75, where there is none.
 *
 * The process replaces itself by a fresh start of the same program and arguments, so it keeps its process id
 * and nothing of its state. */
#ifndef FUNNEL_RESTART_H
#define FUNNEL_RESTART_H

#include <stdbool.h>

/* Remembers the arguments; called once, first. */
void restart_init(char **argv);
void restart_enable(bool enabled);
/* Does not return if restarting is enabled and was not done too often: at most 10 times in a row, with a pause
 * that doubles from half a second to 30 s. A run of over 5 minutes ends the row. */
void restart_in_place(void);

#endif
