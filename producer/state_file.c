/* {"version":1, "segment":..., "topic":..., "cluster":..., "complete":false, "rows":n, "file":i,
 *  "row":n, "byte_offset":n, "newest_us":n,
 *  "source_clock":..., "partitions":[{"rows":n,"last_offset":n}, ...]}
 * With SHIFT_TO_NOW also "shift_us":n. */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "event/clock.h"
#include "row.h"
#include "source_clock.h"

/* After every year; the sum of two such times does not overflow. */
#define TIME_LIMIT_US (INT64_C(1) << 62)

static json_t *to_json(const struct saved_state *state)
{
	const struct checkpoint *c = &state->checkpoint;
	json_t *partitions = json_array();
	char clock[SOURCE_CLOCK_TEXT_MAX];

	source_clock_format(&c->clock, clock);
	for (int32_t i = 0; i < c->partition_count; i++)
		json_array_append_new(partitions,
		                      json_pack("{s:I,s:I}", "rows",
		                                (json_int_t)c->partitions[i].rows, "last_offset",
		                                (json_int_t)c->partitions[i].last_offset));
	return json_pack("{s:i,s:s,s:s,s:s,s:b,s:I,s:i,s:I,s:I,s:I,s:s,s:o}", "version", 1,
	                 "segment", state->segment, "topic", state->topic, "cluster",
	                 state->cluster, "complete", (int)state->complete, "rows",
	                 (json_int_t)c->rows, "file", (int)c->position.file, "row",
	                 (json_int_t)c->position.row, "byte_offset",
	                 (json_int_t)c->position.byte_offset, "newest_us",
	                 (json_int_t)clock_now(&c->clock.clock), "source_clock", clock,
	                 "partitions", partitions);
}

static bool make_folder(const char *path, struct err *err)
{
	char folder[PATH_MAX];
	char *slash;

	if ((size_t)snprintf(folder, sizeof(folder), "%s", path) >= sizeof(folder))
		return err_set(err, ERR_OPERATOR, "STATE_FILE=%s: the path is longer than %d bytes",
		               path, PATH_MAX - 1);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return true;
	*slash = '\0';
	if (mkdir(folder, 0777) != 0 && errno != EEXIST)
		return err_set(
			err, ERR_OPERATOR,
			"STATE_FILE=%s: cannot create its folder: %s; set STATE_FILE to another "
			"path, or to none to keep no progress",
			path, strerror(errno));
	return true;
}

static bool write_synced(const char *path, const char *text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t len = strlen(text), done = 0;
	bool ok = fd >= 0;

	while (ok && done < len) {
		ssize_t put = write(fd, text + done, len - done);

		if (put < 0 && errno != EINTR)
			ok = false;
		done += put > 0 ? (size_t)put : 0;
	}
	ok = ok && fsync(fd) == 0;
	if (!ok)
		err_set(err, ERR_OPERATOR,
		        "cannot write the state file %s: %s; set STATE_FILE to another path, or to "
		        "none to keep no progress",
		        path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

bool state_file_write(const char *path, const struct saved_state *state, struct err *err)
{
	char fresh[PATH_MAX];
	json_t *json;
	char *text;
	bool ok;

	if (!make_folder(path, err))
		return false;
	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
		return err_set(err, ERR_OPERATOR, "STATE_FILE=%s: the path is longer than %d bytes",
		               path, PATH_MAX - 5);
	json = to_json(state);
	if (json && state->shift_us != SHIFT_NOT_CHOSEN)
		json_object_set_new(json, "shift_us", json_integer(state->shift_us));
	text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	json_decref(json);
	if (!text)
		return err_set(err, ERR_FATAL,
		               "cannot write the state file %s as JSON: the "
		               "name of the input may not be valid UTF-8",
		               path);
	ok = write_synced(fresh, text, err);
	free(text);
	if (ok && rename(fresh, path) != 0)
		ok = err_set(err, ERR_OPERATOR, "cannot replace the state file %s: %s", path,
		             strerror(errno));
	return ok;
}

static bool is_possible(int64_t us)
{
	return us > -TIME_LIMIT_US && us < TIME_LIMIT_US;
}

/* Former versions wrote the newest time only. clock: NULL: the file has none. */
static bool clock_read(const char *clock, int64_t newest_us, struct source_clock_state *state)
{
	if (clock)
		return source_clock_parse(clock, state);
	if (newest_us != CLOCK_NONE && !is_possible(newest_us))
		return false;
	source_clock_state_init(state);
	clock_announce(&state->clock, newest_us, INT64_MAX);
	return true;
}

static bool from_json(json_t *json, struct saved_state *state)
{
	json_int_t rows, row, byte_offset, newest_us;
	const char *segment, *topic, *cluster, *clock = NULL;
	int version, complete, file;
	json_t *partitions, *shift;
	size_t count;

	if (json_unpack(json, "{s:i,s:s,s:s,s:s,s:b,s:I,s:i,s:I,s:I,s:I,s?s,s:o}", "version",
	                &version, "segment", &segment, "topic", &topic, "cluster", &cluster,
	                "complete", &complete, "rows", &rows, "file", &file, "row", &row,
	                "byte_offset", &byte_offset, "newest_us", &newest_us, "source_clock",
	                &clock, "partitions", &partitions) != 0)
		return false;
	count = json_array_size(partitions);
	if (version != 1 || count < 1 || count > PARTITIONS_MAX || file < 0 || rows < 0 ||
	    row < 0 || byte_offset < 0)
		return false;
	checkpoint_init(&state->checkpoint, (int32_t)count);
	for (size_t i = 0; i < count; i++) {
		json_int_t sent, last_offset;

		if (json_unpack(json_array_get(partitions, i), "{s:I,s:I}", "rows", &sent,
		                "last_offset", &last_offset) != 0 ||
		    sent < 0)
			return false;
		state->checkpoint.partitions[i].rows = sent;
		state->checkpoint.partitions[i].last_offset = last_offset;
	}
	snprintf(state->segment, sizeof(state->segment), "%s", segment);
	snprintf(state->topic, sizeof(state->topic), "%s", topic);
	snprintf(state->cluster, sizeof(state->cluster), "%s", cluster);
	state->complete = complete != 0;
	shift = json_object_get(json, "shift_us");
	state->shift_us = json_is_integer(shift) ? json_integer_value(shift) : SHIFT_NOT_CHOSEN;
	state->checkpoint.rows = rows;
	state->checkpoint.position = (struct row_position){file, row, byte_offset};
	return (state->shift_us == SHIFT_NOT_CHOSEN || is_possible(state->shift_us)) &&
	       clock_read(clock, newest_us, &state->checkpoint.clock);
}

enum state_file_result state_file_read(const char *path, struct saved_state *state, struct err *err)
{
	json_error_t why;
	json_t *json;
	bool ok;

	if (access(path, F_OK) != 0 && errno == ENOENT)
		return STATE_NONE;
	json = json_load_file(path, 0, &why);
	ok = json && from_json(json, state);
	json_decref(json);
	if (ok)
		return STATE_FOUND;
	err_set(err, ERR_OPERATOR,
	        "cannot read the state file %s: %s; --resume=false sends the input from its "
	        "beginning",
	        path, json ? "it does not have the format of this version" : why.text);
	return STATE_UNREADABLE;
}
