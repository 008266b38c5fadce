/* Prints the settings of a program to stdout: for --help, and as the table of its README. */
#ifndef FUNNEL_CONFIG_HELP_H
#define FUNNEL_CONFIG_HELP_H

#include "service/config.h"

void config_print_help(const struct config_option *const *tables, const char *program,
                       const char *summary);
void config_print_markdown(const struct config_option *const *tables);

#endif
