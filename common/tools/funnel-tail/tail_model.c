/* Windows are few, so they stand in a sorted array and are found from its end. Groups of a window
 * can be many: a hash table finds them.
 *
 * Records of several partitions arrive interleaved, so old windows may come after new ones. A
 * window that is older than all kept ones of a full rollup is not added. So the result does not
 * depend on the order of partitions, unless TAIL_TOTALS_MAX is reached.
 *
 * Limits: TAIL_TOTALS_MAX groups of one window; totals of further groups are counted and not
 * shown. */
#include "tail_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/timetext.h"

void tail_model_init(struct tail_model *model, int source_count)
{
	*model = (struct tail_model){0};
	model->rollups = xzalloc(TAIL_ROLLUPS_MAX, sizeof(*model->rollups));
	tail_flow_init(&model->flow, source_count);
}

static void window_free(struct tail_window *window)
{
	interner_free(&window->groups);
	free(window->totals);
	free(window);
}

void tail_model_free(struct tail_model *model)
{
	for (int r = 0; r < model->rollup_count; r++) {
		for (int w = 0; w < model->rollups[r].window_count; w++)
			window_free(model->rollups[r].windows[w]);
		free(model->rollups[r].windows);
	}
	free(model->rollups);
	tail_flow_free(&model->flow);
	*model = (struct tail_model){0};
}

/* ---- rollups */

static int rollup_compare(const void *left, const void *right)
{
	const struct tail_rollup *a = left, *b = right;

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->size_us != b->size_us)
		return a->size_us < b->size_us ? -1 : 1;
	return strcmp(a->name, b->name);
}

static struct tail_rollup *find_rollup(struct tail_model *model, struct span name)
{
	for (int i = 0; i < model->rollup_count; i++)
		if (span_is(name, model->rollups[i].name))
			return &model->rollups[i];
	return NULL;
}

/* NULL: there are too many. */
static struct tail_rollup *add_rollup(struct tail_model *model, struct span name)
{
	struct tail_rollup *rollup = &model->rollups[model->rollup_count];
	struct rollup_list list = {.count = 0};
	struct err err;

	if (model->rollup_count == TAIL_ROLLUPS_MAX || name.len > RECORD_ROLLUP_MAX)
		return NULL;
	*rollup = (struct tail_rollup){.group = GROUP_PRODUCT};
	memcpy(rollup->name, name.at, name.len);
	if (rollups_parse(rollup->name, &list, &err) && list.count == 1) {
		rollup->group = list.at[0].group;
		rollup->size_us = list.at[0].size_us;
	}
	rollup->windows = xzalloc(TAIL_WINDOWS_MAX, sizeof(*rollup->windows));
	model->rollup_count++;
	qsort(model->rollups, (size_t)model->rollup_count, sizeof(*rollup), rollup_compare);
	return find_rollup(model, name);
}

/* ---- windows */

static int window_compare(const struct tail_window *window, int64_t start_us, int64_t end_us)
{
	if (window->end_us != end_us)
		return window->end_us < end_us ? -1 : 1;
	return window->start_us < start_us ? -1 : window->start_us > start_us;
}

static void drop_oldest(struct tail_rollup *rollup)
{
	rollup->total_count -= rollup->windows[0]->count;
	window_free(rollup->windows[0]);
	rollup->window_count--;
	memmove(rollup->windows, rollup->windows + 1,
	        (size_t)rollup->window_count * sizeof(*rollup->windows));
}

/* NULL: the window is older than all that are kept. */
static struct tail_window *find_window(struct tail_rollup *rollup, int64_t start_us, int64_t end_us)
{
	struct tail_window *window;
	int at = rollup->window_count;

	while (at > 0 && window_compare(rollup->windows[at - 1], start_us, end_us) > 0)
		at--;
	if (at > 0 && window_compare(rollup->windows[at - 1], start_us, end_us) == 0)
		return rollup->windows[at - 1];
	if (rollup->window_count == TAIL_WINDOWS_MAX) {
		if (at == 0)
			return NULL;
		drop_oldest(rollup);
		at--;
	}
	window = xzalloc(1, sizeof(*window));
	window->start_us = start_us;
	window->end_us = end_us;
	memmove(rollup->windows + at + 1, rollup->windows + at,
	        (size_t)(rollup->window_count - at) * sizeof(*rollup->windows));
	rollup->windows[at] = window;
	rollup->window_count++;
	return window;
}

/* ---- totals */

struct tail_total *tail_window_total(const struct tail_window *window, struct span group)
{
	uint32_t number = interner_find(&window->groups, group);

	return number == INTERNED_NONE ? NULL : &window->totals[number];
}

static struct tail_total *add_total(struct tail_window *window, struct span group)
{
	uint32_t number = interner_put(&window->groups, group, 0, INT64_MIN);

	GROW(window->totals, window->count, window->capacity);
	window->totals[window->count++] = (struct tail_total){
		.group = interner_text(&window->groups, number),
		.revision = INT64_MIN,
	};
	return &window->totals[number];
}

/* NULL: the window has too many groups. */
static struct tail_total *take_total(struct tail_rollup *rollup, struct tail_window *window,
                                     struct span group)
{
	struct tail_total *total = tail_window_total(window, group);

	if (total)
		return total;
	while (rollup->total_count >= TAIL_TOTALS_MAX && rollup->windows[0] != window)
		drop_oldest(rollup);
	if (rollup->total_count >= TAIL_TOTALS_MAX)
		return NULL;
	rollup->total_count++;
	return add_total(window, group);
}

static bool is_newer(const struct tail_total *total, const struct aggregate *aggregate)
{
	return aggregate->revision != total->revision ? aggregate->revision > total->revision
	                                              : aggregate->final >= total->final;
}

void tail_model_aggregate(struct tail_model *model, const struct aggregate *aggregate,
                          int64_t record_ms)
{
	struct tail_rollup *rollup = find_rollup(model, aggregate->rollup);
	struct tail_window *window;
	struct tail_total *total;

	if (record_ms > model->updated_ms)
		model->updated_ms = record_ms;
	if (!rollup)
		rollup = add_rollup(model, aggregate->rollup);
	if (!rollup) {
		model->refused_totals++;
		return;
	}
	window = find_window(rollup, aggregate->window_start_us, aggregate->window_end_us);
	if (!window)
		return;
	total = take_total(rollup, window, aggregate->group_value);
	if (!total) {
		model->refused_totals++;
	} else if (is_newer(total, aggregate)) {
		total->measures = aggregate->measures;
		total->revision = aggregate->revision;
		total->final = aggregate->final;
		rollup->has_checkout |= aggregate->measures.funnel_checkout_sessions > 0;
	}
}

/* ---- questions */

static int default_rollup(const struct tail_model *model)
{
	int best = model->rollup_count ? 0 : -1;

	for (int i = 0; i < model->rollup_count; i++)
		if (model->rollups[i].group == GROUP_ALL && model->rollups[i].size_us <= US_PER_DAY)
			best = i;
	return best;
}

int tail_model_rollup(const struct tail_model *model, const char *name)
{
	if (!*name)
		return default_rollup(model);
	for (int i = 0; i < model->rollup_count; i++)
		if (strcmp(model->rollups[i].name, name) == 0)
			return i;
	return -1;
}

int tail_model_panel(const struct tail_model *model, enum group_kind group, int64_t size_us)
{
	int best = -1;

	for (int i = 0; i < model->rollup_count; i++) {
		if (model->rollups[i].group != group || !model->rollups[i].size_us)
			continue;
		if (model->rollups[i].size_us == size_us)
			return i;
		best = i;
	}
	return best;
}

const struct tail_window *tail_rollup_window(const struct tail_rollup *rollup, int back)
{
	return back < rollup->window_count ? rollup->windows[rollup->window_count - 1 - back]
	                                   : NULL;
}

const struct tail_window *tail_rollup_match(const struct tail_rollup *rollup, int64_t start_us,
                                            int64_t end_us)
{
	const struct tail_window *found = NULL;

	for (int i = rollup->window_count - 1; i >= 0; i--) {
		const struct tail_window *window = rollup->windows[i];

		if (window->start_us == start_us && window->end_us == end_us)
			return window;
		if (!found && window->start_us < end_us && window->end_us >= end_us)
			found = window;
	}
	return found ? found : tail_rollup_window(rollup, 0);
}

const char *tail_sort_name(enum tail_sort sort)
{
	switch (sort) {
	case TAIL_BY_REVENUE: return "revenue";
	case TAIL_BY_ORDERS: return "orders";
	case TAIL_BY_VIEWS: return "views";
	case TAIL_SORT_COUNT: break;
	}
	return "";
}

int64_t tail_sort_value(const struct tail_total *total, enum tail_sort sort)
{
	switch (sort) {
	case TAIL_BY_REVENUE: return total->measures.revenue_cents;
	case TAIL_BY_ORDERS: return total->measures.purchase_sessions;
	case TAIL_BY_VIEWS: return total->measures.events[EVENT_VIEW];
	case TAIL_SORT_COUNT: break;
	}
	return 0;
}

static int name_compare(struct span a, struct span b)
{
	int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool comes_before(const struct tail_total *a, const struct tail_total *b,
                         enum tail_sort sort)
{
	int64_t left = tail_sort_value(a, sort), right = tail_sort_value(b, sort);

	if (left == right) {
		left = a->measures.events[EVENT_VIEW];
		right = b->measures.events[EVENT_VIEW];
	}
	return left != right ? left > right : name_compare(a->group, b->group) < 0;
}

size_t tail_window_top(const struct tail_window *window, enum tail_sort sort,
                       const struct tail_total **top, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < window->count; i++) {
		const struct tail_total *total = &window->totals[i];
		size_t at = count;

		while (at > 0 && comes_before(total, top[at - 1], sort))
			at--;
		if (at == max)
			continue;
		if (count < max)
			count++;
		memmove(top + at + 1, top + at, (count - 1 - at) * sizeof(*top));
		top[at] = total;
	}
	return count;
}
