/* First, each file that may have a forgotten user is searched, and written again if it has one: a
 * step for each file. Then a step compacts one group of files of one day. Both write a new file in
 * the same way. It is stored first, and then registered in the transaction that ends the old ones.
 * A crash between the two leaves a file that the catalogue does not know; the next run removes it
 * before it does anything else. */
#include "lake_compact.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "lake_catalogue_postgres.h"
#include "lake_command.h"
#include "lake_file.h"
#include "lake_forgotten_files.h"
#include "lake_listing.h"
#include "service/fault.h"
#include "service/log.h"

struct compact_config {
	struct lake_config lake;
	int64_t grace_us, file_bytes, min_files;
};

#define IN(member) offsetof(struct compact_config, member)

static const struct config_option options[] = {
	{"LAKE_GRACE", CONFIG_DURATION, IN(grace_us), "1h", 0, INT64_C(31536000000000),
         "replaced files are removed this long after they were replaced", NULL, NULL},
	{"LAKE_COMPACT_BYTES", CONFIG_BYTES, IN(file_bytes), "128m", 1048576, INT64_C(1) << 34,
         "files of at least this size are not compacted", NULL, NULL},
	{"LAKE_COMPACT_FILES", CONFIG_INTEGER, IN(min_files), "2", 2, 100000,
         "compact a day that has this many smaller files", NULL, NULL},
	{0},
};

struct compact {
	const struct compact_config *config;
	struct lake_command *command;
	bool cleared;      /* of leftovers */
	bool all_searched; /* for forgotten users */
	int64_t request;   /* the newest one at the start; -1: nobody is forgotten */
	PGresult *to_find; /* files to be searched for forgotten users; NULL: not listed yet */
	int searched, rewritten;
	int64_t old_files, new_files, bytes_before, bytes_after;
};

/* Files that one new file replaces: rows of `files` from the first on. */
struct group {
	const PGresult *files;
	int first, count;
	enum lake_table table;
	int64_t rows, bytes;
	struct lake_locals locals;
	int64_t request;   /* the new file has no user of this request or one before; -1: none */
	int64_t forgotten; /* users or dead letters that were found in the files */
	char path[LAKE_RELATIVE_MAX]; /* of the new file */
};

/* CHECKED: no file of the group has a user of the newest request or of one before. */
enum { FILE_TABLE, FILE_FOLDER, FILE_PATH, FILE_BYTES, FILE_ROWS, FILE_ID, FILE_CHECKED };
#define FILE_OURS FILE_CHECKED /* of SEARCH_SQL */

static const char *file_value(const struct group *group, int file, int column)
{
	return PQgetvalue(group->files, group->first + file, column);
}

static bool group_init(struct group *group, const PGresult *files, int first, int count,
                       struct err *err)
{
	*group = (struct group){.files = files, .first = first, .count = count, .request = -1};
	for (int i = 0; i < count; i++) {
		group->table = lake_table_by_name(span_of(file_value(group, i, FILE_TABLE)));
		group->rows += strtoll(file_value(group, i, FILE_ROWS), NULL, 10);
		group->bytes += strtoll(file_value(group, i, FILE_BYTES), NULL, 10);
	}
	return group->table != LAKE_TABLE_COUNT ||
	       err_set(err, ERR_OPERATOR, "unknown table \"%s\" in lake.ducklake_table",
	               file_value(group, 0, FILE_TABLE));
}

#define IS_OURS                                                    \
	"f.path ~ '^(event|record)_date=[0-9-]+/'"                 \
	" AND NOT EXISTS (SELECT FROM lake.ducklake_delete_file d" \
	"                 WHERE d.data_file_id = f.data_file_id)"

/* Files with deleted rows and files of other programs stay as they are. A group has up to twice the
 * bytes of LAKE_COMPACT_BYTES. */
static const char CHOOSE_SQL[] =
	"WITH file AS ("
	"    SELECT t.table_name AS name, split_part(f.path, '/', 1) AS folder, f.path,"
	"           f.data_file_id AS id, f.file_size_bytes AS bytes, f.record_count AS rows,"
	"           sum(f.file_size_bytes) OVER ("
	"               PARTITION BY f.table_id, split_part(f.path, '/', 1)"
	"               ORDER BY f.path) AS running"
	"    FROM lake.ducklake_data_file f JOIN lake.ducklake_table t USING (table_id)"
	"    WHERE f.end_snapshot IS NULL AND f.path_is_relative AND f.file_size_bytes < $1::bigint"
	"          AND " IS_OURS
	/* Rows have no topic: those of an unreadable bronze record stay in their own file. */
	"          AND (t.table_name <> 'dead_letters' OR f.path ~ '/compacted-'"
	"               OR f.path ~ 'dead_letter-[0-9]+-[0-9]+[.]parquet$')"
	"), chosen AS (SELECT * FROM file WHERE running - bytes < $1::bigint"
	"), day AS (SELECT name, folder FROM chosen GROUP BY 1, 2 HAVING count(*) >= $2::bigint"
	"           ORDER BY 1, 2 LIMIT 1)"
	" SELECT name, folder, name || '/' || path, bytes, rows, id, bool_and("
	"        EXISTS (SELECT FROM lake.forgotten_checks c"
	"                WHERE c.data_file_id = id AND c.request >= $3::bigint)) OVER ()"
	" FROM chosen JOIN day USING (name, folder) ORDER BY path";

static bool choose(struct compact *compact, int64_t request, PGresult **files, struct err *err)
{
	char bytes[32], count[32], number[32];
	const char *params[] = {bytes, count, number};

	snprintf(bytes, sizeof(bytes), "%" PRId64, compact->config->file_bytes);
	snprintf(count, sizeof(count), "%" PRId64, compact->config->min_files);
	snprintf(number, sizeof(number), "%" PRId64, request);
	return postgres_query(compact->command->pg, CHOOSE_SQL, 3, params, files, err);
}

/* compacted-<newest snapshot>-<n>. No file of the catalogue has had this name: after lake register,
 * numbers of snapshots begin again, so n is after those of files with the same snapshot. */
static const char NAME_SQL[] =
	"WITH newest AS (SELECT max(snapshot_id) AS id FROM lake.ducklake_snapshot"
	"), used AS (SELECT path FROM lake.ducklake_data_file UNION ALL"
	"            SELECT path FROM lake.ducklake_files_scheduled_for_deletion)"
	" SELECT format('compacted-%s-%s.parquet', id, 1 + coalesce(max("
	"        substring(path FROM '/compacted-' || id || '-([0-9]{1,9})[.]parquet$')::bigint),"
	"    -1))"
	" FROM newest LEFT JOIN used ON path ~ ('/compacted-' || id || '-') GROUP BY id";

static bool name_file(struct compact *compact, struct group *group, struct err *err)
{
	PGresult *result = NULL;

	if (!postgres_query(compact->command->pg, NAME_SQL, 0, NULL, &result, err))
		return false;
	snprintf(group->path, sizeof(group->path), "%s/%s/%s", file_value(group, 0, FILE_TABLE),
	         file_value(group, 0, FILE_FOLDER), PQgetvalue(result, 0, 0));
	PQclear(result);
	return true;
}

/* ---- the new file */

/* The batches of the files, from their footers: of a file of the writer its own, of a compacted
 * file those that it lists. */
static const char BATCHES_SQL[] =
	"SELECT '[' || string_agg(part, ',' ORDER BY file_name) || ']' FROM (SELECT file_name,"
	" coalesce(max(substr(v, 2, length(v) - 2)) FILTER (k = 'funnel.batches'),"
	"          CAST(json_array(max(v) FILTER (k = 'funnel.topic'),"
	"                          CAST(max(v) FILTER (k = 'funnel.partition') AS INTEGER),"
	"                          CAST(max(v) FILTER (k = 'funnel.first') AS BIGINT),"
	"                          CAST(max(v) FILTER (k = 'funnel.next') AS BIGINT),"
	"                          CAST(max(v) FILTER (k = 'funnel.rows') AS JSON),"
	"                          max(v) FILTER (k = 'funnel.clock'),"
	"                          max(v) FILTER (k = 'funnel.segment')) AS VARCHAR)) AS part"
	" FROM (SELECT file_name, decode(key) AS k, decode(value) AS v FROM parquet_kv_metadata(";

static bool list_batches(struct compact *compact, const struct group *group, char **batches,
                         struct err *err)
{
	const struct lake_locals *locals = &group->locals;
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	buffer_text(&sql, BATCHES_SQL);
	buffer_append(&sql, locals->list.at, locals->list.len);
	buffer_append(&sql, "])) GROUP BY file_name)", sizeof("])) GROUP BY file_name)"));
	ok = duck_query(compact->command->duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok)
		return false;
	*batches = duck_text(&result, 0, 0);
	duckdb_destroy_result(&result);
	return *batches ||
	       err_set(err, ERR_OPERATOR, "%s: the files that it would replace name no batches",
	               group->path);
}

static bool read_batches(struct compact *compact, const struct group *group, char **batches,
                         struct err *err)
{
	char *listed = NULL;
	bool ok = list_batches(compact, group, &listed, err) &&
	          lake_forgotten_batches(compact->command, listed, group->forgotten, batches, err);

	duckdb_free(listed);
	return ok;
}

/* Adds the files that the compacted files of the group have replaced themselves: after these are
 * removed, no other footer names them. */
static bool add_replaced(struct compact *compact, const struct group *group, json_t *json,
                         struct err *err)
{
	const struct buffer *list = &group->locals.list;
	static const char rest[] = "]) WHERE decode(key) = 'funnel.replaces'";
	struct buffer sql = {0};
	duckdb_result result;
	bool ok;

	buffer_text(&sql, "SELECT decode(value) FROM parquet_kv_metadata(");
	buffer_append(&sql, list->at, list->len);
	buffer_append(&sql, rest, sizeof(rest));
	ok = duck_query(compact->command->duck, sql.at, &result, err);
	buffer_free(&sql);
	if (!ok)
		return false;
	for (idx_t r = 0; r < duckdb_row_count(&result); r++) {
		char *text = duck_text(&result, 0, r);
		json_t *earlier = json_loads(text, 0, NULL);

		if (earlier)
			json_array_extend(json, earlier);
		json_decref(earlier);
		duckdb_free(text);
	}
	duckdb_destroy_result(&result);
	return true;
}

static char *replaced_json(struct compact *compact, const struct group *group, struct err *err)
{
	json_t *json = json_array();
	char *text = NULL;

	for (int i = 0; i < group->count; i++)
		json_array_append_new(json, json_string(file_value(group, i, FILE_PATH)));
	if (add_replaced(compact, group, json, err)) {
		text = json_dumps(json, JSON_COMPACT);
		if (!text)
			memory_exhausted();
	}
	json_decref(json);
	return text;
}

static bool write_locals(struct compact *compact, const struct group *group, char *local,
                         struct lake_file *file, struct err *err)
{
	const struct lake_table_def *def = lake_table_def(group->table);
	bool events = strcmp(def->date_from, "event_time") == 0;
	char *replaced, *batches = NULL;
	struct buffer query = {0};
	bool ok = read_batches(compact, group, &batches, err);

	if (!ok) {
		free(batches);
		return false;
	}
	replaced = replaced_json(compact, group, err);
	if (!replaced) {
		free(batches);
		return false;
	}
	lake_forgotten_select(&query, group->table, &group->locals, group->forgotten);
	buffer_text(&query, events ? " ORDER BY category_code, event_time, record_partition,"
	                             " record_offset"
	                           : " ORDER BY record_partition, record_offset");
	buffer_append(&query, "", 1);
	ok = lake_command_copy(compact->command, query.at,
	                       (const char *const[]){"funnel.table", def->name, "funnel.batches",
	                                             batches, "funnel.replaces", replaced, NULL},
	                       local, file, err);
	buffer_free(&query);
	free(batches);
	free(replaced);
	return ok;
}

static bool write_file(struct compact *compact, const struct group *group, char *local,
                       struct lake_file *file, struct err *err)
{
	if (!write_locals(compact, group, local, file, err))
		return false;
	if (file->rows == group->rows)
		return true;
	unlink(local);
	return err_set(err, ERR_FATAL,
	               "%s: the new file has %" PRId64 " rows, but those that it replaces have "
	               "%" PRId64 "; nothing was changed",
	               group->path, file->rows, group->rows);
}

static bool has_room(struct compact *compact, const struct group *group, struct err *err)
{
	int64_t free_bytes = lake_storage_free_bytes(compact->command->storage);

	if (free_bytes < 0 || free_bytes >= 2 * group->bytes)
		return true;
	return err_set(err, ERR_RETRY,
	               "%s: compacting needs %" PRId64 " free bytes, but there are %" PRId64,
	               group->path, 2 * group->bytes, free_bytes);
}

/* ---- the transaction */

static bool end_files(struct compact *compact, const struct group *group, int64_t snapshot,
                      struct err *err)
{
	char number[32];
	bool ok = true;

	snprintf(number, sizeof(number), "%" PRId64, snapshot);
	for (int i = 0; ok && i < group->count; i++) {
		const char *params[] = {number, lake_table_def(group->table)->name,
		                        file_value(group, i, FILE_PATH)};
		PGresult *result = NULL;

		ok = postgres_query(compact->command->pg,
		                    "SELECT lake.end_file($1::bigint, $2, $3)", 3, params, &result,
		                    err);
		PQclear(result);
	}
	return ok;
}

static bool register_file(struct compact *compact, const struct group *group,
                          const struct lake_file *file, struct err *err)
{
	struct postgres *pg = compact->command->pg;
	struct lake_snapshot snapshot;
	char changes[64];

	snprintf(changes, sizeof(changes), "merge_adjacent:%d", (int)group->table + 1);
	return lake_pg_end(pg,
	                   lake_pg_begin(pg, err) &&
	                           lake_pg_snapshot(pg, 1, changes, "{}", &snapshot, err) &&
	                           end_files(compact, group, snapshot.id, err) &&
	                           lake_pg_add_file(pg, &snapshot, 0, file, err) &&
	                           (group->request < 0 ||
	                            lake_forgotten_checked(pg, snapshot.first_file, group->request,
	                                                   err)),
	                   err);
}

static bool put_file(struct compact *compact, const struct group *group, const char *local,
                     struct err *err)
{
	bool ok = lake_storage_put(compact->command->storage, local, group->path, err);

	if (!ok)
		unlink(local);
	return ok;
}

/* Fetches the files, so that they are fetched once only. */
static bool fetch(struct compact *compact, struct group *group, struct err *err)
{
	for (int i = 0; i < group->count; i++)
		if (!lake_locals_add(compact->command, file_value(group, i, FILE_PATH),
		                     &group->locals, err))
			return false;
	return true;
}

static void count_group(struct compact *compact, const struct group *group, int64_t new_bytes)
{
	compact->old_files += group->count;
	compact->new_files++;
	compact->bytes_before += group->bytes;
	compact->bytes_after += new_bytes;
	log_info("compacted", log_str("file", group->path), log_int("files", group->count),
	         log_int("rows", group->rows), log_int("forgotten", group->forgotten),
	         log_int("bytes_before", group->bytes), log_int("bytes_after", new_bytes));
}

/* The files are local, and were searched. */
static bool replace(struct compact *compact, struct group *group, struct err *err)
{
	struct lake_file file = {.table = group->table, .path = group->path};
	char local[LAKE_PATH_MAX];
	bool ok;

	if (!write_file(compact, group, local, &file, err))
		return false;
	FAULT_POINT("after_write");
	ok = put_file(compact, group, local, err);
	FAULT_POINT("after_put");
	ok = ok && register_file(compact, group, &file, err);
	FAULT_POINT("after_commit");
	if (ok)
		count_group(compact, group, file.bytes);
	free(file.statistics);
	return ok;
}

/* ---- files with forgotten users */

/* Also files that are not ours: if one has such a user, somebody has to know. */
static const char SEARCH_SQL[] =
	"SELECT t.table_name, split_part(f.path, '/', 1), t.table_name || '/' || f.path,"
	"       f.file_size_bytes, f.record_count, f.data_file_id, " IS_OURS
	" FROM lake.ducklake_data_file f JOIN lake.ducklake_table t USING (table_id)"
	"      LEFT JOIN lake.forgotten_checks c USING (data_file_id)"
	" WHERE f.end_snapshot IS NULL AND f.path_is_relative"
	"       AND t.table_name <> 'counts'"
	"       AND coalesce(c.request, -1) < $1::bigint ORDER BY f.data_file_id";

/* The request is read before the list: a file that is registered later is new to the next run. */
static bool list_files(struct compact *compact, struct err *err)
{
	char request[32];
	const char *params[] = {request};

	if (!lake_forgotten_newest(compact->command->pg, &compact->request, err))
		return false;
	snprintf(request, sizeof(request), "%" PRId64, compact->request);
	if (compact->request >= 0 && !lake_forgotten_catalogue(compact->command->pg, err))
		return false;
	return postgres_query(compact->command->pg, SEARCH_SQL, 1, params, &compact->to_find, err);
}

static bool rewrite(struct compact *compact, struct group *group, struct err *err)
{
	if (file_value(group, 0, FILE_OURS)[0] != 't') {
		log_warn("forgotten_user_stays", log_str("file", file_value(group, 0, FILE_PATH)),
		         log_str("reason", "rows of this file were deleted by another program, or "
		                           "another program has written it"));
		return true;
	}
	compact->rewritten++;
	return name_file(compact, group, err) && has_room(compact, group, err) &&
	       replace(compact, group, err);
}

static bool search_file(struct compact *compact, struct err *err)
{
	struct group group;
	int64_t id;
	bool ok = group_init(&group, compact->to_find, compact->searched++, 1, err) &&
	          fetch(compact, &group, err) &&
	          lake_forgotten_find(compact->command, group.table, &group.locals,
	                              &group.forgotten, err);

	group.request = compact->request;
	id = strtoll(file_value(&group, 0, FILE_ID), NULL, 10);
	if (ok && group.forgotten > 0)
		ok = rewrite(compact, &group, err);
	else if (ok)
		ok = lake_forgotten_checked(compact->command->pg, id, group.request, err);
	lake_locals_free(&group.locals);
	return ok;
}

static bool search_step(struct compact *compact, struct err *err)
{
	if (!compact->to_find)
		return list_files(compact, err);
	if (compact->searched < PQntuples(compact->to_find))
		return search_file(compact, err);
	compact->all_searched = true;
	if (compact->searched > 0)
		log_info("forgotten_checked", log_int("files", compact->searched),
		         log_int("rewritten", compact->rewritten),
		         log_int("request", compact->request));
	return true;
}

/* ---- files of a day */

/* Users are searched again if a file is new since the search, or a request is. */
static bool find(struct compact *compact, struct group *group, int64_t request, struct err *err)
{
	group->request = request;
	return request < 0 || file_value(group, 0, FILE_CHECKED)[0] == 't' ||
	       lake_forgotten_find(compact->command, group->table, &group->locals,
	                           &group->forgotten, err);
}

static bool compact_files(struct compact *compact, const PGresult *files, int64_t request,
                          struct err *err)
{
	struct group group;
	bool ok = group_init(&group, files, 0, PQntuples(files), err) &&
	          name_file(compact, &group, err) && has_room(compact, &group, err) &&
	          fetch(compact, &group, err) && find(compact, &group, request, err) &&
	          replace(compact, &group, err);

	lake_locals_free(&group.locals);
	return ok;
}

/* *more: there was a group. */
static bool compact_group(struct compact *compact, bool *more, struct err *err)
{
	PGresult *files = NULL;
	int64_t request = -1;
	bool ok = lake_forgotten_newest(compact->command->pg, &request, err) &&
	          choose(compact, request, &files, err);

	*more = ok && PQntuples(files) > 0;
	ok = ok && (!*more || compact_files(compact, files, request, err));
	PQclear(files);
	return ok;
}

/* ---- leftovers */

static bool is_listed(const struct lake_listing *listing, const char *path)
{
	for (size_t i = 0; i < listing->count; i++)
		if (strcmp(listing->at[i].path, path) == 0)
			return true;
	return false;
}

/* The file is the only copy of its rows, if the catalogue is older than the lake: it was restored
 * from a backup, and the files that it names are gone. */
static bool check_day(struct compact *compact, const struct lake_listing *listing, const char *path,
                      struct err *err)
{
	PGresult *result = NULL;
	bool ok = postgres_query(
		compact->command->pg,
		"SELECT t.table_name || '/' || f.path FROM lake.ducklake_data_file f"
		" JOIN lake.ducklake_table t USING (table_id)"
		" WHERE f.end_snapshot IS NULL AND starts_with(t.table_name || '/' || f.path,"
		"       substring($1 FROM '^.*/'))",
		1, &path, &result, err);

	for (int r = 0; ok && r < PQntuples(result); r++)
		if (!is_listed(listing, PQgetvalue(result, r, 0)))
			ok = err_set(err, ERR_OPERATOR,
			             "%s is not in the catalogue, and the lake does not have %s of "
			             "the catalogue: the catalogue is older than the lake; empty "
			             "the schema lake, and run lake register",
			             path, PQgetvalue(result, r, 0));
	PQclear(result);
	return ok;
}

/* Only a command with our lock stores files with such names. */
static bool remove_unknown(struct compact *compact, const struct lake_listing *listing,
                           const char *path, struct err *err)
{
	PGresult *result = NULL;
	bool known;

	if (!postgres_query(compact->command->pg,
	                    "SELECT EXISTS (SELECT FROM lake.ducklake_data_file f"
	                    " JOIN lake.ducklake_table t USING (table_id)"
	                    " WHERE t.table_name || '/' || f.path = $1)"
	                    " OR EXISTS (SELECT FROM lake.ducklake_files_scheduled_for_deletion"
	                    "            WHERE path = $1)",
	                    1, &path, &result, err))
		return false;
	known = PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	if (known)
		return true;
	if (!check_day(compact, listing, path, err))
		return false;
	log_warn("leftover_removed", log_str("file", path));
	return lake_storage_remove(compact->command->storage, path, err);
}

static bool clear_leftovers(struct compact *compact, struct err *err)
{
	struct lake_listing listing = {0};
	struct lake_path parsed;
	bool ok = lake_storage_list(compact->command->storage, "", &listing, err);

	for (size_t i = 0; ok && i < listing.count; i++)
		if (lake_path_parse(listing.at[i].path, &parsed) && !parsed.topic.at)
			ok = remove_unknown(compact, &listing, listing.at[i].path, err);
	lake_listing_free(&listing);
	compact->cleared = ok;
	return ok;
}

/* ---- the command */

static bool compact_open(void *config, void **state, struct err *err)
{
	struct compact *compact = xrealloc(NULL, sizeof(*compact));
	struct compact_config *settings = config;

	*compact = (struct compact){.config = settings};
	*state = compact;
	return lake_command_open(&settings->lake, &compact->command, err);
}

static enum step finish(struct compact *compact, struct err *err)
{
	int64_t removed;

	if (!lake_command_remove_old(compact->command, compact->config->grace_us, &removed, err))
		return STEP_FAILED;
	log_info("compact_finished", log_int("old_files", compact->old_files),
	         log_int("new_files", compact->new_files),
	         log_int("bytes_before", compact->bytes_before),
	         log_int("bytes_after", compact->bytes_after), log_int("removed_files", removed));
	return STEP_DONE;
}

static enum step compact_step(void *state, bool stopping, struct err *err)
{
	struct compact *compact = state;
	bool more;

	if (stopping)
		return STEP_DONE;
	if (!compact->cleared)
		return clear_leftovers(compact, err) ? STEP_MORE : STEP_FAILED;
	if (!compact->all_searched)
		return search_step(compact, err) ? STEP_MORE : STEP_FAILED;
	if (!compact_group(compact, &more, err))
		return STEP_FAILED;
	return more ? STEP_MORE : finish(compact, err);
}

static void compact_close(void *state)
{
	struct compact *compact = state;

	if (compact) {
		PQclear(compact->to_find);
		lake_command_close(compact->command);
	}
	free(compact);
}

static const struct config_option *const tables[] = {lake_storage_options, options, NULL};

const struct service lake_compact_service = {
	.name = "lake compact",
	.summary = "makes the small files of each day large ones, sorted by category and time",
	.tables = tables,
	.config_size = sizeof(struct compact_config),
	.open = compact_open,
	.step = compact_step,
	.close = compact_close,
};
