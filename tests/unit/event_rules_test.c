/* Rules of validity: settings become rules, invalid settings say what was expected, and the text
 * for restore metadata is the same for settings that mean the same. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"
#include "event/event.h"
#include "event/event_fields.h"
#include "event/event_rules.h"
#include "event/event_values.h"

#define ALWAYS                                                                      \
	(1u << FIELD_EVENT_TIME | 1u << FIELD_EVENT_TYPE | 1u << FIELD_PRODUCT_ID | \
	 1u << FIELD_USER_ID)

static struct event_rules_config defaults(void)
{
	return (struct event_rules_config)EVENT_RULES_DEFAULTS;
}

Test(event_rules, defaults_are_the_rules_without_settings)
{
	struct event_rules rules;

	event_rules_default(&rules);
	cr_expect_eq(rules.required, ALWAYS);
	cr_expect_eq(rules.allowed_types, 0x1f);
	cr_expect_eq(rules.price_required_for, 1u << EVENT_PURCHASE);
	cr_expect_eq(rules.min_price_cents, 0);
	cr_expect_eq(rules.max_price_cents, INT64_C(99999999999999999));
	cr_expect(null_words_has(&rules.null_words, SPAN("nan")));
}

Test(event_rules, settings_become_rules)
{
	struct event_rules_config config = {
		"user_session, price,brand", "view,purchase", "none", "0.01", "500", "-"};
	struct event_rules rules;
	struct err err;

	cr_assert(event_rules_read(&config, &rules, &err));
	cr_expect_eq(rules.required,
	             ALWAYS | 1u << FIELD_USER_SESSION | 1u << FIELD_PRICE | 1u << FIELD_BRAND);
	cr_expect_eq(rules.allowed_types, 1u << EVENT_VIEW | 1u << EVENT_PURCHASE);
	cr_expect_eq(rules.price_required_for, 0);
	cr_expect_eq(rules.min_price_cents, 1);
	cr_expect_eq(rules.max_price_cents, 50000);
	cr_expect(null_words_has(&rules.null_words, SPAN("-")));
	cr_expect(!null_words_has(&rules.null_words, SPAN("nan")));
}

Test(event_rules, an_invalid_setting_is_named_with_its_value_and_what_was_expected)
{
	static const struct {
		struct event_rules_config config;
		const char *want;
	} table[] = {
		{{"session", "view", "none", "0", "1", "-"},
	         "invalid value \"session\" for REQUIRED_FIELDS: expected names of fields with "
	         "commas between them, such as user_session,brand"},
		{{"brand,", "view", "none", "0", "1", "-"},
	         "invalid value \"brand,\" for REQUIRED_FIELDS: expected names of fields with "
	         "commas between them, such as user_session,brand"},
		{{"", "page_view", "none", "0", "1", "-"},
	         "invalid value \"page_view\" for ALLOWED_EVENT_TYPES: expected some of view, "
	         "cart, remove_from_cart, checkout and purchase, with commas between them"},
		{{"", "", "none", "0", "1", "-"},
	         "invalid value \"\" for ALLOWED_EVENT_TYPES: expected some of view, cart, "
	         "remove_from_cart, checkout and purchase, with commas between them"},
		{{"", "view", "nothing", "0", "1", "-"},
	         "invalid value \"nothing\" for PRICE_REQUIRED_FOR: expected some of view, cart, "
	         "remove_from_cart, checkout and purchase, with commas between them, or none"},
		{{"", "view", "none", "-1", "1", "-"},
	         "invalid value \"-1\" for MIN_PRICE: expected a price such as 0.01, with at most "
	         "two decimals"},
		{{"", "view", "none", "0", "1e3", "-"},
	         "invalid value \"1e3\" for MAX_PRICE: expected a price such as 0.01, with at "
	         "most two decimals"},
		{{"", "view", "none", "2", "1.99", "-"},
	         "invalid value \"2\" for MIN_PRICE: expected at most MAX_PRICE, which is 1.99"},
		{{"", "view", "none", "0", "1", ","},
	         "invalid value \",\" for NULL_WORDS: expected 1 to 32 words of at most 31 bytes "
	         "with commas between them, such as nan,NULL"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct event_rules rules;
		struct err err = {ERR_NONE, ""};

		cr_expect(!event_rules_read(&table[i].config, &rules, &err));
		cr_expect_eq(err.class, ERR_INPUT);
		cr_expect_str_eq(err.message, table[i].want);
	}
}

Test(event_rules, each_setting_has_its_check)
{
	struct err err;

	cr_expect(event_rules_fields_check("price", &err) &&
	          !event_rules_fields_check("prices", &err));
	cr_expect(event_rules_types_check("cart", &err) && !event_rules_types_check("none", &err));
	cr_expect(event_rules_price_types_check("none", &err) &&
	          event_rules_price_types_check("cart,purchase", &err) &&
	          !event_rules_price_types_check("none,cart", &err));
	cr_expect(event_rules_price_check("0.01", &err) && !event_rules_price_check("$1", &err));
}

static void expect_same(struct event_rules_config a, struct event_rules_config b, bool same)
{
	char text_a[EVENT_RULES_TEXT_MAX], text_b[EVENT_RULES_TEXT_MAX];
	struct event_rules rules_a, rules_b;
	struct err err;

	cr_assert(event_rules_read(&a, &rules_a, &err) && event_rules_read(&b, &rules_b, &err));
	cr_expect_eq(event_rules_format(&rules_a, text_a), strlen(text_a));
	event_rules_format(&rules_b, text_b);
	cr_expect_eq(strcmp(text_a, text_b) == 0, same, "%s and %s", text_a, text_b);
	cr_expect(!strchr(text_a, ' '));
}

Test(event_rules, the_text_differs_exactly_if_the_rules_do)
{
	struct event_rules_config a = defaults(), b;

	expect_same(a, a, true);
	b = a, b.required_fields = "user_id,event_time", expect_same(a, b, true);
	b = a, b.required_fields = "brand", expect_same(a, b, false);
	b = a, b.allowed_event_types = "purchase,checkout,remove_from_cart,cart, view";
	expect_same(a, b, true);
	b = a, b.allowed_event_types = "view", expect_same(a, b, false);
	b = a, b.price_required_for = "none", expect_same(a, b, false);
	b = a, b.min_price = "0.00", expect_same(a, b, true);
	b = a, b.min_price = "0.01", expect_same(a, b, false);
	b = a, b.max_price = "5", expect_same(a, b, false);
	b = a, b.null_words = "N/A,\\N,undefined,NULL,null,None,NaN,nan", expect_same(a, b, true);
	b = a, b.null_words = "nan", expect_same(a, b, false);
}

Test(event_rules, the_longest_text_fits)
{
	char text[EVENT_RULES_TEXT_MAX];
	struct event_rules rules = {.required = UINT32_MAX, .allowed_types = UINT32_MAX};

	rules.price_required_for = UINT32_MAX;
	rules.min_price_cents = rules.max_price_cents = INT64_MIN;
	cr_expect_lt(event_rules_format(&rules, text), sizeof(text));
}

Test(event_rules, the_default_text_never_changes_between_starts)
{
	char text[EVENT_RULES_TEXT_MAX];
	struct event_rules rules;

	event_rules_default(&rules);
	event_rules_format(&rules, text);
	cr_expect_str_eq(text, "rules=2,required=87,types=1f,price_for=10,price_cents=0-"
	                       "99999999999999999,null_words=ee7b20ebeb73288a");
}
