/* Restart in place after exit code 75, for running without a supervisor.
 *
 * The process executes its own program again with the same arguments. It keeps its process id and
 * nothing of its state. */
#ifndef FUNNEL_RESTART_H
#define FUNNEL_RESTART_H

#include <stdbool.h>

/* Keeps argv; must be called first, and once. */
void restart_init(char **argv);
void restart_enable(bool enabled);
/* Does not return if restarts are enabled and it restarts. At most 10 times in a row, after a
 * pause that doubles from 0.5 s to 30 s. A run of at least 5 minutes resets the count. Returns
 * during a stop. */
void restart_in_place(void);

#endif
