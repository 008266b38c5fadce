/* Times are integer microseconds since 1970, rounded down also if negative. A tumbling window is a
 * hopping window whose slide is its size, so there are two cases. */
#include "event/window.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "base/timetext.h"

static const char *const group_names[] = {"all", "category1", "category", "brand", "product"};

static bool group_parse(struct span text, enum group_kind *group)
{
	for (size_t i = 0; i < sizeof(group_names) / sizeof(group_names[0]); i++) {
		if (span_is(text, group_names[i])) {
			*group = (enum group_kind)i;
			return true;
		}
	}
	return false;
}

/* Returns the part of *text before the mark, and leaves the part after it in *text. */
static struct span cut(struct span *text, char mark)
{
	const char *found = memchr(text->at, mark, text->len);
	struct span head = *text;

	if (!found) {
		*text = SPAN_NULL;
		return head;
	}
	head.len = (size_t)(found - text->at);
	*text = (struct span){found + 1, text->len - head.len - 1};
	return head;
}

static bool window_parse(struct span text, struct rollup *rollup)
{
	struct span step = text, size;
	char mark = '\0';

	if (memchr(text.at, '/', text.len))
		mark = '/';
	else if (memchr(text.at, '+', text.len))
		mark = '+';
	size = mark ? cut(&step, mark) : text;
	if (!duration_parse(size, &rollup->size_us) || rollup->size_us <= 0)
		return false;
	rollup->kind = mark == '/'   ? WINDOW_HOPPING
	               : mark == '+' ? WINDOW_CUMULATING
	                             : WINDOW_TUMBLING;
	rollup->step_us = rollup->size_us;
	if (mark && !duration_parse(step, &rollup->step_us))
		return false;
	return rollup->step_us >= US_PER_SECOND && rollup->size_us <= 31 * US_PER_DAY &&
	       rollup->size_us % rollup->step_us == 0 &&
	       rollup->size_us / rollup->step_us <= WINDOWS_PER_EVENT_MAX;
}

static bool rollup_parse(struct span text, struct rollup *rollup, struct err *err)
{
	struct span group = text, window;

	if (text.len >= ROLLUP_NAME_MAX || !memchr(text.at, ':', text.len))
		return err_set(err, ERR_INPUT,
		               "'%.*s': expected <window>:<group> of at most %d characters",
		               (int)text.len, text.at, ROLLUP_NAME_MAX - 1);
	window = cut(&group, ':');
	memcpy(rollup->name, text.at, text.len);
	rollup->name[text.len] = '\0';
	if (!window_parse(window, rollup))
		return err_set(
			err, ERR_INPUT,
			"'%s': expected a window such as 1m, 5m/1m (size/slide) or 1d+1h "
			"(size+step), of 1 s to 31 days, with at most %d steps and the size a "
			"multiple of the step",
			rollup->name, WINDOWS_PER_EVENT_MAX);
	if (!group_parse(group, &rollup->group))
		return err_set(
			err, ERR_INPUT,
			"'%s': expected the group all, category1, category, brand or product",
			rollup->name);
	return true;
}

bool rollups_parse(const char *text, struct rollup_list *list, struct err *err)
{
	const char *separators = " ,\t\n";

	list->count = 0;
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		struct span one = {text, strcspn(text, separators)};

		if (list->count == ROLLUP_MAX)
			return err_set(err, ERR_INPUT, "expected at most %d rollups", ROLLUP_MAX);
		if (!rollup_parse(one, &list->at[list->count], err))
			return false;
		for (int i = 0; i < list->count; i++)
			if (strcmp(list->at[i].name, list->at[list->count].name) == 0)
				return err_set(err, ERR_INPUT,
				               "'%s' is named twice; expected each rollup once",
				               list->at[i].name);
		list->count++;
		text += one.len;
	}
	return list->count > 0 || err_set(err, ERR_INPUT, "expected at least one rollup");
}

int rollup_window_count(const struct rollup *rollup, int64_t time_us)
{
	if (rollup->kind == WINDOW_CUMULATING)
		return (int)((rollup->size_us - (time_us - time_floor(time_us, rollup->size_us)) +
		              rollup->step_us - 1) /
		             rollup->step_us);
	return (int)(rollup->size_us / rollup->step_us);
}

struct window rollup_window(const struct rollup *rollup, int64_t time_us, int i)
{
	int64_t start_us;

	if (rollup->kind == WINDOW_CUMULATING) {
		start_us = time_floor(time_us, rollup->size_us);
		return (struct window){start_us, time_floor(time_us - start_us, rollup->step_us) +
		                                         start_us + (i + 1) * rollup->step_us};
	}
	start_us = time_floor(time_us, rollup->step_us) - i * rollup->step_us;
	return (struct window){start_us, start_us + rollup->size_us};
}

int64_t rollup_earliest_open(const struct rollup *rollup, int64_t time_us)
{
	if (rollup->kind == WINDOW_CUMULATING)
		return time_floor(time_us, rollup->size_us);
	return time_floor(time_us - rollup->size_us, rollup->step_us) + rollup->step_us;
}

int64_t rollup_next_start(const struct rollup *rollup, int64_t time_us)
{
	int64_t unit_us = rollup->kind == WINDOW_CUMULATING ? rollup->size_us : rollup->step_us;

	return time_floor(time_us + unit_us - 1, unit_us);
}

#define SINCE_TEXT_MAX 23

bool rollup_since_next(struct span *rest, struct span *name, int64_t *since_us)
{
	const char *comma = rest->len ? memchr(rest->at, ',', rest->len) : NULL, *at;
	struct span entry = {rest->at, comma ? (size_t)(comma - rest->at) : rest->len}, since;

	at = entry.len ? memchr(entry.at, '@', entry.len) : NULL;
	if (!at || at == entry.at || entry.len + 1 == rest->len) /* the text ends with a comma */
		return false;
	*name = (struct span){entry.at, (size_t)(at - entry.at)};
	since = (struct span){at + 1, entry.len - name->len - 1};
	if (span_is(since, "ever"))
		*since_us = ROLLUP_SINCE_EVER;
	else if (since.len > SINCE_TEXT_MAX || !number_parse_signed(since, since_us) ||
	         *since_us <= INT64_MIN / 2 || *since_us >= INT64_MAX / 2)
		return false;
	rest->at += entry.len + (comma != NULL);
	rest->len -= entry.len + (comma != NULL);
	return true;
}

static struct span known(struct span value)
{
	return value.at && value.len ? value : SPAN("unknown");
}

struct span group_value(enum group_kind group, const struct event *event, char buffer[32])
{
	switch (group) {
	case GROUP_ALL: return SPAN("all");
	case GROUP_CATEGORY1: return known(event_category_level(event->category_code, 1));
	case GROUP_CATEGORY: return known(event->category_code);
	case GROUP_BRAND: return known(event->brand);
	case GROUP_PRODUCT:
		return (struct span){buffer,
		                     (size_t)snprintf(buffer, 32, "%" PRId64, event->product_id)};
	}
	return SPAN("unknown");
}
