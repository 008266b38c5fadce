/* The way of a request to the cluster and of its answer back, with the faults on that way. Called
 * by the simulated clients, in a process. Each call takes virtual time. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "sim/cluster.h"

/* A request that changes nothing: waits for its time. False: there was no answer. */
bool network_read(const char *what);
/* A request that changes something. False: there was no answer. Then the request may have been
 * handled or not, or it will be handled later. */
bool network_write(const struct request *request, struct response *response);

#endif
