/* Values come from a hash of seed, kind, actor and number. So no choice shifts another one. */
#include "sim/choice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "sim/arena.h"

#define FIRST_FAULT CHOICE_REQUEST
#define SLOTS       4096 /* of the replayed trace's index; a power of 2 */

static struct {
	uint64_t seed, faults;
	uint32_t rates[CHOICE_KIND_COUNT];
	uint32_t next[CHOICE_KIND_COUNT][CHOICE_ACTORS];
	const struct trace *replayed; /* NULL: from the seed */
	uint32_t slots[SLOTS];        /* index + 1 in *replayed; 0: free */
	struct trace *recorded;
	bool healed;
} choices;

static const char *const names[] = {
#define CHOICE_NAME(name, text) text,
	CHOICE_KINDS(CHOICE_NAME)
#undef CHOICE_NAME
};

uint64_t choice_hash(uint64_t seed, uint64_t position)
{
	return mix64(mix64(seed + UINT64_C(0x9e3779b97f4a7c15)) ^
	             position * UINT64_C(0xd1342543de82ef95));
}

static uint64_t key_hash(uint32_t kind, uint32_t actor, uint32_t number)
{
	return choice_hash(choices.seed, (uint64_t)kind << 48 | (uint64_t)actor << 32 | number);
}

void choice_begin(uint64_t seed, const uint32_t rates[CHOICE_KIND_COUNT], struct trace *recorded)
{
	memset(&choices, 0, sizeof(choices));
	choices.seed = seed;
	memcpy(choices.rates, rates, sizeof(choices.rates));
	choices.recorded = recorded;
}

void choice_replay(const struct trace *trace, struct trace *recorded)
{
	memset(&choices, 0, sizeof(choices));
	choices.replayed = trace;
	choices.recorded = recorded;
	for (size_t i = 0; i < trace->count && i < SLOTS / 2; i++) {
		const struct choice *at = &trace->at[i];
		uint64_t slot = key_hash(at->kind, at->actor, at->number) % SLOTS;

		while (choices.slots[slot])
			slot = (slot + 1) % SLOTS;
		choices.slots[slot] = (uint32_t)i + 1;
	}
}

void choice_heal(void)
{
	choices.healed = true;
}

static uint32_t from_trace(uint32_t kind, uint32_t actor, uint32_t number)
{
	uint64_t slot = key_hash(kind, actor, number) % SLOTS;

	for (; choices.slots[slot]; slot = (slot + 1) % SLOTS) {
		const struct choice *at = &choices.replayed->at[choices.slots[slot] - 1];

		if (at->kind == kind && at->actor == actor && at->number == number)
			return at->value;
	}
	return 0;
}

static uint32_t from_seed(uint32_t kind, uint32_t actor, uint32_t number, uint32_t values)
{
	uint64_t hash = key_hash(kind, actor, number);

	if ((hash & 0xffff) >= choices.rates[kind])
		return 0;
	return 1 + (uint32_t)((hash >> 16) % (values - 1));
}

uint32_t choose(enum choice_kind kind, int actor, uint32_t values)
{
	uint32_t number = choices.next[kind][actor]++, value;
	int arena;

	if (values < 2 || choices.healed)
		return 0;
	value = choices.replayed ? from_trace(kind, (uint32_t)actor, number) % values
	                         : from_seed(kind, (uint32_t)actor, number, values);
	if (value == 0)
		return 0;
	choices.faults += choice_is_fault(kind);
	arena = arena_enter(ARENA_NONE);
	GROW(choices.recorded->at, choices.recorded->count, choices.recorded->capacity);
	arena_enter(arena);
	choices.recorded->at[choices.recorded->count++] =
		(struct choice){(uint16_t)kind, (uint16_t)actor, number, value};
	return value;
}

const char *choice_kind_name(enum choice_kind kind)
{
	return names[kind];
}

bool choice_is_fault(enum choice_kind kind)
{
	return kind >= FIRST_FAULT && kind != CHOICE_RESTART;
}

uint64_t choice_fault_count(void)
{
	return choices.faults;
}

void trace_free(struct trace *trace)
{
	free(trace->at);
	*trace = (struct trace){0};
}

bool trace_write(const struct trace *trace, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return false;
	for (size_t i = 0; i < trace->count; i++)
		fprintf(file, "%s %u %" PRIu32 " %" PRIu32 "\n", names[trace->at[i].kind],
		        trace->at[i].actor, trace->at[i].number, trace->at[i].value);
	return fclose(file) == 0;
}

static int kind_named(const char *name)
{
	int kind = 0;

	while (kind < CHOICE_KIND_COUNT && strcmp(names[kind], name) != 0)
		kind++;
	return kind;
}

bool trace_read(struct trace *trace, const char *path)
{
	FILE *file = fopen(path, "r");
	char name[32];
	unsigned actor;
	uint32_t number, value;

	if (!file)
		return false;
	while (fscanf(file, "%31s %u %" SCNu32 " %" SCNu32, name, &actor, &number, &value) == 4) {
		int kind = kind_named(name);

		if (kind == CHOICE_KIND_COUNT || actor >= CHOICE_ACTORS)
			continue;
		GROW(trace->at, trace->count, trace->capacity);
		trace->at[trace->count++] =
			(struct choice){(uint16_t)kind, (uint16_t)actor, number, value};
	}
	fclose(file);
	return true;
}
