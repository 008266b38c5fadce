/* Memory of the simulated processes. malloc and its relatives take from the current arena.
 *
 * Arena ARENA_NONE is the C library's: memory that outlives schedules. ARENA_WORLD is the memory of
 * the simulated world, and is reset for each schedule. Each process has one of the others; a crash
 * resets it. Arenas have fixed addresses, so a schedule sees the same addresses in every run. */
#ifndef SIM_ARENA_H
#define SIM_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_NONE  (-1)
#define ARENA_WORLD 0
#define ARENA_COUNT 17

/* Sets the current arena; returns the one before. */
int arena_enter(int arena);
int arena_current(void);
/* All memory of the arena is free again, and filled with garbage. */
void arena_reset(int arena);
/* Calls `fail` at the n-th allocation from now; 0: never. `fail` does not return. */
void arena_fail_at(int arena, uint64_t n, void (*fail)(void));
size_t arena_used(int arena);

#endif
