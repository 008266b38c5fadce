/* SOURCES and ONLY: which entry of a list of inputs this process replays.
 *
 * With ONLY, the settings of that entry replace those of the environment, and the process runs as
 * usual. Without it, the process runs each entry in order, as a process of its own (the same
 * program with --only), and ends with the first one that fails. It keeps a list of the complete
 * entries, so the same command continues with the next one. When all are complete, it does nothing.
 * Flags of the command line replace settings of the entries. */
#ifndef FUNNEL_SOURCE_RUNS_H
#define FUNNEL_SOURCE_RUNS_H

#include <stdbool.h>

#include "service/config.h"

/* To be called before service_main. True: this process is done, and ends with *exit_code. False: it
 * continues with service_main. */
bool source_runs(int argc, char **argv, const struct config_option *const *tables, int *exit_code);

#endif
