/* Named fault points: places where a test build kills its own process, as kill -9 would.
 *
 * Only in `make FLAVOUR=fault`: FAULT=<name> kills the process at the first pass of that point,
 * FAULT=<name>:<n> at the n-th. Every other build has no code for these points. */
#ifndef FUNNEL_FAULT_H
#define FUNNEL_FAULT_H

#ifdef FAULT_POINTS
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif

#endif
