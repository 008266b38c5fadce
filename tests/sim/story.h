/* The story of a schedule: lines in virtual time. Written only if it is switched on. */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include <stdbool.h>

void story_show(bool shown);
bool story_is_shown(void);
/* One line: time, the current process or "world", text. */
void story(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
