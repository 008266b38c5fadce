/* Checks settings that belong together. */
#ifndef FUNNEL_CONFIG_PAIR_H
#define FUNNEL_CONFIG_PAIR_H

#include "base/err.h"

/* Whether a text has a value: it is neither NULL nor empty. */
bool config_is_set(const char *value);

/* True: both settings have a value, or none has. ERR_INPUT: the message names both settings, and no
 * value. */
MUST_USE bool config_pair_check(const char *name, const char *value, const char *other_name,
                                const char *other, struct err *err);

#endif
