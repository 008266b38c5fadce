/* The replicas of the services, and their supervisor, which starts a replica again after its exit
 * or crash. */
#ifndef SIM_REPLICAS_H
#define SIM_REPLICAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/services.h"

#define REPLICAS_MAX 8

void replicas_begin(void);
void replicas_add(enum sim_service service, int instance);
int replicas_count(void);
/* kill -9 */
void replica_kill(int number);
/* kill -TERM; it starts again after us. */
void replica_stop(int number, int64_t us);
void replica_freeze(int number, int64_t us);
/* Starts another process with the same instance id. It is not started again after its end. */
void replica_twin(int number);
/* A replica may exit with 78 in this schedule. */
void replicas_may_refuse(bool may);
/* A process has ended with 78. */
bool replicas_have_refused(void);
/* All replicas run and are ready. */
bool replicas_are_ready(char *why, size_t cap);
/* The settings of that process, by its life. */
enum sim_settings replicas_settings(uint32_t life);
/* The number of starts so far. */
uint32_t replicas_starts(void);
/* How many processes have ended with 78. */
uint32_t replicas_refusals(void);
/* Why a process has refused to go on the last time; "": none has. */
const char *replicas_refusal(void);

#endif
