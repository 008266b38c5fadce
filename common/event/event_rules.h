/* The rules of validity that settings can change: required fields, allowed event types, prices, and
 * the words that mean "no value". The defaults are the rules of the README. Pure. */
#ifndef FUNNEL_EVENT_RULES_H
#define FUNNEL_EVENT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "event/event_values.h"

/* The version of the code that validates. Add 1 when a value that was refused becomes valid, or the
 * reverse: a restore that folds old records again has to know. 1: commit 97bc875. */
#define EVENT_RULES_VERSION 2

struct event_rules {
	unsigned required;           /* bit: enum event_field_index; time, type and ids always */
	unsigned allowed_types;      /* bit: enum event_type */
	unsigned price_required_for; /* bit: enum event_type */
	int64_t min_price_cents, max_price_cents; /* inclusive */
	struct null_words null_words;
};

/* The rules as texts of settings. */
struct event_rules_config {
	const char *required_fields;     /* REQUIRED_FIELDS */
	const char *allowed_event_types; /* ALLOWED_EVENT_TYPES */
	const char *price_required_for;  /* PRICE_REQUIRED_FOR */
	const char *min_price;           /* MIN_PRICE */
	const char *max_price;           /* MAX_PRICE */
	const char *null_words;          /* NULL_WORDS */
};

#define EVENT_RULES_ALL_TYPES "view,cart,remove_from_cart,checkout,purchase"
#define EVENT_RULES_MAX_PRICE "999999999999999.99"
#define EVENT_RULES_DEFAULTS                                                       \
	{                                                                          \
		"", EVENT_RULES_ALL_TYPES, "purchase", "0", EVENT_RULES_MAX_PRICE, \
			NULL_WORDS_DEFAULT                                         \
	}

/* *rules borrows from the texts. ERR_INPUT: the message names the setting, the value, and what was
 * expected. */
MUST_USE bool event_rules_read(const struct event_rules_config *config, struct event_rules *rules,
                               struct err *err);
/* The rules without any setting. */
void event_rules_default(struct event_rules *rules);
/* The rules that refuse least, with the null words of `rules`: for an event that was accepted
 * before the rules changed. */
void event_rules_loosen(const struct event_rules *rules, struct event_rules *loose);

/* For the checks of the settings. */
bool event_rules_fields_check(const char *text, struct err *err);
bool event_rules_types_check(const char *text, struct err *err);
bool event_rules_price_types_check(const char *text, struct err *err);
bool event_rules_price_check(const char *text, struct err *err);

/* The rules as text without blanks, the same for all settings that mean the same. Returns the
 * length; out is terminated. Masks are hexadecimal, and null_words is a hash:
 *   rules=2,required=87,types=1f,price_for=10,price_cents=0-500,null_words=3f5a9c0e12b7d864 */
#define EVENT_RULES_TEXT_MAX 160
size_t event_rules_format(const struct event_rules *rules, char out[EVENT_RULES_TEXT_MAX]);

#endif
