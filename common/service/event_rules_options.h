/* The settings of the rules of validity, for bronze-sink and redrive. */
#ifndef FUNNEL_EVENT_RULES_OPTIONS_H
#define FUNNEL_EVENT_RULES_OPTIONS_H

#include <stddef.h>

#include "event/event_rules.h"
#include "event/event_values.h"
#include "service/config.h"

/* A table of settings for the member of type struct event_rules_config in a program's config
 * struct:
 *   static const struct config_option rules_options[] =
 *           EVENT_RULES_OPTIONS(struct my_config, rules); */
/* clang-format off */
#define EVENT_RULES_OPTIONS(config, member)                                                      \
	{                                                                                        \
		{                                                                                \
			.name = "REQUIRED_FIELDS",                                               \
			.type = CONFIG_TEXT,                                                     \
			.offset = offsetof(config, member.required_fields),                      \
			.default_value = "",                                                     \
			.help = "fields that an event must have, with commas between them, in "  \
				"addition to event_time, event_type, product_id and user_id",    \
			.check = event_rules_fields_check,                                       \
		},                                                                               \
		{                                                                                \
			.name = "ALLOWED_EVENT_TYPES",                                           \
			.type = CONFIG_TEXT,                                                     \
			.offset = offsetof(config, member.allowed_event_types),                  \
			.default_value = EVENT_RULES_ALL_TYPES,                                  \
			.help = "event types that are accepted, some of these five",             \
			.check = event_rules_types_check,                                        \
		},                                                                               \
		{                                                                                \
			.name = "PRICE_REQUIRED_FOR",                                            \
			.type = CONFIG_TEXT,                                                     \
			.offset = offsetof(config, member.price_required_for),                   \
			.default_value = "purchase",                                             \
			.help = "event types that must have a price; none: no type",             \
			.check = event_rules_price_types_check,                                  \
		},                                                                               \
		{                                                                                \
			.name = "MIN_PRICE",                                                     \
			.type = CONFIG_TEXT,                                                     \
			.offset = offsetof(config, member.min_price),                            \
			.default_value = "0",                                                    \
			.help = "lowest price that is accepted",                                 \
			.check = event_rules_price_check,                                        \
		},                                                                               \
		{                                                                                \
			.name = "MAX_PRICE",                                                     \
			.type = CONFIG_TEXT,                                                     \
			.offset = offsetof(config, member.max_price),                            \
			.default_value = EVENT_RULES_MAX_PRICE,                                  \
			.help = "highest price that is accepted",                                \
			.check = event_rules_price_check,                                        \
		},                                                                               \
		{                                                                                \
			.name = "NULL_WORDS",                                                    \
			.type = CONFIG_TEXT,                                                     \
			.offset = offsetof(config, member.null_words),                           \
			.default_value = NULL_WORDS_DEFAULT,                                     \
			.help = "words that mean no value, in every field; the producer needs "  \
				"the same list",                                                 \
			.check = null_words_check,                                               \
		},                                                                               \
		{0},                                                                             \
	}
/* clang-format on */

#endif
