/* What the keys choose: rollup, group, window, sort, pause, help. Pure. */
#ifndef FUNNEL_TAIL_KEYS_H
#define FUNNEL_TAIL_KEYS_H

#include <stdbool.h>

#include "event/event.h"
#include "tail_model.h"
#include "tail_screen.h"

struct tail_control {
	struct tail_view view; /* rollup and group point to the texts below */
	char rollup[RECORD_ROLLUP_MAX + 1], group[EVENT_TEXT_MAX + 1];
};

/* rollup, group: the first choice; "": the default. Longer texts are cut to the longest possible
 * name. */
void tail_control_init(struct tail_control *control, const char *rollup, const char *group);
/* A key of tail_terminal.h. False: the user quits. */
bool tail_control_key(struct tail_control *control, const struct tail_model *model, int key);

#endif
