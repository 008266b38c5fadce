/* Counts what redrive would send, and prints it. */
#ifndef FUNNEL_REDRIVE_PLAN_H
#define FUNNEL_REDRIVE_PLAN_H

#include "redrive_rules.h"
#include "redrive_state.h"
#include "stream/record.h"

void redrive_plan_begin(struct redrive_plan *plan);
/* Counts the decision on this record of the dead-letter topic. */
void redrive_plan_add(struct redrive *redrive, const struct redrive_decision *decision,
                      const struct input_record *record);
/* Prints the plan to standard output. */
void redrive_plan_print(const struct redrive *redrive);

#endif
