/* Texts from people and from the registry: settings by flag and environment, rollups, stages,
 * times, money, durations, clocks in restore metadata, and messages of the registry. An accepted
 * value can be formatted, and parsed again to the same value. */
#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "base/timetext.h"
#include "event/clock.h"
#include "event/window.h"
#include "fuzz.h"
#include "fuzz/fuzz.h"
#include "service/config.h"
#include "service/config_value.h"
#include "stages.h"
#include "wire/registry_messages.h"
#include "wire/topics.h"

#define ARGUMENTS_MAX 8

/* The rest of the input as a terminated text. The caller frees it. */
static char *text_of(const struct fuzz_reader *in)
{
	char *text = malloc(in->left + 1);

	fuzz_check(text);
	memcpy(text, in->at, in->left);
	text[in->left] = '\0';
	return text;
}

/* ---- settings */

struct settings {
	const char *text, *secret, *choice;
	int64_t number, any_number, duration_us, bytes;
	bool truth;
};

static void check_config(const struct fuzz_reader *in)
{
	static const struct config_option table[] = {
		{"TEXT", CONFIG_TEXT, offsetof(struct settings, text), "", 0, 0, "a text", NULL,
	         NULL},
		{"A_SECRET", CONFIG_SECRET, offsetof(struct settings, secret), "", 0, 0, "a secret",
	         NULL, NULL},
		{"CHOICE", CONFIG_CHOICE, offsetof(struct settings, choice), "a", 0, 0, "a choice",
	         "a|bc", NULL},
		{"NUMBER", CONFIG_INTEGER, offsetof(struct settings, number), "3", -5, 1000,
	         "a number", NULL, NULL},
		{"ANY_NUMBER", CONFIG_INTEGER, offsetof(struct settings, any_number), "3", 0, 0,
	         "any number", NULL, NULL},
		{"DURATION", CONFIG_DURATION, offsetof(struct settings, duration_us), "5s", 1000,
	         INT64_C(86400000000), "a duration", NULL, NULL},
		{"BYTES", CONFIG_BYTES, offsetof(struct settings, bytes), "1k", 1, INT64_C(1) << 40,
	         "a size", NULL, NULL},
		{"TRUTH", CONFIG_BOOLEAN, offsetof(struct settings, truth), "false", 0, 0,
	         "a truth", NULL, NULL},
		{0},
	};
	static const struct config_option *const tables[] = {table, NULL};
	char program[] = "fuzz", *arguments[ARGUMENTS_MAX + 2] = {program}, *text = text_of(in),
	     shown[256];
	struct settings settings = {0};
	int count = 1;

	for (char *line = text; line && count <= ARGUMENTS_MAX; count++) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = '\0';
		arguments[count] = line;
		line = end;
	}
	if (config_load(tables, "fuzz", "a fuzz target", count, arguments, &settings) ==
	    CONFIG_OK) {
		fuzz_check(settings.number >= -5 && settings.number <= 1000);
		fuzz_check(settings.duration_us >= 1000 &&
		           settings.duration_us <= INT64_C(86400000000));
		fuzz_check(settings.bytes >= 1 && settings.bytes <= INT64_C(1) << 40);
		fuzz_check(strcmp(settings.choice, "a") == 0 || strcmp(settings.choice, "bc") == 0);
		for (const struct config_option *option = table; option->name; option++) {
			config_show(option, &settings, shown, sizeof(shown));
			fuzz_check(memchr(shown, '\0', sizeof(shown)));
		}
	}
	free(text);
}

static void check_rollups(const struct fuzz_reader *in)
{
	static const int64_t times_us[] = {0, -1, INT64_C(1569888000123456),
	                                   INT64_C(253402300799999999),
	                                   INT64_C(-62135596800000000)};
	char *text = text_of(in);
	struct rollup_list list;
	struct err err = {ERR_NONE, ""};

	if (!rollups_parse(text, &list, &err))
		fuzz_check(err.class == ERR_INPUT && err.message[0]);
	for (int r = 0; !err.message[0] && r < list.count; r++) {
		for (size_t t = 0; t < sizeof(times_us) / sizeof(times_us[0]); t++) {
			int count = rollup_window_count(&list.at[r], times_us[t]);

			fuzz_check(count >= 1 && count <= WINDOWS_PER_EVENT_MAX);
			for (int i = 0; i < count; i++) {
				struct window window = rollup_window(&list.at[r], times_us[t], i);

				fuzz_check(window.start_us <= times_us[t] &&
				           times_us[t] < window.end_us);
				fuzz_check(window.end_us - window.start_us <= list.at[r].size_us);
				fuzz_check(rollup_earliest_open(&list.at[r], times_us[t]) <=
				           window.start_us);
			}
			fuzz_check(rollup_next_start(&list.at[r], times_us[t]) >= times_us[t]);
		}
	}
	free(text);
}

static void check_stages(const struct fuzz_reader *in)
{
	char *text = text_of(in);
	struct stages stages;
	struct err err = {ERR_NONE, ""};

	if (stages_parse(text, &stages, &err))
		fuzz_check(stages.count >= 2 && stages.count <= STAGES_MAX);
	else
		fuzz_check(err.class == ERR_INPUT && err.message[0]);
	free(text);
}

/* ---- times and money */

static void check_time(struct span text)
{
	int64_t time_us, again_us;
	char out[32];

	if (!time_parse(text, &time_us))
		return;
	fuzz_check(time_parse((struct span){out, time_format_plain(time_us, out)}, &again_us) &&
	           again_us == time_us);
	fuzz_check(time_parse((struct span){out, time_format_iso(time_us, out)}, &again_us) &&
	           again_us == time_us);
}

static void check_numbers(struct span text)
{
	struct fuzz_reader in = {text.at, text.len};
	int64_t value, again, any = fuzz_int64(&in);
	char out[32];

	if (money_parse(text, &value)) {
		fuzz_check(value >= 0 &&
		           money_parse((struct span){out, money_format(value, out)}, &again) &&
		           again == value);
	}
	if (duration_parse(text, &value)) {
		fuzz_check(
			value >= 0 &&
			duration_parse((struct span){out, duration_format(value, out)}, &again) &&
			again == value);
	}
	fuzz_check(strlen(out) < sizeof(out) || money_format(any, out) < sizeof(out));
	fuzz_check(time_format_plain(any, out) < sizeof(out) &&
	           time_format_iso(any, out) < sizeof(out));
	fuzz_check(money_format(any, out) < sizeof(out) &&
	           duration_format(any < 0 ? 0 : any, out) < sizeof(out));
}

static void check_clock(struct span text)
{
	static const struct clock_event last = {INT64_C(253402300799999999), 1,
	                                        INT64_C(253402300799999999), CLOCK_NONE};
	struct partition_clock clock, again;
	char out[CLOCK_TEXT_MAX];

	if (!clock_parse(text, &clock))
		return;
	fuzz_check(clock_parse((struct span){out, clock_format(&clock, out)}, &again));
	fuzz_check(memcmp(&clock, &again, sizeof(clock)) == 0);
	clock_check(&clock, &last);
	clock_accept(&clock, &last);
	fuzz_check(clock_now(&clock) != CLOCK_NONE);
}

/* ---- the registry */

static void check_registry_messages(struct span body)
{
	struct buffer text = {0};
	bool is_json_schema;
	struct err err = {ERR_NONE, ""};
	char reason[64];
	int32_t id = 0, versions[4];
	size_t count;

	if (registry_read_versions(body, versions, 4, &count, &err))
		fuzz_check(count <= 4);
	fuzz_check(registry_read_id(body, &id, &err) ? id > 0 : err.class == ERR_RETRY);
	if (registry_read_schema(body, &text, &is_json_schema, &err))
		json_schema_title_is((struct span){text.at, text.len}, "RawEvent");
	registry_level_checks_backward(body);
	json_schema_title_is(body, "RawEvent");
	for (long status = 400; status < 600; status += 4) {
		registry_read_failure(status, body, reason, sizeof(reason));
		fuzz_check(memchr(reason, '\0', sizeof(reason)));
		for (const char *c = reason; *c; c++)
			fuzz_check(*c >= ' ' && *c <= '~');
	}
	buffer_free(&text);
}

static void check_topic(const struct fuzz_reader *in)
{
	char *text = text_of(in), name[TOPIC_NAME_MAX + 1];

	for (int t = 0; t < TOPIC_COUNT; t++)
		if (topic_name(text, (enum topic_id)t, name, sizeof(name)))
			fuzz_check(strlen(name) <= TOPIC_NAME_MAX);
	topic_group(text, 0, name, sizeof(name));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader in = {(const char *)data, size};
	uint8_t form = fuzz_byte(&in) % 8;
	struct span text = {in.at, in.left};

	switch (form) {
	case 0: check_config(&in); break;
	case 1: check_rollups(&in); break;
	case 2: check_stages(&in); break;
	case 3: check_time(text); break;
	case 4: check_numbers(text); break;
	case 5: check_clock(text); break;
	case 6: check_registry_messages(text); break;
	default: check_topic(&in); break;
	}
	return 0;
}
