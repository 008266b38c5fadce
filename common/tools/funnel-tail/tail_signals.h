/* The signals of a program in the foreground.
 *
 * INT, TERM, HUP and QUIT request a stop (service/stop.h). A second one ends the process by that
 * signal. The signals of a fault end it at once. PIPE is ignored: writing returns the error.
 * Signals arrive in the main thread, because librdkafka's threads block them. */
#ifndef FUNNEL_TAIL_SIGNALS_H
#define FUNNEL_TAIL_SIGNALS_H

#include <stdbool.h>

/* rescue: called in a signal handler before the process ends by a signal; async-signal-safe. NULL:
 * nothing. */
void tail_signals_init(void (*rescue)(void));

/* From now on WINCH, TSTP and CONT set the notes below, and TSTP does not stop the process. */
void tail_signals_watch(void);
/* Each returns whether the signal has arrived since the last call. */
bool tail_signals_resized(void);
bool tail_signals_suspended(void);
bool tail_signals_continued(void);
/* Stops the process as TSTP does, and returns when it continues. */
void tail_signals_suspend(void);

#endif
