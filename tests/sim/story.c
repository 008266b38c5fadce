#include "sim/story.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/arena.h"
#include "sim/process.h"

static bool on;

void story_show(bool shown)
{
	on = shown;
}

bool story_is_shown(void)
{
	return on;
}

void story(const char *format, ...)
{
	const struct process *process = process_current();
	int64_t now_us = sim_now_us();
	va_list args;
	int before;

	if (!on)
		return;
	before = arena_enter(ARENA_NONE);
	printf("%4d.%06d %-20s ", (int)(now_us / 1000000), (int)(now_us % 1000000),
	       process ? process->name : "world");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	arena_enter(before);
}
