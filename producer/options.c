/* Shares are texts with their own parser, so that no floating-point number decides what the
 * generator does. */
#include "options.h"

#include <stddef.h>
#include <stdio.h>

#include "base/number.h"
#include "base/timetext.h"
#include "event/event_values.h"
#include "mapping.h"
#include "months.h"
#include "pace.h"
#include "registry/registry.h"
#include "text_encoding.h"

#define AT(member)     offsetof(struct producer_config, member)
#define SHARE_TEXT_MAX 8 /* "0.123456" */

/* ---- settings that are texts with a grammar; each is parsed when it is checked and when it is
 * used */

static bool share_read(const char *text, int64_t *ppm, struct err *err)
{
	return share_parse(span_of(text), ppm) ||
	       err_set(err, ERR_INPUT,
	               "expected a share from 0 to 1 with up to six decimals, such as 0.01");
}

static bool start_time_read(const char *text, int64_t *start_us, struct err *err)
{
	return time_parse(span_of(text), start_us) ||
	       err_set(err, ERR_INPUT, "expected a time such as 2019-10-01 00:00:00");
}

static bool speed_read(const char *text, int64_t *speed_milli, struct err *err)
{
	return pace_speed_parse(span_of(text), speed_milli) ||
	       err_set(err, ERR_INPUT, "expected max, or a factor such as 1x, 60x or 0.5x");
}

bool delimiter_read(const char *text, char *delimiter, struct err *err)
{
	*delimiter = strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0 ? '\t' : text[0];
	if (!text[0] || *delimiter == '\t' ||
	    (!text[1] && text[0] > 0 && !strchr("\"\r\n", text[0])))
		return true;
	return err_set(err, ERR_INPUT, "expected one character such as ; or |, or tab");
}

static bool delimiter_check(const char *text, struct err *err)
{
	char delimiter;

	return delimiter_read(text, &delimiter, err);
}

/* A share, or a percentage with up to four decimals. Empty: -1, no limit. */
static bool fail_above_read(const char *text, int64_t *ppm, struct err *err)
{
	struct span share = span_of(text);

	*ppm = -1;
	if (share.len == 0)
		return true;
	if (share.at[share.len - 1] != '%')
		return share_read(text, ppm, err);
	share.len--;
	return (share.len <= SHARE_TEXT_MAX && decimal_parse(share, 4, 1000000, ppm)) ||
	       err_set(err, ERR_INPUT, "expected a share such as 1%% or 0.01, from 0%% to 100%%");
}

static bool fail_above_check(const char *text, struct err *err)
{
	int64_t ppm;

	return fail_above_read(text, &ppm, err);
}

static bool share_check(const char *text, struct err *err)
{
	int64_t ppm;

	return share_read(text, &ppm, err);
}

static bool start_time_check(const char *text, struct err *err)
{
	int64_t start_us;

	return start_time_read(text, &start_us, err);
}

static bool speed_check(const char *text, struct err *err)
{
	int64_t speed_milli;

	return speed_read(text, &speed_milli, err);
}

static const struct config_option kafka_options[] = KAFKA_OPTIONS(struct producer_config, kafka);

static const struct config_option registry_options[] = REGISTRY_OPTIONS(
	struct producer_config, registry, "",
	"schema registry, where the producer registers the schema of the raw topic: one or more "
	"base URLs, comma-separated; FRAMING=confluent needs it");

static const struct config_option input_options[] = {
	{"SOURCE", CONFIG_CHOICE, AT(source), "file", 0, 0,
         "where the rows come from: files, the generator (synthetic), or a shop that is polled "
         "(fakestore)",
         "file|synthetic|fakestore", NULL},
	{"INPUT", CONFIG_URLS, AT(input), "", 0, 0,
         "file: what to read: a file, a folder, a pattern such as 'parts/*.csv.gz', a file in an "
         "archive (archive.zip/member.csv), an http or https URL (with #sha256=<digits> to check "
         "it), or - for standard input; several with commas between them, or with blanks if there "
         "is no comma",
         NULL, NULL},
	{"EVENTS", CONFIG_INTEGER, AT(events), "100000", 1, INT64_C(1000000000000),
         "synthetic: number of valid rows to generate", NULL, NULL},
	{"SEED", CONFIG_INTEGER, AT(seed), "1", 0, INT64_MAX,
         "synthetic: the same seed and settings generate the same bytes", NULL, NULL},
	{"START_TIME", CONFIG_TEXT, AT(start_time), "2019-10-01 00:00:00", 0, 0,
         "synthetic: event time of the first row, UTC", NULL, start_time_check},
	{"SHAPE", CONFIG_CHOICE, AT(shape), "sample", 0, 0,
         "synthetic: visitors and products as in the real sample (the first hours of October "
         "2019), or as in the whole month: more returning users, longer sessions, 167,000 products",
         "sample|month", NULL},
	{"DURATION", CONFIG_DURATION, AT(duration_us), "0s", 0, 0,
         "synthetic: event time that the rows cover, approximately; 0s: as in the real data, 1.7 "
         "events per second of event time, or 15.8 with SHAPE=month",
         NULL, NULL},
	{"DUPLICATES", CONFIG_TEXT, AT(duplicates), "0", 0, 0,
         "synthetic: share of rows that are repeated within one minute of event time, such as 0.01",
         NULL, share_check},
	{"DISORDER", CONFIG_DURATION, AT(disorder_us), "0s", 0, INT64_C(86400000000),
         "synthetic: longest delay of a row, in event time; each row gets a random delay", NULL,
         NULL},
	{"MALFORMED", CONFIG_TEXT, AT(malformed), "0", 0, 0,
         "synthetic: invalid rows to add, as a share of the valid ones", NULL, share_check},
	{"LATE", CONFIG_TEXT, AT(late), "0", 0, 0,
         "synthetic: share of rows that are delayed by 20 to 60 minutes of event time", NULL,
         share_check},
	{"MISSING_SESSIONS", CONFIG_TEXT, AT(missing_sessions), "0", 0, 0,
         "synthetic: share of rows with an empty user_session", NULL, share_check},
	{"CHECKOUTS", CONFIG_BOOLEAN, AT(checkouts), "false", 0, 0,
         "synthetic: add checkout events before most purchases", NULL, NULL},
	{0},
};

static const struct config_option reading_options[] = {
	{"DELIMITER", CONFIG_TEXT, AT(delimiter), "", 0, 0,
         "file: character between the columns of CSV, or tab; empty: the one of , ; tab and | that "
         "fits the header",
         NULL, delimiter_check},
	{"ENCODING", CONFIG_TEXT, AT(encoding), "utf-8", 0, 0,
         "file: encoding of the text, such as latin1, windows-1252 or utf-16 (iconv -l lists them)",
         NULL, text_encoding_check},
	{"COLUMNS", CONFIG_TEXT, AT(columns), "", 0, 0,
         "file: names of the columns of CSV files without a header line, comma-separated", NULL,
         NULL},
	{"MAPPING", CONFIG_TEXT, AT(mapping), "", 0, 0,
         "file: how another schema becomes ours: pairs OURS=THEIRS of columns and event types, "
         "such as user_id=UserID,view=product_view,skip=page_view, and time_format, "
         "time_zone or decimal=\",\"; or the path of a file with such pairs",
         NULL, mapping_check},
	{"NULL_WORDS", CONFIG_TEXT, AT(null_words), NULL_WORDS_DEFAULT, 0, 0,
         "words that mean no value, so a session that is one of them counts as missing; "
         "bronze-sink needs the same list",
         NULL, null_words_check},
	{0},
};

static const struct config_option sending_options[] = {
	{"SPEED", CONFIG_TEXT, AT(speed), "max", 0, 0,
         "replay clock: 1x is real time, 60x is one minute of event time per second, max does "
         "not wait",
         NULL, speed_check},
	{"RATE", CONFIG_INTEGER, AT(rate), "0", 0, 100000000,
         "largest number of rows per second, evenly spaced; 0: no limit", NULL, NULL},
	{"LIMIT", CONFIG_INTEGER, AT(limit), "0", 0, INT64_MAX,
         "largest number of rows to send; 0: all rows", NULL, NULL},
	{"RESUME", CONFIG_BOOLEAN, AT(resume), "true", 0, 0,
         "continue where an earlier run over the same input was interrupted; false: start from "
         "the beginning",
         NULL, NULL},
	{"RESTART", CONFIG_BOOLEAN, AT(restart), "false", 0, 0,
         "former name of RESUME=false; still works", NULL, NULL},
	{"STATE_FILE", CONFIG_TEXT, AT(state_file), "", 0, 0,
         "file that keeps the progress; empty: .producer-state/<topic>.<segment>.json; none: "
         "keep no progress",
         NULL, NULL},
	{"TIMEOUT", CONFIG_DURATION, AT(timeout_us), "0s", 0, INT64_C(2000000000000),
         "give up (exit 75) if no broker acknowledges a row for this long; 0s: never", NULL, NULL},
	{"FRAMING", CONFIG_CHOICE, AT(framing), "plain", 0, 0,
         "form of the values: plain JSON, or the wire format of Confluent's JSON Schema serializer",
         "plain|confluent", NULL},
	{"DRY_RUN", CONFIG_BOOLEAN, AT(dry_run), "false", 0, 0,
         "write the JSON values to standard output and send nothing", NULL, NULL},
	{"OUTPUT", CONFIG_TEXT, AT(output), "", 0, 0,
         "synthetic: write the rows as CSV to this file (- is standard output) and send nothing",
         NULL, NULL},
	{"TEE", CONFIG_TEXT, AT(tee), "", 0, 0,
         "synthetic: write the rows as CSV to this file while they are sent", NULL, NULL},
	{0},
};

/* ---- which rows, and when */

/* A date, or a time. */
static bool limit_read(const char *text, int64_t *time_us, struct err *err)
{
	char date[32];

	*time_us = SELECTION_OPEN;
	if (!text[0] || time_parse(span_of(text), time_us))
		return true;
	snprintf(date, sizeof(date), "%.11s 00:00:00", text);
	return time_parse(span_of(date), time_us) ||
	       err_set(err, ERR_INPUT,
	               "expected a date such as 2019-10-01 or a time such as 2019-10-01 12:00:00");
}

static bool loop_read(const char *text, int64_t *passes, struct err *err)
{
	*passes = SELECTION_FOREVER;
	return strcmp(text, "forever") == 0 ||
	       (number_parse_span(span_of(text), 1000000, passes) && *passes > 0) ||
	       err_set(err, ERR_INPUT, "expected a number from 1 to 1000000, or forever");
}

static bool limit_check(const char *text, struct err *err)
{
	int64_t time_us;

	return limit_read(text, &time_us, err);
}

static bool loop_check(const char *text, struct err *err)
{
	int64_t passes;

	return loop_read(text, &passes, err);
}

static bool month_check(const char *text, struct err *err)
{
	struct months months;

	return months_parse(text, &months, err);
}

static const struct config_option selection_options[] = {
	{"MONTH", CONFIG_TEXT, AT(month), "", 0, 0,
         "send these months only: 2019-10, a list 2019-10,2019-12 or a range 2019-10..2020-04; a "
         "file whose name has a month (2019-Oct.csv.gz) belongs to that month, rows of other files "
         "are selected by their own times",
         NULL, month_check},
	{"FROM", CONFIG_TEXT, AT(from), "", 0, 0,
         "send rows from this event time on: a date, or a time such as 2019-10-01 12:00:00, UTC",
         NULL, limit_check},
	{"TO", CONFIG_TEXT, AT(to), "", 0, 0,
         "send rows before this event time, which is not included: a date or a time, UTC", NULL,
         limit_check},
	{"ROWS_PER_DAY", CONFIG_INTEGER, AT(rows_per_day), "0", 0, INT64_C(4000000000),
         "send this number of rows of each day of event time, the first ones of the source; 0: all "
         "rows",
         NULL, NULL},
	{"SHIFT_TO_NOW", CONFIG_BOOLEAN, AT(shift_to_now), "false", 0, 0,
         "replay history as if it were today: all event times are moved by the same number of "
         "whole days, so that the newest row lies before now; with SPEED up to 1x by whole "
         "seconds, so that the first row is due now",
         NULL, NULL},
	{"LOOP", CONFIG_TEXT, AT(loop), "1", 0, 0,
         "number of passes over the input, or forever; each pass is later than the one before it "
         "by the input's days; a pass that would reach into the future does not begin",
         NULL, loop_check},
	{"EVERY", CONFIG_DURATION, AT(every_us), "0s", 0, 0,
         "send the months one after the other, each as a run of its own; a run begins when this "
         "interval, such as 3h, has passed since the start of the run before it; the months are "
         "those of MONTH or of the file names; 0s: one run; for the interval of polls see "
         "POLL_EVERY",
         NULL, NULL},
	{"REPLAY", CONFIG_BOOLEAN, AT(replay), "false", 0, 0,
         "send rows even if they are older than the topic's events by more than DEDUP_HORIZON; "
         "such rows become dead letters (too_late_to_deduplicate)",
         NULL, NULL},
	{"DEDUP_HORIZON", CONFIG_DURATION, AT(dedup_horizon_us), "7d", INT64_C(3600000000),
         INT64_C(7776000000000), "the DEDUP_HORIZON of bronze-sink", NULL, NULL},
	{0},
};

static const struct config_option net_options[] = {
	{"URL", CONFIG_URLS, AT(url), "", 0, 0,
         "fakestore: address of the products, such as https://fakestoreapi.com/products", NULL,
         NULL},
	{"POLL_EVERY", CONFIG_DURATION, AT(poll_every_us), "60s", 1000000, INT64_C(86400000000),
         "fakestore: time from one poll to the next; for runs by month see EVERY", NULL, NULL},
	{"POLLS", CONFIG_INTEGER, AT(polls), "0", 0, INT64_MAX,
         "fakestore: end the segment after this number of polls; 0: do not end", NULL, NULL},
	{"POLL_TIMEOUT", CONFIG_DURATION, AT(poll_timeout_us), "30s", 100000, INT64_C(3600000000),
         "fakestore: longest duration of a poll, including its retries", NULL, NULL},
	{"POLL_MAX_BYTES", CONFIG_BYTES, AT(poll_max_bytes), "10m", 1, INT64_C(1073741824),
         "fakestore: largest answer; a poll with a larger one gives no rows", NULL, NULL},
	{"POLL_FAILURES_MAX", CONFIG_INTEGER, AT(poll_failures_max), "3", 1, 1000000,
         "fakestore: /readyz reports not ready after this number of failed polls in a row", NULL,
         NULL},
	{"FAKESTORE_USER_ID", CONFIG_INTEGER, AT(fakestore_user_id), "1", 1, INT64_MAX,
         "fakestore: user id of the views", NULL, NULL},
	{"SOURCES", CONFIG_TEXT, AT(sources), "", 0, 0,
         "JSON file with a list of inputs and their settings, replayed one after the other; its "
         "entries may have LOOP and EVERY",
         NULL, NULL},
	{"ONLY", CONFIG_TEXT, AT(only), "", 0, 0, "replay only the entry of SOURCES with this name",
         NULL, NULL},
	{0},
};

static const struct config_option order_options[] = {
	{"ORDER", CONFIG_CHOICE, AT(order), "input", 0, 0,
         "order of the rows of files; input: one file as it is, several files merged by event "
         "time; the run exits with 65 if the rows are not in the order of their times; "
         "unchecked: the same without that check; time: all rows sorted by event time",
         "input|time|unchecked", NULL},
	{"SORT_MEMORY", CONFIG_BYTES, AT(sort_memory_bytes), "256m", INT64_C(16) << 20,
         INT64_C(1) << 40,
         "ORDER=time: memory for rows; rows that do not fit go to a temporary file", NULL, NULL},
	{"SORT_DIR", CONFIG_TEXT, AT(sort_dir), "", 0, 0,
         "ORDER=time: folder of the temporary file, which has about 1.5 times the size of the "
         "uncompressed input; empty: TMPDIR, or else the folder of the state file",
         NULL, NULL},
	{0},
};

static const struct config_option check_options[] = {
	{"FAIL_ABOVE", CONFIG_TEXT, AT(fail_above), "", 0, 0,
         "after the end of the segment, wait for bronze-sink and exit with 65 if more of the rows "
         "were refused than this share, such as 1% or 0.01, or if no row was accepted; empty: do "
         "not wait",
         NULL, fail_above_check},
	{0},
};

const struct config_option *const producer_tables[] = {input_options,     reading_options,
                                                       selection_options, sending_options,
                                                       order_options,     net_options,
                                                       check_options,     kafka_options,
                                                       registry_options,  NULL};

bool share_parse(struct span text, int64_t *ppm)
{
	return text.len <= SHARE_TEXT_MAX && decimal_parse(text, 6, 1000000, ppm);
}

static bool read_generator(const struct producer_config *config, struct generator_config *generator,
                           struct err *err)
{
	*generator = (struct generator_config){.events = config->events,
	                                       .seed = (uint64_t)config->seed,
	                                       .shape = strcmp(config->shape, "month") == 0
	                                                        ? SHAPE_MONTH
	                                                        : SHAPE_SAMPLE,
	                                       .duration_us = config->duration_us,
	                                       .disorder_us = config->disorder_us,
	                                       .checkouts = config->checkouts};
	return start_time_read(config->start_time, &generator->start_us, err) &&
	       share_read(config->duplicates, &generator->duplicates_ppm, err) &&
	       share_read(config->malformed, &generator->malformed_ppm, err) &&
	       share_read(config->late, &generator->late_ppm, err) &&
	       share_read(config->missing_sessions, &generator->missing_sessions_ppm, err);
}

static bool read_selection(const struct producer_config *config, struct producer_plan *plan,
                           struct err *err)
{
	struct selection_config *selection = &plan->selection;

	*selection = selection_all();
	selection->rows_per_day = config->rows_per_day;
	if (config->shift_to_now)
		selection->shift = plan->speed_milli > 0 && plan->speed_milli <= 1000
		                           ? SHIFT_FIRST
		                           : SHIFT_NEWEST;
	if ((config->month[0] && !months_parse(config->month, &selection->months, err)) ||
	    !limit_read(config->from, &selection->from_us, err) ||
	    !limit_read(config->to, &selection->to_us, err) ||
	    !loop_read(config->loop, &selection->passes, err))
		return false;
	if (selection->to_us != SELECTION_OPEN && selection->to_us <= selection->from_us)
		return err_set(
			err, ERR_INPUT,
			"TO=%s is not after FROM=%s: expected a later time, because TO is not "
			"included",
			config->to, config->from);
	return selection->passes != SELECTION_FOREVER || selection->shift != SHIFT_NEWEST ||
	       err_set(err, ERR_INPUT,
	               "LOOP=forever with SHIFT_TO_NOW needs a SPEED of at most 1x: otherwise its "
	               "rows would soon lie in the future");
}

static bool check_schedule(const struct producer_config *config, const struct producer_plan *plan,
                           struct err *err)
{
	if (config->every_us > 0 && (config->dry_run || config->output[0] || config->tee[0]))
		return err_set(err, ERR_INPUT,
		               "EVERY sends rows: expected no DRY_RUN, OUTPUT or TEE");
	if (config->every_us > 0 && plan->live)
		return err_set(err, ERR_INPUT,
		               "EVERY sends the months of files: expected SOURCE=file, not %s",
		               config->source);
	return config->every_us == 0 || !plan->synthetic || config->month[0] ||
	       err_set(err, ERR_INPUT, "EVERY with SOURCE=synthetic needs MONTH");
}

static void read_fakestore(const struct producer_config *config, struct producer_plan *plan)
{
	plan->live = strcmp(config->source, "fakestore") == 0;
	plan->fakestore = (struct fakestore_config){.url = config->url,
	                                            .every_us = config->poll_every_us,
	                                            .timeout_us = config->poll_timeout_us,
	                                            .max_bytes = config->poll_max_bytes,
	                                            .polls = config->polls,
	                                            .failures_max = config->poll_failures_max,
	                                            .user_id = config->fakestore_user_id};
}

static bool check_fakestore(const struct producer_config *config, const struct producer_plan *plan,
                            struct err *err)
{
	if (plan->live && !config->url[0])
		return err_set(err, ERR_INPUT,
		               "SOURCE=fakestore needs URL, which is not set: expected for example "
		               "--url https://fakestoreapi.com/products");
	return true;
}

bool producer_plan_read(const struct producer_config *config, struct producer_plan *plan,
                        struct err *err)
{
	plan->synthetic = strcmp(config->source, "synthetic") == 0;
	read_fakestore(config, plan);
	if (!check_fakestore(config, plan, err))
		return false;
	if (!plan->synthetic && !plan->live && !config->input[0])
		return err_set(
			err, ERR_INPUT,
			"INPUT is not set: expected --input with a file, a folder, a URL or -, or "
			"--source synthetic");
	if ((plan->synthetic || plan->live) && config->input[0])
		return err_set(err, ERR_INPUT,
		               "INPUT is set, but SOURCE=%s reads no input; remove one of them",
		               config->source);
	if (!plan->synthetic && (config->output[0] || config->tee[0]))
		return err_set(
			err, ERR_INPUT,
			"OUTPUT and TEE need SOURCE=synthetic: the rows of SOURCE=file are already "
			"in a file");
	if ((config->output[0] != 0) + (config->tee[0] != 0) + config->dry_run > 1)
		return err_set(err, ERR_INPUT, "expected only one of OUTPUT, TEE and DRY_RUN");
	if (strcmp(config->framing, "confluent") == 0 && !config->registry.urls[0])
		return err_set(err, ERR_INPUT,
		               "FRAMING=confluent needs SCHEMA_REGISTRY_URL, which is not set");
	return fail_above_read(config->fail_above, &plan->fail_above_ppm, err) &&
	       speed_read(config->speed, &plan->speed_milli, err) &&
	       read_generator(config, &plan->generator, err) && read_selection(config, plan, err) &&
	       check_schedule(config, plan, err);
}
