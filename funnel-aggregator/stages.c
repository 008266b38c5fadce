/* Most sessions only have views. So the lists of the middle stages are created when they are first
 * needed. When C_k becomes known or earlier, the times after it are removed. So a list normally has
 * one time. */
#include "stages.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/span.h"

const struct stages purchase_stages = {
	.count = 3,
	.at = {EVENT_VIEW, EVENT_CART, EVENT_PURCHASE},
	.of_type = {[EVENT_VIEW] = 0,
                    [EVENT_CART] = 1,
                    [EVENT_PURCHASE] = 2,
                    [EVENT_REMOVE_FROM_CART] = -1,
                    [EVENT_CHECKOUT] = -1},
	.has_purchases = true,
};

static bool has_purchases(const struct stages *stages)
{
	return stages->at[0] == EVENT_VIEW && stages->at[stages->count - 1] == EVENT_PURCHASE &&
	       stages->of_type[EVENT_CART] >= 0;
}

bool stages_parse(const char *text, struct stages *stages, struct err *err)
{
	stages->count = 0;
	for (int i = 0; i < EVENT_TYPE_COUNT; i++)
		stages->of_type[i] = -1;
	for (;;) {
		struct span name = {text, strcspn(text, ",")};
		enum event_type type;

		if (!event_type_parse(name, &type))
			return err_set(err, ERR_INPUT,
			               "unknown event type '%.*s': expected view, cart, "
			               "remove_from_cart, checkout or purchase",
			               (int)name.len, name.at);
		if (stages->of_type[type] >= 0)
			return err_set(err, ERR_INPUT,
			               "stage '%s' is named twice: expected each stage once",
			               event_type_name(type));
		stages->of_type[type] = stages->count;
		stages->at[stages->count++] = type;
		if (!text[name.len])
			break;
		text += name.len + 1;
	}
	stages->has_purchases = has_purchases(stages);
	return stages->count >= 2 ||
	       err_set(err, ERR_INPUT, "only one stage: expected at least two, such as view,cart");
}

void times_free(struct times *times)
{
	free(times->at);
	*times = (struct times){0};
}

/* Index of the first element at or after a time. */
static uint32_t lower_bound(const struct times *times, int64_t time_us)
{
	uint32_t low = 0, high = times->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (times->at[middle] < time_us)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool times_add(struct times *times, int64_t time_us)
{
	uint32_t at = lower_bound(times, time_us);

	if (at < times->count && times->at[at] == time_us)
		return true;
	if (times->count == STAGE_TIMES_MAX)
		return false;
	if (times->count == times->capacity) {
		times->capacity = times->capacity ? times->capacity * 2 : 2;
		times->at = xrealloc(times->at, times->capacity * sizeof(*times->at));
	}
	memmove(times->at + at + 1, times->at + at, (times->count - at) * sizeof(*times->at));
	times->at[at] = time_us;
	times->count++;
	return true;
}

int64_t times_first_from(const struct times *times, int64_t from_us)
{
	uint32_t at = lower_bound(times, from_us);

	return at < times->count ? times->at[at] : INT64_MAX;
}

void times_cut(struct times *times, int64_t after_us)
{
	while (times->count && times->at[times->count - 1] > after_us)
		times->count--;
}

void funnel_init(struct funnel *funnel)
{
	*funnel = (struct funnel){.first_us = INT64_MAX, .last_us = INT64_MIN};
}

void funnel_free(struct funnel *funnel, const struct stages *stages)
{
	for (int i = 0; funnel->middle && i < stages->count - 2; i++)
		times_free(&funnel->middle[i]);
	free(funnel->middle);
	funnel->middle = NULL;
}

static struct times *middle_of(struct funnel *funnel, const struct stages *stages, int stage)
{
	if (!funnel->middle) {
		size_t size = (size_t)(stages->count - 2) * sizeof(*funnel->middle);

		funnel->middle = xrealloc(NULL, size);
		memset(funnel->middle, 0, size);
	}
	return &funnel->middle[stage - 1];
}

/* Sets `reached`, and removes the times that cannot matter any more. */
static void update(struct funnel *funnel, const struct stages *stages)
{
	int64_t time_us = funnel->first_us;
	int k = 1;

	funnel->reached = time_us != INT64_MAX;
	if (!funnel->reached)
		return;
	for (; k < stages->count - 1; k++) {
		time_us = funnel->middle ? times_first_from(&funnel->middle[k - 1], time_us)
		                         : INT64_MAX;
		if (time_us == INT64_MAX)
			return;
		times_cut(&funnel->middle[k - 1], time_us);
		funnel->reached++;
	}
	if (funnel->last_us >= time_us)
		funnel->reached++;
}

static bool take(struct funnel *funnel, const struct stages *stages, int stage, int64_t time_us)
{
	if (stage == 0) {
		if (time_us < funnel->first_us)
			funnel->first_us = time_us;
	} else if (stage == stages->count - 1) {
		if (time_us > funnel->last_us)
			funnel->last_us = time_us;
	} else {
		return times_add(middle_of(funnel, stages, stage), time_us);
	}
	return true;
}

bool funnel_add(struct funnel *funnel, const struct stages *stages, int stage, int64_t time_us)
{
	bool kept = take(funnel, stages, stage, time_us);

	update(funnel, stages);
	return kept;
}

bool funnel_merge(struct funnel *funnel, const struct stages *stages, const struct funnel *other)
{
	bool kept = true;

	take(funnel, stages, 0, other->first_us);
	take(funnel, stages, stages->count - 1, other->last_us);
	for (int stage = 1; other->middle && stage < stages->count - 1; stage++)
		for (uint32_t i = 0; i < other->middle[stage - 1].count; i++)
			kept &= take(funnel, stages, stage, other->middle[stage - 1].at[i]);
	update(funnel, stages);
	return kept;
}

/* A cart list is cut after the first time that reaches its stage. So it always has the first cart
 * at or after the first view, wherever the stage is in the list. */
enum bought funnel_bought(const struct funnel *funnel, const struct stages *stages)
{
	const struct times *carts =
		funnel->middle ? &funnel->middle[stages->of_type[EVENT_CART] - 1] : NULL;

	if (funnel->last_us < funnel->first_us)
		return BOUGHT_NOT;
	return carts && times_first_from(carts, funnel->first_us) <= funnel->last_us
	               ? BOUGHT_AFTER_CART
	               : BOUGHT_AFTER_VIEW;
}
