/* Parses, checks and prints the values of settings by type. */
#ifndef FUNNEL_CONFIG_VALUE_H
#define FUNNEL_CONFIG_VALUE_H

#include <stddef.h>

#include "base/err.h"
#include "service/config.h"

/* The option with this number among all tables; NULL after the last. */
const struct config_option *config_option_at(const struct config_option *const *tables,
                                             size_t index);
/* Sets the option's field. False: why says what is wrong and what was expected; secrets are
 * masked. */
MUST_USE bool config_value_set(const struct config_option *option, const char *value, void *config,
                               char *why, size_t cap);
/* "a whole number" */
const char *config_expected(const struct config_option *option);
/* "1s to 10m", "at least 1", or "" if there are no limits (see config.h). */
void config_range(const struct config_option *option, char *out, size_t cap);
/* Writes the value of an option as text, secrets masked, to out (terminated, cut if needed). */
void config_show(const struct config_option *option, const void *config, char *out, size_t cap);

#endif
