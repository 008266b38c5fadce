/* A text as a time, an integer, a list of null words, and each setting of the rules. An accepted
 * value is within its limits, and is read again from its standard form. A refusal has a reason. */
#include <inttypes.h>

#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/event_rules.h"
#include "event/event_values.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"

static void check_time(struct span text)
{
	int64_t time_us = 7, again_us;
	char out[32];

	if (!event_time_read(text, &time_us)) {
		fuzz_check(time_us == 7 && event_time_refusal(text)[0]);
		return;
	}
	fuzz_check(time_us >= INT64_C(946684800000000) && time_us <= INT64_C(253402300799999999));
	fuzz_check(event_time_read((struct span){out, time_format_plain(time_us, out)}, &again_us));
	fuzz_check(again_us == time_us);
}

/* The three ways to give a number as a time agree. */
static void check_epoch(int64_t number)
{
	int64_t of_integer = 0, of_text = 0, of_real = 0;
	char text[32];
	struct span span = {text, (size_t)snprintf(text, sizeof(text), "%" PRId64, number)};
	bool valid = event_time_of_integer(number, &of_integer);

	fuzz_check(event_time_read(span, &of_text) == valid && of_text == of_integer);
	if (valid && number < INT64_C(9007199254740992))
		fuzz_check(event_time_of_real((double)number, &of_real) && of_real == of_integer);
}

static void check_integer(struct span text)
{
	int64_t value = 7, again = 0;
	char out[40];

	if (!event_integer_read(text, &value)) {
		fuzz_check(value == 7);
		return;
	}
	check_epoch(value);
	for (size_t form = 0; form < 2; form++) {
		int len = snprintf(out, sizeof(out), "%" PRId64 "%s", value, form ? ".0" : "");

		fuzz_check(event_integer_read((struct span){out, (size_t)len}, &again));
		fuzz_check(again == value);
	}
}

static void check_words(const char *text)
{
	struct null_words words;
	struct err err = {ERR_NONE, ""};

	if (!null_words_read(text, &words, &err)) {
		fuzz_check(err.class == ERR_INPUT && err.message[0]);
		return;
	}
	for (size_t i = 0; i < words.count; i++)
		fuzz_check(null_words_has(&words, words.at[i]));
}

static void check_rules(const char *text, size_t setting)
{
	struct event_rules_config config = EVENT_RULES_DEFAULTS;
	const char **settings[] = {&config.required_fields,    &config.allowed_event_types,
	                           &config.price_required_for, &config.min_price,
	                           &config.max_price,          &config.null_words};
	struct event_rules rules;
	struct err err = {ERR_NONE, ""};
	char out[EVENT_RULES_TEXT_MAX];

	*settings[setting] = text;
	if (event_rules_read(&config, &rules, &err))
		fuzz_check(event_rules_format(&rules, out) < sizeof(out) && !strchr(out, ' '));
	else
		fuzz_check(err.class == ERR_INPUT && err.message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = {(const char *)data, size};
	char *text = malloc(size + 1);

	fuzz_check(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_time(bytes);
	check_integer(bytes);
	check_words(text);
	for (size_t setting = 0; setting < 6; setting++)
		check_rules(text, setting);
	free(text);
	return 0;
}
