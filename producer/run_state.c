/* Unknown members are ignored, so that a later version can add some. */
#include "run_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/timetext.h"
#include "months.h"

static const char *const status_names[] = {"running", "complete", "failed"};

static json_t *time_or_null(int64_t time_us, int64_t none_us)
{
	char text[32];

	if (time_us == none_us)
		return json_null();
	time_format_iso(time_us, text);
	return json_string(text);
}

char *run_state_write(const struct run_state *state)
{
	char month[16], selection[24];
	json_t *json;
	char *text;

	month_format(state->month, month);
	snprintf(selection, sizeof(selection), "%016" PRIx64, state->selection);
	json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:o}", "segment", state->segment,
	                 "input", state->input, "month", month, "selection", selection, "status",
	                 status_names[state->status], "rows", (json_int_t)state->rows, "attempt",
	                 (json_int_t)state->attempt, "started_at",
	                 time_or_null(state->started_us, 0), "finished_at",
	                 time_or_null(state->finished_us, 0), "newest_event_time",
	                 time_or_null(state->newest_us, INT64_MIN));
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

static bool read_time(const json_t *json, const char *name, int64_t none_us, int64_t *time_us)
{
	const char *text = json_string_value(json_object_get(json, name));

	*time_us = none_us;
	return !text || time_parse(span_of(text), time_us);
}

static bool read_status(const char *text, enum run_status *status)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(text, status_names[i]) == 0) {
			*status = (enum run_status)i;
			return true;
		}
	return false;
}

static bool read_hash(const char *text, uint64_t *hash)
{
	char *end;

	*hash = strtoull(text, &end, 16);
	return strlen(text) == 16 && *end == '\0';
}

static bool from_json(json_t *json, struct run_state *state)
{
	const char *segment, *input, *month, *selection, *status;
	json_int_t rows, attempt;
	struct months months;

	if (json_unpack(json, "{s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "segment", &segment, "input", &input,
	                "month", &month, "selection", &selection, "status", &status, "rows", &rows,
	                "attempt", &attempt) != 0 ||
	    !months_parse(month, &months, NULL) || months.count != 1 ||
	    !read_hash(selection, &state->selection) || !read_status(status, &state->status))
		return false;
	snprintf(state->segment, sizeof(state->segment), "%s", segment);
	snprintf(state->input, sizeof(state->input), "%s", input);
	state->month = months.at[0];
	state->rows = rows;
	state->attempt = attempt;
	return read_time(json, "started_at", 0, &state->started_us) &&
	       read_time(json, "finished_at", 0, &state->finished_us) &&
	       read_time(json, "newest_event_time", INT64_MIN, &state->newest_us);
}

bool run_state_read(struct span value, struct run_state *state)
{
	json_t *json = value.at ? json_loadb(value.at, value.len, 0, NULL) : NULL;
	bool good = json && from_json(json, state);

	json_decref(json);
	return good;
}
