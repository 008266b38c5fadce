#include "service/config_value.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/span.h"
#include "base/timetext.h"

#define SIZE_DIGITS_MAX 23 /* digits of a size, without its unit; int64_t needs 19 */

const struct config_option *config_option_at(const struct config_option *const *tables,
                                             size_t index)
{
	for (; *tables; tables++)
		for (const struct config_option *option = *tables; option->name; option++)
			if (index-- == 0)
				return option;
	return NULL;
}

static void bytes_format(int64_t bytes, char out[32])
{
	static const char units[] = "kmg";
	char unit[2] = "";

	for (int i = 0; i < 3 && bytes && bytes % 1024 == 0; i++) {
		bytes /= 1024;
		unit[0] = units[i];
	}
	snprintf(out, 32, "%lld%s", (long long)bytes, unit);
}

static void number_format(const struct config_option *option, int64_t number, char out[32])
{
	if (option->type == CONFIG_DURATION)
		duration_format(number, out);
	else if (option->type == CONFIG_BYTES)
		bytes_format(number, out);
	else
		snprintf(out, 32, "%lld", (long long)number);
}

/* Length of the first URL of a list. Only a comma before a scheme ends it: another comma may be
 * part of a password. */
static size_t url_len(const char *text)
{
	size_t len = 0;

	while (text[len] && !(text[len] == ',' && strncasecmp(text + len + 1, "http", 4) == 0))
		len++;
	return len;
}

/* Length of the URL up to its query, which may have a token. */
static size_t shown_len(const char *text, size_t len, bool is_url)
{
	const char *query = is_url ? memchr(text, '?', len) : NULL;

	return query ? (size_t)(query - text) : len;
}

/* Replaces user and password by ***, and the query too. They end at the last @ of the URL, because
 * a password may contain an unescaped @. */
static void urls_mask(const char *text, char *out, size_t cap)
{
	size_t used = 0;

	out[0] = '\0';
	while (*text && used < cap) {
		size_t len = url_len(text), scheme = 0, host, shown;
		const char *slashes = strstr(text, "://");

		for (host = len; host > 0 && text[host - 1] != '@'; host--)
			;
		if (host > 0 && slashes && slashes < text + host)
			scheme = (size_t)(slashes + 3 - text);
		shown = shown_len(text + host, len - host, slashes && slashes < text + len);
		used += (size_t)snprintf(out + used, cap - used, "%.*s%s%.*s%s%s", (int)scheme,
		                         text, host ? "***@" : "", (int)shown, text + host,
		                         shown < len - host ? "?***" : "", text[len] ? "," : "");
		text += len + (text[len] == ',');
	}
}

static bool is_number(const struct config_option *option)
{
	return option->type == CONFIG_INTEGER || option->type == CONFIG_DURATION ||
	       option->type == CONFIG_BYTES;
}

void config_range(const struct config_option *option, char *out, size_t cap)
{
	char low[32], high[32];

	out[0] = '\0';
	if (!is_number(option) || (option->min == 0 && option->max == 0))
		return;
	number_format(option, option->min, low);
	number_format(option, option->max, high);
	if (option->max == INT64_MAX || option->max < option->min)
		snprintf(out, cap, "at least %s", low);
	else
		snprintf(out, cap, "%s to %s", low, high);
}

const char *config_expected(const struct config_option *option)
{
	switch (option->type) {
	case CONFIG_TEXT:
	case CONFIG_SECRET:
	case CONFIG_URLS: return "a value that is not empty";
	case CONFIG_INTEGER: return "a whole number";
	case CONFIG_BOOLEAN: return "true or false";
	case CONFIG_DURATION: return "a duration such as 250ms, 5s, 10m, 1h or 7d";
	case CONFIG_BYTES: return "a size such as 1048576, 64k, 16m or 2g";
	case CONFIG_CHOICE: return "one of";
	}
	return "";
}

/* The value without its secret parts. */
static void text_show(const struct config_option *option, const char *value, char *out, size_t cap)
{
	if (option->type == CONFIG_URLS)
		urls_mask(value, out, cap);
	else
		snprintf(out, cap, "%s", option->type == CONFIG_SECRET && *value ? "***" : value);
}

static bool bytes_parse(const char *text, int64_t *bytes)
{
	static const char units[] = "kmg";
	size_t len = strlen(text);
	const char *unit = len ? strchr(units, tolower((unsigned char)text[len - 1])) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;

	if (unit)
		len--;
	if (len > SIZE_DIGITS_MAX || !number_parse_signed((struct span){text, len}, bytes) ||
	    *bytes < 0 || *bytes > INT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

static bool boolean_parse(const char *text, bool *value)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcmp(text, words[i]) == 0) {
			*value = i % 2 == 1;
			return true;
		}
	return false;
}

static bool choice_matches(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *at = choices; len && at; at = strchr(at, '|'), at = at ? at + 1 : NULL)
		if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0') &&
		    !strchr(value, '|'))
			return true;
	return false;
}

static bool number_value(const struct config_option *option, const char *value, int64_t *number)
{
	bool good = option->type == CONFIG_DURATION ? duration_parse(span_of(value), number)
	            : option->type == CONFIG_BYTES  ? bytes_parse(value, number)
	                                            : number_parse(value, number);

	if (good && (option->min || option->max))
		good = *number >= option->min &&
		       (*number <= option->max || option->max < option->min);
	return good;
}

static bool text_is_good(const struct config_option *option, const char *value)
{
	if (option->type == CONFIG_CHOICE)
		return choice_matches(option->choices, value);
	return *value || (option->default_value && !*option->default_value);
}

static bool is_valid(const struct config_option *option, const char *value, void *config)
{
	char *field = (char *)config + option->offset;
	int64_t number = 0;
	bool truth = false, good;

	if (is_number(option)) {
		good = number_value(option, value, &number);
		memcpy(field, &number, sizeof(number));
	} else if (option->type == CONFIG_BOOLEAN) {
		good = boolean_parse(value, &truth);
		memcpy(field, &truth, sizeof(truth));
	} else {
		good = text_is_good(option, value);
		memcpy(field, &value, sizeof(value));
	}
	return good;
}

bool config_value_set(const struct config_option *option, const char *value, void *config,
                      char *why, size_t cap)
{
	bool is_choice = option->type == CONFIG_CHOICE;
	struct err err = {.class = ERR_NONE};
	char range[96], shown[1024];

	text_show(option, value, shown, sizeof(shown));
	if (!is_valid(option, value, config)) {
		config_range(option, range, sizeof(range));
		snprintf(why, cap, "invalid value \"%s\" for %s: expected %s%s%s%s%s%s", shown,
		         option->name, config_expected(option), range[0] ? " (" : "", range,
		         range[0] ? ")" : "", is_choice ? " " : "",
		         is_choice ? option->choices : "");
		return false;
	}
	if (!option->check || !*value || option->check(value, &err))
		return true;
	snprintf(why, cap, "invalid value \"%s\" for %s: %s", shown, option->name, err.message);
	return false;
}

void config_show(const struct config_option *option, const void *config, char *out, size_t cap)
{
	const char *field = (const char *)config + option->offset, *text = NULL;
	int64_t number = 0;
	bool truth = false;

	if (is_number(option)) {
		memcpy(&number, field, sizeof(number));
		number_format(option, number, out);
	} else if (option->type == CONFIG_BOOLEAN) {
		memcpy(&truth, field, sizeof(truth));
		snprintf(out, cap, "%s", truth ? "true" : "false");
	} else {
		memcpy(&text, field, sizeof(text));
		text_show(option, text ? text : "", out, cap);
	}
}
