/* Checks a setting that is the path of a file. */
#ifndef FUNNEL_CONFIG_FILE_H
#define FUNNEL_CONFIG_FILE_H

#include "base/err.h"

/* Whether this process can read the file or folder. ERR_INPUT: the reason. For the check of a
 * setting. */
MUST_USE bool config_readable(const char *path, struct err *err);

#endif
