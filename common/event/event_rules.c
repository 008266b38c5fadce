/* Lists become bit masks. The price range is always checked, also by default, so that there is one
 * path. The text for restore metadata has a hash of the null words instead of the words,
 * because the metadata has little room; the order of the words does not change it. */
#include "event/event_rules.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fnv.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event.h"
#include "event/event_fields.h"

#define ALWAYS_REQUIRED                                                             \
	(1u << FIELD_EVENT_TIME | 1u << FIELD_EVENT_TYPE | 1u << FIELD_PRODUCT_ID | \
	 1u << FIELD_USER_ID)
#define FIELDS_EXPECTED \
	"expected names of fields with commas between them, such as user_session,brand"
#define TYPES_EXPECTED                                                           \
	"expected some of view, cart, remove_from_cart, checkout and purchase, " \
	"with commas between them"
#define PRICE_EXPECTED "expected a price such as 0.01, with at most two decimals"

static int field_of(struct span name)
{
	for (int i = 0; i < EVENT_FIELD_COUNT; i++)
		if (span_is(name, event_field_names[i]))
			return i;
	return -1;
}

static int type_of(struct span name)
{
	enum event_type type;

	return event_type_parse(name, &type) ? (int)type : -1;
}

/* Reads names with commas between them, and blanks around them, to a mask. */
static bool list_read(const char *list, int (*number_of)(struct span name), unsigned *mask)
{
	unsigned bits = 0;

	for (const char *at = list, *end;; at = end + 1) {
		struct span name;
		int bit;

		end = at + strcspn(at, ",");
		name = span_trim((struct span){at, (size_t)(end - at)});
		bit = number_of(name);
		if (bit < 0)
			return false;
		bits |= 1u << bit;
		if (!*end)
			break;
	}
	*mask = bits;
	return true;
}

static bool fields_read(const char *text, unsigned *required, struct err *err)
{
	unsigned more = 0;

	if (*text && !list_read(text, field_of, &more))
		return err_set(err, ERR_INPUT, FIELDS_EXPECTED);
	*required = ALWAYS_REQUIRED | more;
	return true;
}

static bool types_read(const char *text, unsigned *types, struct err *err)
{
	return list_read(text, type_of, types) || err_set(err, ERR_INPUT, TYPES_EXPECTED);
}

static bool price_types_read(const char *text, unsigned *types, struct err *err)
{
	*types = 0;
	return strcmp(text, "none") == 0 || list_read(text, type_of, types) ||
	       err_set(err, ERR_INPUT, TYPES_EXPECTED ", or none");
}

static bool price_read(const char *text, int64_t *cents, struct err *err)
{
	return money_parse(span_of(text), cents) || err_set(err, ERR_INPUT, PRICE_EXPECTED);
}

bool event_rules_fields_check(const char *text, struct err *err)
{
	return fields_read(text, &(unsigned){0}, err);
}

bool event_rules_types_check(const char *text, struct err *err)
{
	return types_read(text, &(unsigned){0}, err);
}

bool event_rules_price_types_check(const char *text, struct err *err)
{
	return price_types_read(text, &(unsigned){0}, err);
}

bool event_rules_price_check(const char *text, struct err *err)
{
	return price_read(text, &(int64_t){0}, err);
}

/* Puts the setting and its value before the message. */
static bool refused(const char *name, const char *text, struct err *err)
{
	return err_prefix(err, "invalid value \"%s\" for %s", text, name);
}

bool event_rules_read(const struct event_rules_config *config, struct event_rules *rules,
                      struct err *err)
{
	*rules = (struct event_rules){0};
	if (!fields_read(config->required_fields, &rules->required, err))
		return refused("REQUIRED_FIELDS", config->required_fields, err);
	if (!types_read(config->allowed_event_types, &rules->allowed_types, err))
		return refused("ALLOWED_EVENT_TYPES", config->allowed_event_types, err);
	if (!price_types_read(config->price_required_for, &rules->price_required_for, err))
		return refused("PRICE_REQUIRED_FOR", config->price_required_for, err);
	if (!price_read(config->min_price, &rules->min_price_cents, err))
		return refused("MIN_PRICE", config->min_price, err);
	if (!price_read(config->max_price, &rules->max_price_cents, err))
		return refused("MAX_PRICE", config->max_price, err);
	if (!null_words_read(config->null_words, &rules->null_words, err))
		return refused("NULL_WORDS", config->null_words, err);
	if (rules->min_price_cents <= rules->max_price_cents)
		return true;
	err_set(err, ERR_INPUT, "expected at most MAX_PRICE, which is %s", config->max_price);
	return refused("MIN_PRICE", config->min_price, err);
}

void event_rules_default(struct event_rules *rules)
{
	static const struct event_rules_config defaults = EVENT_RULES_DEFAULTS;

	if (!event_rules_read(&defaults, rules, NULL))
		*rules = (struct event_rules){0}; /* a unit test shows that this is never reached */
}

void event_rules_loosen(const struct event_rules *rules, struct event_rules *loose)
{
	*loose = (struct event_rules){
		.required = ALWAYS_REQUIRED,
		.allowed_types = (1u << EVENT_TYPE_COUNT) - 1,
		.min_price_cents = INT64_MIN,
		.max_price_cents = INT64_MAX,
		.null_words = rules->null_words,
	};
}

/* The sum of the hashes of the words, so that their order does not matter. */
static uint64_t hash_words(const struct null_words *words)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < words->count; i++) {
		struct span word = words->at[i];

		sum += fnv1a(FNV1A_START, word.at, word.len);
	}
	return sum;
}

size_t event_rules_format(const struct event_rules *rules, char out[EVENT_RULES_TEXT_MAX])
{
	return (size_t)snprintf(out, EVENT_RULES_TEXT_MAX,
	                        "rules=%d,required=%x,types=%x,price_for=%x,price_cents=%" PRId64
	                        "-%" PRId64 ",null_words=%016" PRIx64,
	                        EVENT_RULES_VERSION, rules->required, rules->allowed_types,
	                        rules->price_required_for, rules->min_price_cents,
	                        rules->max_price_cents, hash_words(&rules->null_words));
}
