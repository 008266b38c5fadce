/* behaviour.h gives events in order. This file writes them as lines and decides when each arrives:
 * at its event time plus the delay of the fault settings. Lines wait in a heap by arrival. A line
 * leaves as soon as no later event can arrive before it. The faults use a random stream of their
 * own, so a fault setting does not change the valid rows.
 *
 * Limit: at most WAITING_MAX lines wait; beyond that, the earliest line leaves too early. */
#include "generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/timetext.h"
#include "behaviour.h"
#include "catalogue.h"
#include "corruptions.h"
#include "random.h"

/* time 23, type 16, product columns 150, user 20, session 36, commas, CORRUPTION_GROWTH */
#define LINE_CAP    384
#define WAITING_MAX 262144
/* changes the seed for the random stream of the faults; fixed, as it decides the bytes */
#define FAULT_STREAM UINT64_C(0x6d6973686170)

struct slot {
	int64_t event_time_us;
	uint32_t next_free;
	uint16_t length, starts[EVENT_FIELD_COUNT];
	bool well_formed;
	char line[LINE_CAP];
};

struct generator {
	struct generator_config config;
	struct catalogue *catalogue;
	struct behaviour *behaviour;
	struct random faults;
	struct heap waiting;
	struct slot *slots;
	uint32_t slot_count, slot_cap, first_free; /* first_free: 1 + slot, 0: none */
	uint32_t lent;                             /* 1 + slot of the row returned last, 0: none */
	int64_t made, now_us;
	int64_t time_text_us; /* the event time that time_text holds */
	char time_text[32];
	size_t time_text_len;
};

struct generator *generator_new(const struct generator_config *config)
{
	struct generator *g = calloc(1, sizeof(*g));
	const struct shape *shape = shape_of(config->shape);
	int64_t rate = shape->events_per_1000s;

	if (!g)
		return NULL;
	g->config = *config;
	g->catalogue = catalogue_new(shape);
	if (config->duration_us > 0) /* events per 1,000 s */
		rate = config->events * 1000 /
		       (config->duration_us / US_PER_SECOND > 0
		                ? config->duration_us / US_PER_SECOND
		                : 1);
	if (g->catalogue)
		g->behaviour = behaviour_new(g->catalogue, shape, config->seed, config->start_us,
		                             rate, config->checkouts);
	random_init(&g->faults, config->seed ^ FAULT_STREAM);
	g->time_text_us = INT64_MIN;
	if (!g->behaviour) {
		generator_free(g);
		return NULL;
	}
	return g;
}

void generator_free(struct generator *generator)
{
	if (!generator)
		return;
	behaviour_free(generator->behaviour);
	catalogue_free(generator->catalogue);
	heap_free(&generator->waiting);
	free(generator->slots);
	free(generator);
}

int64_t generator_made(const struct generator *generator)
{
	return generator->made;
}

static bool take_slot(struct generator *g, uint32_t *slot)
{
	if (g->first_free) {
		*slot = g->first_free - 1;
		g->first_free = g->slots[*slot].next_free;
		return true;
	}
	if (g->slot_count == g->slot_cap) {
		uint32_t cap = g->slot_cap ? g->slot_cap * 2 : 64;
		struct slot *slots = realloc(g->slots, cap * sizeof(*slots));

		if (!slots)
			return false;
		g->slots = slots;
		g->slot_cap = cap;
	}
	*slot = g->slot_count++;
	return true;
}

static void put(struct slot *slot, const char *at, size_t len)
{
	memcpy(slot->line + slot->length, at, len);
	slot->length = (uint16_t)(slot->length + len);
}

static void begin_field(struct slot *slot, size_t field)
{
	if (field > 0)
		slot->line[slot->length++] = ',';
	slot->starts[field] = slot->length;
}

static void put_number(struct slot *slot, int64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	put(slot, digits + at, sizeof(digits) - at);
}

static void put_time(struct generator *g, struct slot *slot, int64_t time_us)
{
	if (g->time_text_us != time_us) {
		g->time_text_len = time_format_plain(time_us, g->time_text);
		g->time_text_us = time_us;
	}
	put(slot, g->time_text, g->time_text_len);
	put(slot, " UTC", 4);
}

/* The price is the last of the product columns, so a free product only replaces the end of the
 * text. */
static void put_product(struct slot *slot, const struct product *product, bool free)
{
	slot->line[slot->length++] = ',';
	for (size_t i = 0; i < 5; i++)
		slot->starts[2 + i] = (uint16_t)(slot->length + product->starts[i]);
	put(slot, product->text, free ? product->starts[4] : product->length);
	if (free)
		put(slot, "0.00", 4);
}

static void write_line(struct generator *g, struct slot *slot, const struct behaviour_event *event)
{
	const char *type = event_type_name(event->type);

	slot->length = 0;
	slot->well_formed = true;
	slot->event_time_us = event->time_us;
	begin_field(slot, 0);
	put_time(g, slot, event->time_us);
	begin_field(slot, 1);
	put(slot, type, strlen(type));
	put_product(slot, catalogue_product(g->catalogue, event->product), event->free);
	begin_field(slot, 7);
	put_number(slot, event->user_id);
	begin_field(slot, 8);
	if (!random_chance(&g->faults, g->config.missing_sessions_ppm))
		put(slot, event->session, sizeof(event->session));
}

static void slot_fields(const struct slot *slot, struct span fields[EVENT_FIELD_COUNT])
{
	for (size_t i = 0; i < EVENT_FIELD_COUNT; i++) {
		size_t end = i + 1 < EVENT_FIELD_COUNT ? slot->starts[i + 1] - 1u : slot->length;

		fields[i] = (struct span){slot->line + slot->starts[i], end - slot->starts[i]};
	}
}

/* Adds another slot: a copy of the given one, or a corrupted row made from it. */
static bool add_copy(struct generator *g, uint32_t original, bool corrupt, int64_t arrival_us)
{
	struct span fields[EVENT_FIELD_COUNT];
	struct slot *from, *to;
	uint32_t slot;

	if (!take_slot(g, &slot))
		return false;
	from = &g->slots[original];
	to = &g->slots[slot];
	if (corrupt) {
		slot_fields(from, fields);
		to->length = (uint16_t)corruption_write(random_below(&g->faults, CORRUPTION_KINDS),
		                                        fields, to->line, LINE_CAP);
		to->well_formed = false;
	} else {
		*to = *from;
	}
	heap_push(&g->waiting, arrival_us, slot);
	return true;
}

/* Makes one valid row, and the rows that the fault settings add to it. */
static bool make(struct generator *g)
{
	struct random *random = &g->faults;
	struct behaviour_event event;
	int64_t arrival_us;
	uint32_t slot;

	if (!behaviour_next(g->behaviour, &event) || !take_slot(g, &slot))
		return false;
	write_line(g, &g->slots[slot], &event);
	g->made++;
	g->now_us = arrival_us = event.time_us;
	if (g->config.disorder_us > 0)
		arrival_us +=
			(int64_t)(random_next(random) % ((uint64_t)g->config.disorder_us + 1));
	if (random_chance(random, g->config.late_ppm))
		arrival_us += 20 * US_PER_MINUTE + random_below(random, 40 * 60) * US_PER_SECOND;
	heap_push(&g->waiting, arrival_us, slot);
	if (random_chance(random, g->config.duplicates_ppm) &&
	    !add_copy(g, slot, false, arrival_us + random_below(random, 60) * US_PER_SECOND))
		return false;
	if (random_chance(random, g->config.malformed_ppm))
		return add_copy(g, slot, true, event.time_us);
	return true;
}

enum generator_result generator_next(struct generator *g, struct generated_row *row)
{
	const struct slot *slot;

	if (g->lent) {
		g->slots[g->lent - 1].next_free = g->first_free;
		g->first_free = g->lent;
		g->lent = 0;
	}
	while (g->made < g->config.events && g->waiting.count < WAITING_MAX &&
	       (g->waiting.count == 0 || g->waiting.entries[0].time_us > g->now_us))
		if (!make(g))
			return GENERATOR_NO_MEMORY;
	if (g->waiting.count == 0)
		return GENERATOR_END;
	g->lent = heap_pop(&g->waiting).value + 1;
	slot = &g->slots[g->lent - 1];
	row->line = (struct span){slot->line, slot->length};
	row->well_formed = slot->well_formed;
	if (slot->well_formed) {
		row->event_time_us = slot->event_time_us;
		slot_fields(slot, row->fields);
	}
	return GENERATOR_ROW;
}
