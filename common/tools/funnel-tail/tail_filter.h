/* Which records of a topic are shown. Pure.
 *
 * A filter is a glob as in a shell: * any text, ? one character, [ab] one of these. NULL or "": no
 * filter. A record is shown if it matches all filters. A record that cannot be decoded matches
 * every filter except key: nobody can know its category or type, and hiding it would hide the
 * fault. */
#ifndef FUNNEL_TAIL_FILTER_H
#define FUNNEL_TAIL_FILTER_H

#include <stdbool.h>

#include "base/err.h"
#include "tail_record.h"
#include "wire/topics.h"

struct tail_filter {
	const char *key;  /* every topic */
	const char *type; /* event type; control for a control: raw, bronze, late, dead-letter */
	const char *category; /* unknown where it is missing: all topics except counts */
	const char *reason;   /* reason code: dead-letter */
	const char *rollup;   /* aggregates */
};

/* ERR_INPUT names a filter that does not apply to the topic. */
MUST_USE bool tail_filter_check(const struct tail_filter *filter, enum topic_id topic,
                                struct err *err);
bool tail_filter_is_set(const struct tail_filter *filter);
bool tail_filter_takes(const struct tail_filter *filter, const struct tail_record *tail);

#endif
