/* The gauge alerts_open of each alert rule: 1 while an alert of the rule is open, else 0. */
#ifndef FUNNEL_ALERT_GAUGES_H
#define FUNNEL_ALERT_GAUGES_H

#include <stdbool.h>

#include "base/span.h"

#define ALERT_RULE_MAX 63 /* bytes of a rule's name */

struct alert_gauges;
struct alert_gauges *alert_gauges_new(void);
/* NULL is allowed. */
void alert_gauges_free(struct alert_gauges *gauges);
/* list: "rule=1,other=0", as processed.open_alerts() returns it. A rule that is not in it gets
 * 0. */
void alert_gauges_set(struct alert_gauges *gauges, const char *list);

/* Takes the first entry of a list. False: the list is empty, or not of that form. Pure. */
bool alert_list_take(struct span *list, struct span *rule, bool *open);

#endif
