/* Series are never freed, so a rule that was deleted keeps its gauge, with 0. */
#include "alert_gauges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "service/metrics.h"

struct gauge {
	struct metric *metric;
	bool seen; /* in the present list */
};

struct alert_gauges {
	struct gauge *at;
	size_t count, capacity;
};

struct alert_gauges *alert_gauges_new(void)
{
	return xzalloc(1, sizeof(struct alert_gauges));
}

void alert_gauges_free(struct alert_gauges *gauges)
{
	if (!gauges)
		return;
	free(gauges->at);
	free(gauges);
}

bool alert_list_take(struct span *list, struct span *rule, bool *open)
{
	const char *sign = list->len > 0 ? memchr(list->at, '=', list->len) : NULL;
	size_t len = sign ? (size_t)(sign - list->at) : 0;

	if (len == 0 || len > ALERT_RULE_MAX || len + 1 >= list->len ||
	    (sign[1] != '0' && sign[1] != '1') || (len + 2 < list->len && sign[2] != ','))
		return false;
	*rule = (struct span){list->at, len};
	*open = sign[1] == '1';
	len += len + 2 < list->len ? 3 : 2;
	*list = (struct span){list->at + len, list->len - len};
	return true;
}

static struct gauge *gauge_of(struct alert_gauges *gauges, struct span rule)
{
	char labels[sizeof("rule=\"\"") + ALERT_RULE_MAX];
	struct metric *metric;

	snprintf(labels, sizeof(labels), "rule=\"%.*s\"", (int)rule.len, rule.at);
	metric = metric_get(METRIC_GAUGE, "alerts_open", labels,
	                    "1 while an alert of the rule is open, as of the last refresh by this "
	                    "loader");
	for (size_t i = 0; i < gauges->count; i++)
		if (gauges->at[i].metric == metric)
			return &gauges->at[i];
	GROW(gauges->at, gauges->count, gauges->capacity);
	gauges->at[gauges->count] = (struct gauge){metric, false};
	return &gauges->at[gauges->count++];
}

void alert_gauges_set(struct alert_gauges *gauges, const char *list)
{
	struct span rest = span_of(list), rule;
	bool open;

	for (size_t i = 0; i < gauges->count; i++)
		gauges->at[i].seen = false;
	while (alert_list_take(&rest, &rule, &open)) {
		struct gauge *gauge = gauge_of(gauges, rule);

		gauge->seen = true;
		metric_set(gauge->metric, open);
	}
	for (size_t i = 0; i < gauges->count; i++)
		if (!gauges->at[i].seen)
			metric_set(gauges->at[i].metric, 0);
}
